"""The command that writes files for clouds: what it takes, refuses and prints."""

import pathlib

import pytest
import yaml

from launch import cloud, cloud_gke, sweep

BUCKET = ["--bucket", "gs://bucket/studies"]
SMALL = ["--preset", "demo", "--budgets", "2e3", "--fractions", "0,0.95"]


@pytest.fixture
def call(tmp_path, capsys):
    """Runs the command with its files in a folder of their own; returns its output."""

    def run(*words: str, sweep_flags: list[str] = SMALL) -> str:
        status = cloud.cloud([*words, "--out", str(tmp_path / "c"), "--", *sweep_flags])
        assert status == 0
        return capsys.readouterr().out

    return run


def written(tmp_path: pathlib.Path) -> set[str]:
    return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}


def test_it_writes_for_all_that_can_and_says_what_to_type(call, tmp_path):
    out = call("--target", "tpu:v5e-8", *BUCKET, "--image", "r.example.com/u:1")
    names = {"gcloud-create.sh", "gcloud-startup.sh", "skypilot.yaml", "gke.yaml"}
    assert written(tmp_path) == {"c"} | {f"c/{name}" for name in names}
    assert f"bash {tmp_path}/c/gcloud-create.sh" in out
    assert f"sky jobs launch --name unplugged {tmp_path}/c/skypilot.yaml" in out
    assert f"kubectl apply --filename={tmp_path}/c/gke.yaml" in out
    assert "queued-resources delete unplugged" in out
    assert "gs://bucket/studies/unplugged/results" in out
    assert "tpu:v5e:2x4: 8 chips, 1 machine of 8." in out


def test_the_plan_of_the_sweep_is_shown(call):
    assert "2 runs, 42,000 searched states: 2 to run." in call(
        "--target", "tpu:v5e:2x4", *BUCKET, sweep_flags=[*SMALL, "--seeds", "1"]
    )


def test_it_says_why_not_for_the_others(call, tmp_path):
    out = call("--target", "gpu:h100:8", "--bucket", "s3://bucket")
    assert written(tmp_path) == {"c", "c/skypilot.yaml"}
    assert "Not for Cloud TPU's virtual machines" in out
    assert "Not for Google Kubernetes Engine: Kubernetes pulls images" in out


def test_sizes_are_raised_to_what_the_chips_need_and_said(call, tmp_path):
    flags = ["--target", "tpu:v5e:4x4", "--share", "10.0.0.2:/v", "--image", "r/u"]
    out = call(*flags, "--provider", "gke")
    sizes = ["--shards", "16", "--environments", "64", "--max-lanes", "1280"]
    assert f"Added to the sweep's flags for its chips: {' '.join(sizes)}" in out
    assert written(tmp_path) == {"c", "c/gke.yaml"}
    text = (tmp_path / "c" / cloud_gke.FILE).read_text()
    _, jobset = yaml.safe_load_all(text)
    pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    words = pod["containers"][0]["command"]
    assert words[2:] == [*SMALL, *sizes, "--out", "/data/results"]


def test_what_was_written_is_a_sweep_on_a_machine_with_the_chips(
    call, tmp_path, monkeypatch, capsys
):
    flags = ["--target", "gpu:h100:8", "--image", "r/u", "--provider", "gke"]
    call(*flags, sweep_flags=[*SMALL, "--mesh.model", "2"])
    text = (tmp_path / "c" / cloud_gke.FILE).read_text()
    _, jobset = yaml.safe_load_all(text)
    pod = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    _, script, *words = pod["containers"][0]["command"]
    assert script == "launch/sweep.py"
    words[words.index("/data/results")] = str(tmp_path / "out")
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "8")
    assert sweep.sweep([*words, "--mesh.data", "4", "--dry-run"]) == 0
    assert "6 to run" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "flags", "message"),
    [
        (["--target", "tpu:v5e:4x5"], SMALL, "There is no target"),
        (["--target", "gpu:h100:8", "--provider", "gcloud"], SMALL, "is a GPU"),
        (["--target", "tpu:v5e:4x4", *BUCKET], SMALL, "4 machines, whose processes"),
        (
            ["--target", "tpu:v5e:2x4", "--provider", "gcloud"],
            SMALL,
            "need the program.*--image",
        ),
        (["--target", "tpu:v5e:2x4", "--name", "A"], SMALL, "--name is 'A'"),
        (["--target", "tpu:v5e:2x4", *BUCKET], ["--out", "x"], "Leave --out out"),
        (["--target", "tpu:v5e:2x4", *BUCKET], ["--dry-run"], "Leave --dry-run out"),
        (
            ["--target", "tpu:v5e:2x4", *BUCKET],
            ["--process-id=0"],
            "Leave --process-id out",
        ),
        (["--target", "tpu:v5e:2x4", *BUCKET], ["--env", "a\nb"], "line break"),
        (["--target", "tpu:v5e:2x4", *BUCKET], ["--preset", "x"], "no preset"),
        (["--target", "tpu:v5e:2x4", *BUCKET], ["--budgets", "x"], "--budgets has 'x'"),
        (
            ["--target", "tpu:v5e:2x4", *BUCKET],
            ["--precision", "f64"],
            "f64 is for tests",
        ),
        (
            ["--target", "tpu:v5e:2x4", *BUCKET],
            ["--shards", "4"],
            "not a multiple of the 8",
        ),
        (["--target", "tpu:v5e:2x4", *BUCKET], ["--mesh.data", "3"], "has 8 chips"),
        (
            ["--target", "tpu:v5e:2x4", *BUCKET],
            ["--dataset", "d"],
            "is on this machine",
        ),
        (
            ["--target", "tpu:v5e:2x4", *BUCKET],
            ["--grace", "-1"],
            "--grace is a number",
        ),
        (["--target", "tpu:v5e:2x4", *BUCKET], ["--searches", "1e6"], "--searches 1e6"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    call, tmp_path, words, flags, message
):
    with pytest.raises(ValueError, match=message) as refusal:
        call(*words, sweep_flags=flags)
    assert str(refusal.value).endswith(".")
    assert not written(tmp_path)


def test_flags_that_sweep_does_not_have_are_refused_in_its_words(
    call, tmp_path, capsys
):
    with pytest.raises(SystemExit) as end:
        call("--target", "tpu:v5e:2x4", *BUCKET, sweep_flags=["--budget", "1e3"])
    assert end.value.code == 2
    assert "--budgets" in capsys.readouterr().err
    assert not written(tmp_path)


def test_without_a_sweep_there_is_nothing_to_write():
    with pytest.raises(ValueError, match="give them after --"):
        cloud.cloud(["--target", "tpu:v5e:2x4"])


@pytest.mark.parametrize(
    ("out", "message"), [("gs://bucket/x", "is an address"), ("file", "is a file")]
)
def test_the_folder_must_be_one(tmp_path, monkeypatch, out, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    words = ["--target", "tpu:v5e:2x4", *BUCKET, "--out", out, "--", *SMALL]
    with pytest.raises(ValueError, match=message):
        cloud.cloud(words)
    assert written(tmp_path) == {"file"}
