"""The files for clouds: what they say, and that their tools can read them."""

import json
import shlex
import subprocess
from typing import Any

import published
import pytest
import yaml
from cloud_cases import ODD, task

from launch import (
    cloud_gcloud,
    cloud_gke,
    cloud_machines,
    cloud_skypilot,
    cloud_task,
)
from scaling import targets

PROVIDERS = (cloud_gcloud, cloud_skypilot, cloud_gke)


def bash_accepts(text: str) -> None:
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", range(len(targets.names())))
def test_every_targets_files_have_the_published_form(number):
    spot = number % 2 == 0
    name = targets.names()[number]
    made = task(name, spot=spot, zone="us-west4-a", project="my-project")
    if cloud_machines.is_tpu(made.target):
        create = cloud_gcloud.files(made)[cloud_gcloud.CREATE]
        assert ("cloud-platform --spot\n" in create) == spot
    check_skypilot(made)
    check_gke(made)


@pytest.mark.parametrize("name", ["tpu:v5e:2x4", "tpu:v4:2x2x2", "gpu:h100:8"])
def test_bash_can_read_the_scripts(name):
    made = task(name)
    scripts = [*cloud_gcloud.files(made).values()] if is_tpu(made) else []
    sky = yaml.safe_load(cloud_skypilot.files(made)[cloud_skypilot.FILE])
    for script in (*scripts, sky["setup"], sky["run"]):
        bash_accepts(script)


def check_skypilot(made: cloud_task.Task) -> None:
    sky = yaml.safe_load(cloud_skypilot.files(made)[cloud_skypilot.FILE])
    assert not published.faults(sky, published.SCHEMAS["skypilot"], "sky")
    assert sky["resources"]["use_spot"] is made.spot
    assert sky["resources"]["infra"] == "gcp/us-west4/us-west4-a"
    assert sky["resources"]["job_recovery"]["recover_on_exit_codes"] == [75]


def check_gke(made: cloud_task.Task) -> None:
    claim, jobset = yaml.safe_load_all(cloud_gke.files(made)[cloud_gke.FILE])
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    assert not published.faults(claim, published.SCHEMAS["claim"], "claim")
    assert jobset["apiVersion"] == "jobset.x-k8s.io/v1alpha2"
    assert not published.faults(jobset, published.SCHEMAS["jobset"], "jobset")
    (replicated,) = jobset["spec"]["replicatedJobs"]
    job = replicated["template"]["spec"]
    assert job["parallelism"] == job["completions"] == made.machines
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    resource, chips = next(iter(container["resources"]["limits"].items()))
    assert chips * made.machines == made.target.chips
    assert resource == ("google.com/tpu" if is_tpu(made) else "nvidia.com/gpu")
    assert ("cloud.google.com/gke-spot" in pod["nodeSelector"]) == made.spot
    assert pod["restartPolicy"] == "Never"  # podFailurePolicy needs it
    mounted = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == mounted
    assert (
        pod["volumes"][0]["persistentVolumeClaim"]["claimName"]
        == (claim["metadata"]["name"])
    )


def is_tpu(made: cloud_task.Task) -> bool:
    return cloud_machines.is_tpu(made.target)


@pytest.mark.parametrize(
    ("break_", "where"),
    [
        (lambda job: job["spec"].update(replicatedJob=[]), ".spec.replicatedJob is"),
        (lambda job: job["spec"]["failurePolicy"].update(maxRestarts="9"), "maxRest"),
        (lambda job: job["spec"]["replicatedJobs"][0].pop("name"), "lacks name"),
        (
            lambda job: job["spec"]["failurePolicy"]["rules"][0].update(action="Stop"),
            "action is 'Stop': not of",
        ),
        (
            lambda job: job["spec"]["replicatedJobs"][0]["template"]["spec"][
                "template"
            ]["spec"].update(nodeselector={}),
            "nodeselector is unknown",
        ),
    ],
)
def test_the_check_of_schemas_notices_what_is_wrong(break_, where):
    text = cloud_gke.files(task("tpu:v5e:4x4"))[cloud_gke.FILE]
    _, jobset = yaml.safe_load_all(text)
    break_(jobset)
    faults = published.faults(jobset, published.SCHEMAS["jobset"], "jobset")
    assert len(faults) == 1
    assert where in faults[0]


