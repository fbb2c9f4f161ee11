"""A store is whole or not there, and the same however often writing was interrupted."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import recorded

from scaling.datasets import episodes, manifest, writer
from scaling.datasets.episodes import Episode


@pytest.fixture
def played():
    rng = np.random.default_rng(0)
    return [recorded.episode(rng, int(n)) for n in rng.integers(1, 9, 12)]


class Killed(BaseException):
    """What a process that ends at once leaves no time for."""


def write_until(path, played, stop, head=None):
    """Appends from where the store is up to episode `stop`; never finishes."""
    with writer.EpisodeWriter(path, head or recorded.header()) as out:
        for each in played[out.kept : stop]:
            out.append(each)
    assert not path.exists()


def finish(path, played, head=None):
    with writer.EpisodeWriter(path, head or recorded.header()) as out:
        for each in played[out.kept :]:
            out.append(each)
        out.finish()
        return out.kept


@hypothesis.settings(max_examples=8)
@hypothesis.given(stops=st.lists(st.integers(0, 12), max_size=3))
def test_interrupted_stores_end_with_the_same_bytes(tmp_path_factory, stops):
    rng = np.random.default_rng(0)
    played = [recorded.episode(rng, int(n)) for n in rng.integers(1, 9, 12)]
    tmp_path = tmp_path_factory.mktemp("stops")
    finish(tmp_path / "whole", played)
    for stop in stops:
        write_until(tmp_path / "store", played, stop)
    finish(tmp_path / "store", played)
    assert recorded.tree(tmp_path / "store") == recorded.tree(tmp_path / "whole")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store", "whole"]


def test_what_was_whole_is_kept(tmp_path, played):
    write_until(tmp_path / "store", played, 9)
    with pytest.raises(ValueError, match=r"interrupted .* run the same command again"):
        episodes.open_store(tmp_path / "store")
    assert 0 < finish(tmp_path / "store", played) <= 9


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_a_torn_line_of_the_journal_does_not_count(tmp_path, played, cut):
    finish(tmp_path / "whole", played)
    write_until(tmp_path / "store", played, 12)
    journal = tmp_path / "store.partial" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-cut])
    finish(tmp_path / "store", played)
    assert recorded.tree(tmp_path / "store") == recorded.tree(tmp_path / "whole")


def test_a_process_killed_while_a_chunk_is_written(tmp_path, played, monkeypatch):
    finish(tmp_path / "whole", played)
    write = writer._write_file

    def killed(path, arrays, dtype):
        if path.name == "rewards-00002.npy":
            path.write_bytes(b"half")
            raise Killed
        return write(path, arrays, dtype)

    monkeypatch.setattr(writer, "_write_file", killed)
    with pytest.raises(Killed):
        finish(tmp_path / "store", played)
    monkeypatch.undo()
    finish(tmp_path / "store", played)
    assert recorded.tree(tmp_path / "store") == recorded.tree(tmp_path / "whole")


def test_what_was_half_written_does_not_stay(tmp_path, played):
    """As chunks that the source, fetched again, no longer fills."""
    finish(tmp_path / "whole", played)
    write_until(tmp_path / "store", played, 9)
    (tmp_path / "store.partial" / "rewards-00099.npy").write_bytes(b"half")
    (tmp_path / "store.partial" / ".manifest.json.0").write_bytes(b"half")
    finish(tmp_path / "store", played)
    assert recorded.tree(tmp_path / "store") == recorded.tree(tmp_path / "whole")


def test_a_process_killed_before_the_store_gets_its_name(tmp_path, played, monkeypatch):
    finish(tmp_path / "whole", played)

    def killed(part, path):
        raise Killed

    monkeypatch.setattr(writer, "_publish", killed)
    with pytest.raises(Killed):
        finish(tmp_path / "store", played)
    monkeypatch.undo()
    writer.settle(tmp_path / "store")
    assert recorded.tree(tmp_path / "store") == recorded.tree(tmp_path / "whole")


def test_going_on_with_another_source_is_refused(tmp_path, played):
    write_until(tmp_path / "store", played, 9)
    with pytest.raises(ValueError, match=r"other flags \(protocol\); delete it"):
        finish(tmp_path / "store", played, recorded.header(sticky=0.5))
    assert finish(tmp_path / "store", played) > 0


def test_a_later_source_file_may_be_fetched_again(tmp_path, played):
    def head(*sizes):
        files = tuple(manifest.SourceFile(f"f{i}", n) for i, n in enumerate(sizes))
        return dataclasses.replace(recorded.header(), sources=files)

    with writer.EpisodeWriter(tmp_path / "s", head(1, 2)) as out:
        for number, each in enumerate(played):
            out.append(each, manifest.Origin(0, number))
    with pytest.raises(ValueError, match=r"\(sources\)"):
        writer.EpisodeWriter(tmp_path / "s", head(9, 2))
    with writer.EpisodeWriter(tmp_path / "s", head(1, 9)) as out:
        assert out.kept > 0


def test_a_damaged_chunk_is_not_gone_on_with(tmp_path, played):
    write_until(tmp_path / "store", played, 12)
    (tmp_path / "store.partial" / "actions-00000.npy").write_bytes(b"")
    with pytest.raises(ValueError, match=r"actions-00000.npy of the interrupted"):
        finish(tmp_path / "store", played)


def test_one_writer_at_a_time(tmp_path, played):
    with (
        writer.EpisodeWriter(tmp_path / "store", recorded.header()),
        pytest.raises(ValueError, match="written by another process"),
    ):
        finish(tmp_path / "store", played)


def test_a_store_is_not_written_over(tmp_path, played):
    finish(tmp_path / "store", played)
    before = recorded.tree(tmp_path)
    with pytest.raises(ValueError, match=r"exists already; name another --out"):
        finish(tmp_path / "store", played)
    assert recorded.tree(tmp_path) == before


def test_arrays_of_the_caller_may_be_used_again(tmp_path, played):
    one = recorded.episode(np.random.default_rng(0))
    same = recorded.episode(np.random.default_rng(0))
    with writer.EpisodeWriter(tmp_path / "s", recorded.header(chunk_bytes=999)) as out:
        out.append(one)
        for array in one[:3]:
            array[:] = 0
        out.finish()
    recorded.assert_equal(episodes.open_store(tmp_path / "s")[0], same)


def test_no_episodes_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="There is no episode"):
        finish(tmp_path / "store", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("most", "kind"), [(1.0, "clipped"), (1.5, "raw")])
def test_the_kind_of_rewards_is_inferred(tmp_path, most, kind):
    rng = np.random.default_rng(0)
    one = recorded.episode(rng)._replace(
        rewards=np.array([0, -most, 1, 0.5], np.float32)
    )
    store = recorded.store(
        tmp_path / "store", [one], recorded.header(reward_kind="inferred")
    )
    assert store.header.protocol.reward_kind == kind


def bad(**fields):
    return recorded.episode(np.random.default_rng(0))._replace(**fields)


def floats(*values):
    return np.array(values, np.float32)


WRONG = {
    "no steps": (
        bad(
            observations=np.zeros((1, 3, 2), np.uint8),
            actions=np.zeros(0, np.int32),
            rewards=floats(),
        ),
        "has no steps",
    ),
    "rewards missing": (bad(rewards=floats(0, 0, 0)), "has 4 actions, 3 rewards and 5"),
    "observations missing": (
        bad(observations=np.zeros((3, 3, 2), np.uint8)),
        "4 actions need 4 rewards and 5 or 4 observations",
    ),
    "another shape": (
        bad(observations=np.zeros((5, 2, 3), np.uint8)),
        r"observations of uint8 \(2, 3\), but those .* are uint8 \(3, 2\)",
    ),
    "another type": (bad(observations=np.zeros((5, 3, 2))), "observations of float64"),
    "NaN": (bad(rewards=floats(0, np.nan, 0, 0)), "NaN .* rewards at step 1"),
    "infinity": (bad(rewards=floats(0, 0, 0, np.inf)), "infinity .* rewards at step 3"),
    "an action too large": (
        bad(actions=np.array([0, 5, 0, 0], np.int32)),
        "actions 0 to 5, but there are only 0 to 4",
    ),
    "a negative action": (bad(actions=np.array([0, 1, 0, -1], np.int32)), "actions -1"),
}


@pytest.mark.parametrize(("wrong", "why"), WRONG.values(), ids=WRONG.keys())
def test_an_episode_that_does_not_fit_is_named(tmp_path, played, wrong: Episode, why):
    with writer.EpisodeWriter(tmp_path / "store", recorded.header()) as out:
        out.append(played[0])
        with pytest.raises(ValueError, match=rf"^Episode 1 .*{why}.*\.$"):
            out.append(wrong)
    assert not list(tmp_path.iterdir())


def test_a_nan_in_observations_is_named(tmp_path):
    rng = np.random.default_rng(0)
    one = recorded.episode(rng, dtype=np.float32)
    one.observations[2, 1, 0] = np.nan
    with (
        writer.EpisodeWriter(tmp_path / "s", recorded.header(dtype="<f4")) as out,
        pytest.raises(ValueError, match=r"NaN .* observations at step 2"),
    ):
        out.append(one)
