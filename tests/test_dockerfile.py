"""The Dockerfile, without an engine: its form, its rules, and its steps run by hand.

What of it cannot be run here: the pull of the base image, `useradd`, and the copy from
stage to stage, which is the same folder here.
"""

import fnmatch
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import NamedTuple

import pytest

ROOT = pathlib.Path(__file__).parents[1]
TEXT = (ROOT / "Dockerfile").read_text()


class Step(NamedTuple):
    """An instruction of a Dockerfile."""

    word: str
    rest: str


def steps_of(text: str) -> list[Step]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n", " ", "\n".join(lines))
    found = [line.split(maxsplit=1) for line in whole.splitlines() if line.strip()]
    return [Step(word, rest.strip()) for word, rest in found]


def stages_of(steps: list[Step]) -> list[list[Step]]:
    """Returns the steps of each stage; those before the first are no stage's."""
    stages: list[list[Step]] = []
    for step in steps:
        if step.word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(step)
    return stages


def filled(text: str, arguments: dict[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda found: arguments[found[1]], text)


def rules_broken(text: str) -> list[str]:
    """Returns which rules a Dockerfile breaks, by the numbers that hadolint has."""
    steps = steps_of(text)
    broken = [rule for step in steps for rule in _of_step(step, steps)]
    last = stages_of(steps)[-1]
    users = [step.rest for step in last if step.word == "USER"]
    if not users or users[-1].split(":")[0] in ("root", "0"):
        broken.append("DL3002 the last user is root")
    if sum(step.word == "CMD" for step in last) > 1:
        broken.append("DL4003 several CMD")
    if sum("apt-get install" in step.rest for step in steps) > 1:
        broken.append("one layer of apt-get")
    return broken


def _of_step(step: Step, steps: list[Step]) -> list[str]:
    word, rest = step
    if word == "FROM":
        return _of_base(rest, steps)
    if word == "RUN":
        return _of_run(rest)
    broken = []
    if word == "ADD" and not re.match(r"(--\S+ )*https?://|\S+\.tar", rest):
        broken.append("DL3020 ADD of files")
    if word == "WORKDIR" and not rest.startswith(("/", "$")):
        broken.append("DL3000 relative WORKDIR")
    if word in ("CMD", "ENTRYPOINT") and not rest.startswith("["):
        broken.append("DL3025 shell form")
    if word == "MAINTAINER":
        broken.append("DL4000 MAINTAINER")
    return broken


def _of_base(rest: str, steps: list[Step]) -> list[str]:
    image = rest.split()[0]
    arguments = dict(s.rest.split("=", 1) for s in steps if s.word == "ARG")
    image = filled(image, arguments)
    _, _, tag = image.rpartition("/")[2].partition(":")
    if not tag and "@" not in image:
        return ["DL3006 no tag"]
    return ["DL3007 latest"] if tag == "latest" else []


def _of_run(rest: str) -> list[str]:
    broken = []
    commands = re.split(r"&&|\|\||;", rest)
    if any(command.split()[:1] == ["sudo"] for command in commands):
        broken.append("DL3004 sudo")
    if any(command.split()[:1] == ["cd"] for command in commands):
        broken.append("DL3003 cd")
    if re.search(r"\bapt (install|update)\b", rest):
        broken.append("DL3027 apt")
    if "apt-get install" in rest:
        for need, rule in {
            "--no-install-recommends": "DL3015",
            "-y": "DL3014",
            "apt-get update": "update in the same layer",
            "rm -rf /var/lib/apt/lists": "DL3009",
        }.items():
            broken += [] if need in rest else [rule]
    if "pip install" in rest and "--no-cache-dir" not in rest:
        broken.append("DL3042 pip's cache")
    return broken


def test_it_keeps_the_rules():
    assert not rules_broken(TEXT)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("python:${PYTHON}-slim-bookworm\nLABEL", "python\nLABEL", "DL3006"),
        ("python:${PYTHON}-slim-bookworm\nLABEL", "a/b:latest\nLABEL", "DL3007"),
        ("USER 1000\n", "", "DL3002"),
        ("USER 1000\n", "USER 1000\nUSER root\n", "DL3002"),
        ("WORKDIR /study\nUSER", "WORKDIR study\nUSER", "DL3000"),
        ("COPY scaling scaling", "ADD scaling scaling", "DL3020"),
        ('CMD ["python"', 'CMD sh\nCMD ["python"', "DL4003"),
        ('CMD ["python", ', "CMD python ", "DL3025"),
        ("RUN useradd", "RUN sudo useradd", "DL3004"),
        ("RUN useradd", "RUN cd / && useradd", "DL3003"),
        (" --no-cache-dir", "", "DL3042"),
        ("RUN useradd", "RUN apt install git\nRUN useradd", "DL3027"),
        ("RUN useradd", "RUN apt-get install git\nRUN useradd", "DL3015"),
        ("RUN useradd", "RUN apt-get install -y git\nRUN useradd", "DL3009"),
    ],
)
def test_each_rule_can_be_broken(old, new, rule):
    assert old in TEXT
    assert any(rule in each for each in rules_broken(TEXT.replace(old, new, 1)))