# cloud.google.com/tpu/docs: runtimes; GKE's plan-tpus.
GENERATIONS = {
    "v4": ("tpu-ubuntu2204-base", "tpu-v4-podslice"),
    "v5e": ("v2-alpha-tpuv5-lite", "tpu-v5-lite-podslice"),
    "v5p": ("v2-alpha-tpuv5", "tpu-v5p-slice"),
    "v6e": ("v2-alpha-tpuv6e", "tpu-v6e-slice"),
}
# The same, v4, v5e, v5p, v6e: Cloud TPU's type, machines, GKE's machine type.
SLICES = [
    ("tpu:v4:2x2x1", "v4-8", 1, "ct4p-hightpu-4t"),
    ("tpu:v4:4x4x4", "v4-128", 16, "ct4p-hightpu-4t"),
    ("tpu:v5e:2x2", "v5litepod-4", 1, "ct5lp-hightpu-4t"),
    ("tpu:v5e:2x4", "v5litepod-8", 1, "ct5lp-hightpu-8t"),
    ("tpu:v5e:4x4", "v5litepod-16", 4, "ct5lp-hightpu-4t"),
    ("tpu:v5e:16x16", "v5litepod-256", 64, "ct5lp-hightpu-4t"),
    ("tpu:v5p:2x2x2", "v5p-16", 2, "ct5p-hightpu-4t"),
    ("tpu:v6e:2x4", "v6e-8", 1, "ct6e-standard-8t"),
    ("tpu:v6e:4x4", "v6e-16", 4, "ct6e-standard-4t"),
]


@pytest.mark.parametrize(("name", "kind", "machines", "node"), SLICES)
def test_tpus_have_the_names_of_the_clouds(name, kind, machines, node):
    made = task(name)
    runtime, label = GENERATIONS[made.target.chip.name]
    create = cloud_gcloud.files(made)[cloud_gcloud.CREATE]
    assert f"--accelerator-type={kind} --runtime-version={runtime} " in create
    sky = yaml.safe_load(cloud_skypilot.files(made)[cloud_skypilot.FILE])
    assert sky["resources"]["accelerators"] == f"tpu-{kind}"
    assert sky["resources"]["accelerator_args"] == {"runtime_version": runtime}
    text = cloud_gke.files(made)[cloud_gke.FILE]
    _, jobset = yaml.safe_load_all(text)
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert job["parallelism"] == made.machines == machines
    assert job["template"]["spec"]["nodeSelector"] == {
        "cloud.google.com/gke-tpu-accelerator": label,
        "cloud.google.com/gke-tpu-topology": made.target.topology,
    }
    assert jobset["metadata"]["annotations"] == {
        "alpha.jobset.sigs.k8s.io/exclusive-topology": "cloud.google.com/gke-nodepool"
    }
    assert f"--machine-type={node} " in text
    assert (f"--tpu-topology={made.target.topology}" in text) == (machines > 1)


def test_gpus_have_the_names_of_the_clouds():
    made = task("gpu:a100:4", bucket="s3://bucket", spot=True)
    sky = yaml.safe_load(cloud_skypilot.files(made)[cloud_skypilot.FILE])
    assert sky["resources"]["accelerators"] == "A100-80GB:4"
    assert sky["resources"]["infra"] == "aws"
    assert "'.[cuda12,gcs,s3]'" in sky["setup"]
    text = cloud_gke.files(made)[cloud_gke.FILE]
    assert "--machine-type=a2-ultragpu-4g " in text
    assert "--accelerator=type=nvidia-a100-80gb,count=4," in text
    _, jobset = yaml.safe_load_all(text)
    assert "annotations" not in jobset["metadata"]
    pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {
        "cloud.google.com/gke-accelerator": "nvidia-a100-80gb",
        "cloud.google.com/gke-spot": "true",
    }
    assert "hostNetwork" not in pod


@pytest.mark.parametrize("name", ["tpu:v5e:2x4", "tpu:v5e:4x4", "gpu:h100:8"])
def test_every_gcloud_command_has_published_flags(name):
    made = task(name, image=None if name == "tpu:v5e:2x4" else "a.pkg.dev/b:1")
    providers = [p for p in PROVIDERS if able(p, made)]
    lines = [line for p in providers for line in p.steps(made, "folder")]
    texts = [text for p in providers for text in p.files(made).values()]
    seen = 0
    for text in [*lines, *texts]:
        for line in text.replace("\\\n#", " ").replace("\\\n", " ").splitlines():
            for word in ("gcloud ", "tpus "):
                at = line.removeprefix("#").strip()
                if not at.startswith(word) or "$@" in at:
                    continue
                words = shlex.split(at, comments=True)[1:]
                if word == "tpus ":
                    words = ["compute", "tpus", "queued-resources", *words]
                words = [w for w in words if w not in (";;", ")")]
                assert not published.gcloud_faults(words), at
                seen += 1
    assert seen >= 2


