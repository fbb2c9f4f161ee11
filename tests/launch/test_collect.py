"""The command: one line when it is done, resumable, and sentences for bad input."""

import importlib
import importlib.util
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from typing import Any

import jax
import pytest
import test_run

from launch import bar, collect, import_dataset
from scaling import checkpoint, collecting, config, execution, results, run, stages
from scaling.agent import model as models
from scaling.datasets import compatibility, episodes
from scaling.envs import registry

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "datasets"))
recorded: Any = importlib.import_module("recorded")

CARTPOLE = ("random", "--preset", "cartpole", "--env", "gymnasium:CartPole-v1")
needs_minari = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("minari", "h5py")),
    reason="minari[hdf5] is not installed",
)


def play(*flags):
    return collect.collect([str(flag) for flag in flags])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What a run leaves, with the networks of two curve points; it learned nothing."""
    directory = tmp_path_factory.mktemp("runs") / "it"
    settings, cell = test_run.SETTINGS, test_run.cell()
    values = {"settings": config.as_dict(settings), "cell": config.as_dict(cell)}
    model = models.make_model(test_run.Corridor(None).spec, settings)
    params = model.init(jax.random.key(0))
    checkpoint.save_params(directory, params)
    for call in (40, 80):
        checkpoint.save_params(stages.folder(directory / "stages", call), params)
    (directory / "config.json").write_text(json.dumps(values))
    point = {"kind": "curve", "call": 80, "score": 0.125}
    (directory / "metrics.jsonl").write_text(json.dumps(point) + "\n")
    row = results.identity(settings, cell, "factorial")
    results.write_row(directory, row | {"status": "ok", "score": 0.25})
    return directory


def test_the_random_policy_plays_what_its_settings_say(tmp_path, capsys):
    out = tmp_path / "store"
    sticky = ("--protocol.sticky", 0.25, "--protocol.max-frames", 20)
    assert play(*CARTPOLE, *sticky, "--frames", "2e2", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "store: " in printed
    assert "episodes of gymnasium:CartPole-v1" in printed
    store = episodes.open_store(out)
    assert 200 <= store.statistics().frames < 220
    assert store.index.length.max() <= 20
    facts = store.header.provenance
    assert (facts["kind"], facts["name"], facts["action"]) == (
        "collected",
        *["random"] * 2,
    )
    assert facts["command"].startswith("collect.py random")
    protocol = config.Protocol(stack=1, past_actions=0, sticky=0.25, max_frames=20)
    env = registry.make_host("gymnasium:CartPole-v1", protocol, 1)
    compatibility.check(store.header, env.spec, "it")
    assert not compatibility.warnings(store.header, protocol)


def test_a_finished_store_is_left_alone_and_another_is_refused(tmp_path, capsys):
    flags = (*CARTPOLE, "--episodes", 3, "--out", tmp_path / "store")
    play(*flags)
    before = recorded.tree(tmp_path / "store")
    assert play(*flags, "--lanes", 2) == 0
    assert recorded.tree(tmp_path / "store") == before
    assert capsys.readouterr().out.count("3 episodes") == 2
    for other in (("--seed", 1), ("--protocol.sticky", 0.5)):
        with pytest.raises(ValueError, match=r"holds another data set.*\.$"):
            play(*flags, *other)


def test_a_run_plays_and_its_store_says_so(made, tmp_path):
    flags = ("--action", "policy", "--epsilon", 0.5, "--episodes", 8)
    play(made, *flags, "--out", tmp_path / "last")
    facts = episodes.open_store(tmp_path / "last").header.provenance
    assert (facts["name"], facts["stage"], facts["score"]) == ("it", None, 0.25)
    assert (facts["action"], facts["epsilon"]) == ("policy", 0.5)
    assert facts["config_hash"] == config.config_hash(
        test_run.SETTINGS, test_run.cell()
    )
    play(made, *flags, "--out", tmp_path / "stage", "--stage", 2)
    facts = episodes.open_store(tmp_path / "stage").header.provenance
    assert (facts["stage"], facts["call"], facts["score"]) == (2, 80, 0.125)


@pytest.mark.slow
def test_a_real_run_plays_as_in_its_evaluation_and_its_stores_are_imported(
    tmp_path, capsys
):
    directory = tmp_path / "it"
    how = execution.Execution(keep_stages=True, keep_replay=True)
    row = run.run(test_run.SETTINGS, test_run.cell(), directory, how=how)
    play(directory, "--episodes", 8, "--out", tmp_path / "played")
    store = episodes.open_store(tmp_path / "played")
    assert store.header.provenance["action"] == "mcts"
    assert store.header.provenance["score"] == row["score"]
    assert store.statistics().mean_return == row["score"] == 1
    flags = ["--from-run", str(directory), "--out", str(tmp_path / "store"), "--verify"]
    for _ in range(2):
        assert import_dataset.import_dataset(flags) == 0
    out = capsys.readouterr().out
    assert out.count("store: ") == 2
    assert out.count("every checksum verified") == 2
    stats = episodes.open_store(tmp_path / "store").statistics()
    assert f"Left out: {600 - stats.steps} steps of cut episodes." in out
    assert 500 < stats.steps < 600


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        ((), "Name one thing to import"),
        (("SOURCE", "--from-run", "RUN"), "Name one thing to import"),
        (("--from-run", "RUN", "--env", "atari:Pong"), "--env is for data sets"),
        (("--from-run", "RUN", "--allow-lossy"), "--allow-lossy is for data sets"),
        (("--from-run", "none"), "not the directory of a run"),
        (("RUN",), "is a run; import its episodes with --from-run"),
    ],
)
def test_runs_and_data_sets_are_told_apart(flags, why, tmp_path, made):
    flags = [str(made) if flag == "RUN" else flag for flag in flags]
    with pytest.raises(ValueError, match=rf"{why}.*\.$"):
        import_dataset.import_dataset([*flags, "--out", str(tmp_path / "store")])
    assert not list(tmp_path.iterdir())


@needs_minari
def test_what_is_exported_is_imported_to_the_same_bytes(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    name = "cartpole/random-v0"
    flags = (*CARTPOLE, "--episodes", 5, "--out", tmp_path / "store", "--minari", name)
    play(*flags)
    play(*flags)  # the export is left alone too
    assert capsys.readouterr().out.count(f"Minari: {name} in ") == 2
    import_dataset.import_dataset([name, "--out", str(tmp_path / "again")])
    assert recorded.tree(tmp_path / "again") == recorded.tree(tmp_path / "store")
    elsewhere = ("--minari-out", tmp_path / "elsewhere")
    play(*flags, *elsewhere)
    assert (tmp_path / "elsewhere" / "data" / "metadata.json").is_file()
    with pytest.raises(ValueError, match=r"elsewhere exists already.*\.$"):
        play(*flags[:-1], "cartpole/other-v0", *elsewhere)


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (CARTPOLE, "Give one of --frames and --episodes"),
        ((*CARTPOLE, "--frames", "9", "--episodes", "9"), "Give one of --frames and"),
        ((*CARTPOLE, "--frames", "0.5"), "--frames has 0.5"),
        ((*CARTPOLE, "--episodes", "0"), "--episodes is 0"),
        ((*CARTPOLE, "--episodes", "1", "--lanes", "0"), "--lanes is 0"),
        ((*CARTPOLE, "--episodes", "1", "--seed", "-1"), "--seed is -1"),
        (
            (*CARTPOLE, "--episodes", "1", "--epsilon", "0.1"),
            "--epsilon is for the net",
        ),
        ((*CARTPOLE, "--episodes", "1", "--stage", "1"), "--stage is for the network"),
        ((*CARTPOLE, "--episodes", "1", "--minari-out", "x"), "give --minari"),
        (("random", "--episodes", "1", "--env", "jumanji:Pacman"), "no environment"),
        (("none", "--episodes", "1"), "There is no run none"),
        (("RUN", "--episodes", "1", "--epsilon", "1.5"), "--epsilon is 1.5"),
        (("RUN", "--episodes", "1", "--preset", "demo"), "has settings of its own"),
        (("RUN", "--episodes", "1", "--env", "atari:Pong"), "has settings of its own"),
        (("RUN", "--episodes", "1", "--stage", "9"), "--stage is 9"),
    ],
)
def test_flags_that_cannot_be_are_sentences_and_nothing_is_written(
    flags, why, tmp_path, made
):
    flags = [str(made) if flag == "RUN" else flag for flag in flags]
    with pytest.raises(ValueError, match=rf"{why}.*\.$"):
        play(*flags, "--out", tmp_path / "store")
    assert not list(tmp_path.iterdir())


def test_a_run_that_has_not_finished_is_refused_but_for_its_stages(made, tmp_path):
    shutil.copytree(made, tmp_path / "begun")
    (tmp_path / "begun" / "result.json").unlink()
    with pytest.raises(ValueError, match=r"is not finished.*\.$"):
        play(tmp_path / "begun", "--episodes", 1, "--out", tmp_path / "store")
    flags = ("--stage", 1, "--action", "policy", "--episodes", 1)
    play(tmp_path / "begun", *flags, "--out", tmp_path / "store")


def test_an_interrupted_collection_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(collecting, "STEPS_OF_CHUNK", 50)
    flags = (*CARTPOLE, "--episodes", 20, "--lanes", 4)
    play(*flags, "--out", tmp_path / "whole")
    report = bar.Bar.imported

    def interrupt(self, progress):
        report(self, progress)
        if progress.episodes >= 9:
            raise KeyboardInterrupt

    monkeypatch.setattr(bar.Bar, "imported", interrupt)
    with pytest.raises(KeyboardInterrupt):
        play(*flags, "--out", tmp_path / "broken")
    assert not (tmp_path / "broken").exists()
    monkeypatch.setattr(bar.Bar, "imported", report)
    play(*flags, "--out", tmp_path / "broken")
    one, other = (recorded.tree(tmp_path / name) for name in ("whole", "broken"))
    differing = {name for name in one if one[name] != other[name]}
    assert set(one) == set(other)
    assert differing <= {"manifest.json"}  # its command names another --out


def start(out, *flags):
    words = [sys.executable, str(ROOT / "launch" / "collect.py"), *flags, "--out", out]
    return subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def wait_for(process, path):
    end = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < end:
        if len(list(path.glob("actions-*.npy"))) > 2:
            return
        time.sleep(0.02)
    raise AssertionError(process.communicate())


def finish(process):
    said = process.communicate(timeout=600)
    assert process.returncode == 0, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)]
)
def test_a_killed_collection_goes_on_to_the_same_bytes(number, status, tmp_path):
    flags = (*CARTPOLE, "--frames", "6e4")
    out = tmp_path / "store"
    process = start(out, *flags)
    wait_for(process, tmp_path / "store.partial")
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == status
    if number == signal.SIGINT:
        assert "the same command goes on" in told
        assert "Traceback" not in told
    assert not out.exists()
    finish(start(out, *flags))
    first = recorded.tree(out)
    shutil.rmtree(out)
    finish(start(out, *flags))
    assert recorded.tree(out) == first


def test_help_says_who_can_play(capsys):
    with pytest.raises(SystemExit) as stop:
        play("--help")
    assert stop.value.code == 0
    out = capsys.readouterr().out
    for word in ("random", "--stage", "--epsilon", "--minari", "--keep-stages"):
        assert word in out
