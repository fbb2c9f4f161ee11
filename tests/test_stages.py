"""Networks of curve points are kept whole, once each, and are found by number."""

import dataclasses
import functools
import json
import shutil

import jax
import pytest
import test_interrupted
import test_run

from scaling import checkpoint, evaluate, execution, ledger, run, stages, training
from scaling.agent import model as models

SETTINGS = test_run.SETTINGS
THREE = dataclasses.replace(
    SETTINGS, evaluation=dataclasses.replace(SETTINGS.evaluation, curve_points=3)
)
KEEP = execution.Execution(keep_stages=True, checkpoint_calls=3)


@functools.cache
def parts():
    game = test_run.Corridor(None)
    model = models.make_model(game.spec, SETTINGS)
    policy = evaluate.greedy_policy(model, SETTINGS)
    play = evaluate.on_device(game, policy, SETTINGS.protocol, lanes=8)
    return play, jax.eval_shape(model.init, jax.random.key(0))


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    directory = tmp_path_factory.mktemp("kept")
    run.run(SETTINGS, test_run.cell(), directory, how=KEEP)
    return directory


def curve(directory):
    lines = map(json.loads, (directory / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if line["kind"] == "curve"]


def check_stages(directory, number):
    points, found = curve(directory), stages.every(directory)
    assert len(found) == number
    assert [stage.call for stage in found] == [point["call"] for point in points]
    play, shape = parts()
    seed = training.evaluation_seed(0) + 1
    for index, point in enumerate(points, 1):
        stage = stages.at(directory, index)
        params = checkpoint.load_params(stage.directory, shape)
        assert play(params, seed, 4).mean() == point["score"]
        assert stages.score(directory, stage) == point["score"]


@pytest.mark.slow
def test_a_curve_point_has_the_network_that_played_it(kept):
    check_stages(kept, 1)
    points = sorted(path.name for path in (kept / "stages").iterdir())
    assert points == [f"{curve(kept)[0]['call']:012d}"]


def stop_and_go_on(directory, polls):
    for number in polls:
        stop = test_interrupted.StopAfter(number)
        with pytest.raises(ledger.Interrupted):
            run.run(THREE, test_run.cell(), directory, how=KEEP, stop=stop)
    run.run(THREE, test_run.cell(), directory, how=KEEP)


def parameters(directory):
    _, shape = parts()
    return [
        leaf
        for stage in stages.every(directory)
        for leaf in jax.tree.leaves(checkpoint.load_params(stage.directory, shape))
    ]


@pytest.mark.slow
def test_a_run_that_was_interrupted_has_the_same_stages(tmp_path):
    stop_and_go_on(tmp_path / "broken", (1, 20, 0, 15, 30))
    stop_and_go_on(tmp_path / "whole", ())
    check_stages(tmp_path / "broken", 3)
    pairs = zip(
        parameters(tmp_path / "broken"), parameters(tmp_path / "whole"), strict=True
    )
    assert all((one == other).all() for one, other in pairs)


@pytest.mark.slow
def test_a_stage_that_is_not_there_is_a_sentence(kept, tmp_path):
    with pytest.raises(ValueError, match=r"kept no networks.*--keep-stages.*\.$"):
        stages.at(tmp_path, 1)
    for number in (0, 2):
        with pytest.raises(
            ValueError, match=rf"--stage is {number}.* 1 \(call \d+\).*\.$"
        ):
            stages.at(kept, number)


@pytest.mark.slow
def test_what_was_not_written_whole_is_no_stage(kept, tmp_path):
    shutil.copytree(kept / "stages", tmp_path / "stages")
    (whole,) = stages.every(tmp_path)
    assert stages.score(tmp_path, whole) is None  # there is no log
    (whole.directory / "params").rename(whole.directory / "params.tmp-1")
    assert stages.every(tmp_path) == []


def test_execution_has_the_flag():
    saves = execution.Checkpoints(keep_stages=True)
    how = execution.execution("factorial", execution.DEFAULT.mesh, saves, 300.0)
    assert how.keep_stages
    assert execution.from_dict(execution.as_dict(how)) == how
    assert not execution.DEFAULT.keep_stages
