"""Seeds made as one program end as they would have by themselves."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_interrupted
import test_run

from scaling import (
    config,
    execution,
    ledger,
    log,
    loops,
    packing,
    results,
    run,
    sharding,
)


class Corridor(test_run.Corridor):
    """The game with observations of the width that it says, in f64 too."""

    def _observe(self, place):
        return jax.nn.one_hot(place, self.length + 1, dtype=jnp.float32)


# As in tests/mesh: few updates, since each multiplies what another order of sums makes.
SETTINGS = dataclasses.replace(
    test_run.SETTINGS,
    env=f"{__name__}:Corridor",
    precision="f64",
    samples_per_search=1.0,
    evaluation=config.Evaluation(
        action="policy", episodes=8, curve_points=1, curve_episodes=4
    ),
)
SAME = (
    *("digest", "score", "score_sd", "eval_episodes", "note", "status"),
    *("agent_steps", "searched_states", "learner_updates", "samples"),
    *("realised_fraction", "sources", "flops", "attempts", "resumes"),
)


def same(row):
    return {column: row[column] for column in SAME}


def pack(directory, seeds, settings=SETTINGS, polls=None, how=execution.DEFAULT):
    """Makes seeds side by side; returns the row, or the error, of each."""
    ends = {}

    def job(seed, runner):
        stop = test_interrupted.StopAfter(10**6 if polls is None else polls)
        place, cell = directory / f"s{seed}", test_run.cell(seed=seed)
        try:
            ends[seed] = runner(settings, cell, place, how=how, stop=stop)
        except Exception as error:
            ends[seed] = error

    jobs = [functools.partial(job, seed) for seed in seeds]
    packing.side_by_side(settings.precision, jobs)
    return ends


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Seeds made one by one: their rows and where they are."""
    made = {}
    for seed in (0, 1, 2):
        directory = tmp_path_factory.mktemp("alone") / f"s{seed}"
        row = run.run(SETTINGS, test_run.cell(seed=seed), directory)
        made[seed] = (row, directory)
    return made


def assert_same_files(directory, other):
    """The same lines but for rounding and clocks, the same network but for rounding."""
    assert {p.name for p in directory.iterdir()} == {p.name for p in other.iterdir()}
    lines = [test_interrupted.journal(place) for place in (directory, other)]
    for ours, theirs in zip(*lines, strict=True):
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            near = isinstance(value, float)
            expected = pytest.approx(theirs[name], 1e-9, 1e-9) if near else theirs[name]
            assert value == expected, name
    with sharding.precision("f64"):
        networks = [
            test_interrupted.parameters(SETTINGS, place) for place in (directory, other)
        ]
    for ours, theirs in zip(*networks, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_packed_seeds_end_as_they_do_one_by_one(alone, tmp_path):
    rows = pack(tmp_path, [0, 1, 2])
    assert len({row["digest"] for row in rows.values()}) == 3
    for seed, (row, directory) in alone.items():
        assert same(rows[seed]) == same(row)
        assert rows[seed]["hardware"] == f"{row['hardware']}, 3 runs packed"
        on_disk = results.read_row(tmp_path / f"s{seed}") or {}
        assert on_disk.items() >= rows[seed].items()
        assert_same_files(tmp_path / f"s{seed}", directory)


def interrupted(directory, seeds, polls):
    how = execution.Execution(checkpoint_calls=3)
    ends = pack(directory, seeds, polls=polls, how=how)
    assert {type(end) for end in ends.values()} == {ledger.Interrupted}
    return ends


@pytest.mark.slow
def test_seeds_interrupted_together_go_on_apart_and_the_other_way(alone, tmp_path):
    interrupted(tmp_path, [0, 1, 2], 3)
    row = run.run(SETTINGS, test_run.cell(seed=0), tmp_path / "s0")
    assert same(row) == same(alone[0][0])
    assert row["hardware"].endswith(", 3 runs packed")  # a part of it was
    # One has got further by itself, so that two are at the same call.
    with pytest.raises(ledger.Interrupted):
        run.run(
            SETTINGS,
            test_run.cell(seed=1),
            tmp_path / "s1",
            stop=test_interrupted.StopAfter(1),
        )
    interrupted(tmp_path, [3], 3)  # begins where 2 was stopped
    rows = pack(tmp_path, [1, 2, 3])
    for seed in (1, 2):
        assert same(rows[seed]) == same(alone[seed][0])
        assert_same_files(tmp_path / f"s{seed}", alone[seed][1])
    assert rows[3]["hardware"].endswith(", 2 runs packed")


@pytest.mark.slow
def test_a_loss_that_is_no_number_ends_its_run_alone(alone, tmp_path, monkeypatch):
    make = loops.make

    def make_with_trouble(settings, seed, *arguments):
        loop = make(settings, seed, *arguments)
        if seed != 1:
            return loop
        learner = loop.state.learner
        params = jax.tree.map(lambda x: x * jnp.nan, learner.params)
        learner = learner._replace(params=params)
        return loop._replace(state=loop.state._replace(learner=learner))

    monkeypatch.setattr(loops, "make", make_with_trouble)
    ends = pack(tmp_path, [0, 1, 2])
    assert isinstance(ends[1], log.DivergedError)
    assert not (tmp_path / "s1" / "result.json").exists()
    for seed in (0, 2):
        assert same(ends[seed]) == same(alone[seed][0])


@pytest.mark.slow
def test_a_run_that_cannot_begin_fails_alone(alone, tmp_path):
    (tmp_path / "s1").write_text("in the way")
    ends = pack(tmp_path, [0, 1, 2])
    assert isinstance(ends[1], OSError)
    assert ends[0]["hardware"].endswith(", 2 runs packed")
    assert [same(ends[s]) for s in (0, 2)] == [same(alone[s][0]) for s in (0, 2)]


def test_an_error_of_the_program_ends_all(tmp_path, monkeypatch):
    def no_memory(*_):
        raise MemoryError("no room for 2 runs")

    monkeypatch.setattr(loops, "packed_programs", no_memory)
    ends = pack(tmp_path, [0, 1])
    assert [str(end) for end in ends.values()] == ["no room for 2 runs"] * 2


@pytest.mark.slow
def test_what_is_on_the_host_goes_on_by_itself(tmp_path):
    settings = dataclasses.replace(
        test_run.HOST, evaluation=config.Evaluation(episodes=2, curve_points=0)
    )
    rows = pack(tmp_path, [0, 1], settings)
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert not any("packed" in row["hardware"] for row in rows.values())


@pytest.mark.parametrize(
    ("runs", "devices", "spread"),
    [
        (3, 1, (1, 0)),
        (3, 8, (3, 0)),
        (3, 2, (2, 1)),
        (5, 4, (3, 1)),
        (8, 4, (4, 0)),
        (9, 4, (3, 0)),
    ],
)
def test_runs_are_spread_evenly(runs, devices, spread):
    assert packing._spread(runs, devices) == spread