def able(provider: Any, made: cloud_task.Task) -> bool:
    try:
        provider.refuse(made)
    except ValueError:
        return False
    return True


def test_skypilots_job_runs_the_sweep_with_its_output_in_the_bucket(
    tmp_path, monkeypatch
):
    made = task("tpu:v5e:2x4", ODD)
    sky = yaml.safe_load(cloud_skypilot.files(made)[cloud_skypilot.FILE])
    assert "'.[tpu,gcs,s3]'" in sky["setup"]
    stub = tmp_path / "venv/bin/python"
    stub.parent.mkdir(parents=True)
    stub.write_text('#!/usr/bin/env bash\nprintf "%s\\0" "$0" "$@"\n')
    stub.chmod(0o700)
    monkeypatch.setenv("HOME", str(tmp_path))
    done = subprocess.run(
        ["bash", "-c", sky["run"]], check=True, capture_output=True, text=True
    )
    there = "gs://bucket/studies/unplugged/results"
    assert done.stdout.split("\0")[:-1] == made.command(str(stub), there)


def test_kubernetes_gets_the_words_as_they_are():
    made = task("gpu:h100:1", ODD)
    _, jobset = yaml.safe_load_all(cloud_gke.files(made)[cloud_gke.FILE])
    pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    words = pod["containers"][0]["command"]
    # Kubernetes makes $( of $$(, and nothing of other dollars.
    expected = made.command("python", "/data/results")
    assert [word.replace("$$(", "$(") for word in words] == expected
    assert json.dumps(words).count("$$(") == 1


@pytest.mark.parametrize(
    ("provider", "name", "changes", "message"),
    [
        (cloud_gcloud, "gpu:h100:8", {}, "gpu:h100:8 is a GPU"),
        (cloud_gcloud, "tpu:v5e:2x4", {"bucket": "s3://b1"}, "no key to s3://b1"),
        (cloud_gcloud, "tpu:v5e:2x4", {"bucket": None, "image": None}, "need the prog"),
        (cloud_gcloud, "tpu:v5e:2x4", {"bucket": None}, "outlive the machines"),
        (cloud_gcloud, "tpu:v5e:4x4", {"share": None}, "4 machines.*--share HOST"),
        (cloud_skypilot, "tpu:v5e:4x4", {"share": None}, "4 machines.*--share HOST"),
        (cloud_skypilot, "tpu:v5e:2x4", {"bucket": "s3://b1"}, "is Google's"),
        (cloud_skypilot, "gpu:h100:8", {"bucket": None}, "give --bucket or --share"),
        (cloud_gke, "tpu:v5e:4x4", {"image": None}, "ACCELERATOR=tpu"),
        (cloud_gke, "gpu:h100:8", {"image": None}, "ACCELERATOR=cuda12"),
    ],
)
def test_what_a_provider_cannot_run_is_refused(provider, name, changes, message):
    made = task(name, **changes)
    with pytest.raises(ValueError, match=message) as refusal:
        provider.refuse(made)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Study"},
        {"name": "a" * 41},
        {"name": "a; rm -r /"},
        {"bucket": "bucket"},
        {"bucket": "gs://bucket/$(x)"},
        {"share": "10.0.0.2"},
        {"share": "host:/a b"},
        {"image": "a b"},
        {"image": "$(x)"},
        {"project": "p'"},
        {"zone": "us-west4"},
    ],
)
def test_names_that_could_not_stand_in_a_script_are_refused(changes):
    with pytest.raises(ValueError, match=f"--{next(iter(changes))} is .*; give"):
        task("tpu:v5e:2x4", **changes)


def test_a_template_without_a_value_is_an_error():
    with pytest.raises(KeyError):
        cloud_task.fill("a @B@ c", {})


def test_lines_of_a_value_are_indented_like_their_key():
    filled = cloud_task.fill(
        "a:\n  @B@\n  @C@\nd @E@", {"B": "x\n\ny", "C": "", "E": "z"}
    )
    assert filled == "a:\n  x\n\n  y\nd z\n"