def test_there_are_two_stages_and_the_accelerator_is_an_argument_of_the_first():
    first, last = stages_of(steps_of(TEXT))
    assert first[0].rest.endswith(" AS build")
    assert Step("ARG", "ACCELERATOR=cpu") in first
    assert {step.rest.split()[0] for step in last if step.word == "COPY"} == {
        "--from=build"
    }
    assert not any("pip" in step.rest for step in last if step.word == "RUN")


def test_every_accelerator_is_an_extra():
    extras = project()["optional-dependencies"]
    (run,) = [s.rest for s in steps_of(TEXT) if "pip install" in s.rest]
    (names,) = re.findall(r"(\w+(?: \| \w+)+)\) extra=", run)
    assert set(names.split(" | ")) == {"tpu", "cuda12", "cuda13"} <= set(extras)
    assert " -c constraints.txt " in run


def test_labels_are_those_of_the_project():
    (labels,) = [s.rest for s in steps_of(TEXT) if s.word == "LABEL"]
    found = dict(pair.split("=", 1) for pair in shlex.split(labels))
    assert found["org.opencontainers.image.title"] == project()["name"]
    assert found["org.opencontainers.image.version"] == project()["version"]


def test_nothing_is_fetched_from_a_named_registry():
    assert "://" not in TEXT
    assert "index-url" not in TEXT


def test_the_default_command_is_the_demo_study():
    (command,) = [s.rest for s in steps_of(TEXT) if s.word == "CMD"]
    assert json.loads(command) == ["python", "launch/sweep.py", "--preset", "demo"]


def test_all_that_is_copied_is_there_and_passes_dockerignore():
    copied = sources()
    assert {"pyproject.toml", "constraints.txt", "scaling", "launch"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists()
        assert not ignored(name)


@pytest.mark.parametrize(
    "name", [".git", ".venv", "results", "tests", "docs", ".ci", "scaling/__pycache__"]
)
def test_nothing_else_is_sent_to_the_builder(name):
    assert ignored(name)


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def sources() -> list[str]:
    """Returns what the first stage copies from here."""
    copies = [s.rest.split() for s in stages_of(steps_of(TEXT))[0] if s.word == "COPY"]
    return [name for words in copies for name in words[:-1]]


def ignored(name: str) -> bool:
    """Tells whether .dockerignore hides a path: the last line that matches decides."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    hidden = False
    parts = pathlib.PurePosixPath(name)
    ways = [str(way) for way in (parts, *parts.parents)][:-1]
    for line in lines:
        pattern = line.removeprefix("!").removeprefix("**/")
        anywhere = line.startswith("**/") and pattern in parts.parts
        if line.startswith("#") or not line:
            continue
        if anywhere or any(fnmatch.fnmatch(way, pattern) for way in ways):
            hidden = not line.startswith("!")
    return hidden


def test_an_unknown_accelerator_is_refused(tmp_path):
    (run,) = [s.rest for s in steps_of(TEXT) if "pip install" in s.rest]
    done = subprocess.run(
        ["/bin/sh", "-c", run],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": "/nowhere", "ACCELERATOR": "abacus"},
    )
    assert done.returncode == 1
    assert "use cpu, tpu, cuda12 or cuda13" in done.stderr


def output(
    command: list[str], folder: pathlib.Path, environment: dict[str, str]
) -> str:
    """Returns what a command that succeeds says on standard output."""
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_its_steps_run_in_a_clean_environment(tmp_path):
    """Runs every RUN but those for a container's users, and the default command."""
    home, study, venv = (tmp_path / name for name in ("home", "study", "venv"))
    for folder in (home, study):
        folder.mkdir()
    tools = tmp_path / "tools"  # the image's `python`
    tools.mkdir()
    base = pathlib.Path(sys.base_prefix) / "bin" / "python3"
    (tools / "python").symlink_to(base)
    environment = {
        "HOME": str(home),
        "PATH": f"{venv}/bin:{tools}:/usr/bin:/bin",
        "ACCELERATOR": "cpu",
        **{k: v for k, v in os.environ.items() if k.startswith("PIP_")},
    }
    for name in sources():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, study / name)
    skipped = []
    for step in steps_of(TEXT):
        if step.word != "RUN":
            continue
        if step.rest.startswith("useradd"):
            skipped.append("users and owners are the container's")
            continue
        shell = step.rest.replace("/opt/venv", str(venv))
        output(["sh", "-c", shell], study, environment)
    assert len(skipped) == 1
    command = json.loads([s.rest for s in steps_of(TEXT) if s.word == "CMD"][-1])
    planned = output([*command, "--dry-run"], study, environment)
    assert "45 runs, 2,960,100 searched states: 45 to run." in planned
    pip = str(venv / "bin" / "pip")
    listed = output([pip, "freeze", "--exclude-editable"], study, environment)
    pinned = (ROOT / "constraints.txt").read_text().lower().replace("_", "-")
    for line in listed.lower().replace("_", "-").splitlines():
        assert line in pinned, f"{line} is not of constraints.txt"
