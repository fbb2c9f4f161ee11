"""The store gives back what was written, in any order, and in nested subsets."""

import json
import statistics

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import recorded

from scaling.datasets import episodes, manifest, manifest_file


@pytest.fixture
def played():
    rng = np.random.default_rng(0)
    return [
        recorded.episode(rng, int(steps), last=bool(i % 3), terminated=bool(i % 2))
        for i, steps in enumerate(rng.integers(1, 9, 30))
    ]


def test_every_episode_comes_back(tmp_path, played):
    store = recorded.store(tmp_path / "store", played)
    assert len(store) == len(played)
    for wrote, read in zip(played, store, strict=True):
        recorded.assert_equal(wrote, read)
        assert wrote.has_last_observation == read.has_last_observation
        assert read.truncated != read.terminated
    assert len(list((tmp_path / "store").glob("actions-*.npy"))) > 3


@hypothesis.settings(max_examples=25)
@hypothesis.given(data=st.data(), chunk_bytes=st.integers(1, 400))
def test_any_lengths_in_chunks_of_any_size(tmp_path_factory, data, chunk_bytes):
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=15))
    lasts = data.draw(st.lists(st.booleans(), min_size=15, max_size=15))
    rng = np.random.default_rng(1)
    played = [
        recorded.episode(rng, n, last=last)
        for n, last in zip(lengths, lasts, strict=False)
    ]
    head = recorded.header(chunk_bytes=chunk_bytes)
    path = tmp_path_factory.mktemp("any") / "store"
    store = recorded.store(path, played, head)
    for wrote, read in zip(played, store, strict=True):
        recorded.assert_equal(wrote, read)
    assert episodes.verify(path).index.length.tolist() == lengths


@pytest.mark.parametrize("dtype", ["|u1", "<f4", "<f8", "|b1", "<i2"])
def test_types_are_kept(tmp_path, dtype):
    rng = np.random.default_rng(2)
    wrote = recorded.episode(rng, dtype=np.dtype(dtype))
    store = recorded.store(tmp_path / "s", [wrote], recorded.header(dtype=dtype))
    recorded.assert_equal(wrote, store[0])


def test_what_is_read_cannot_be_changed(tmp_path, played):
    store = recorded.store(tmp_path / "store", played)
    with pytest.raises(ValueError, match="read-only"):
        store[0].observations[0] = 1


def test_shuffling_gives_every_episode_once_by_seed(tmp_path, played):
    store = recorded.store(tmp_path / "store", played)
    orders = [store.order(seed).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[2]) == list(range(len(played)))
    for number, read in zip(orders[2], store.shuffled(1), strict=True):
        recorded.assert_equal(played[number], read)


def test_subsets_are_whole_nested_and_within_budget(tmp_path, played):
    store = recorded.store(tmp_path / "s", played, recorded.header(frame_skip=4))
    total = 4 * sum(len(e.actions) for e in played)
    before: set[bytes] = set()
    for frames in range(40, total + 1, 30):
        subset = store.subset(frames, seed=3)
        held = {e.observations.tobytes() for e in subset}
        stats = subset.statistics()
        assert before <= held
        assert frames - 4 * 8 < stats.frames <= frames
        assert stats.frames == 4 * sum(len(e.actions) for e in subset)
        before = held
    assert len(store.subset(total, seed=3)) == len(played)


def test_subsets_differ_by_seed(tmp_path, played):
    store = recorded.store(tmp_path / "store", played)
    one, other = (
        {e.observations.tobytes() for e in store.subset(40, seed)} for seed in (0, 1)
    )
    assert one != other


def test_budgets_that_no_subset_meets_are_refused(tmp_path, played):
    store = recorded.store(tmp_path / "store", played)
    total = store.statistics().frames
    with pytest.raises(ValueError, match=rf"has {total} frames, but {total + 1} are"):
        store.subset(total + 1, 0)
    with pytest.raises(ValueError, match="No whole episode fits into 0 frames"):
        store.subset(0, 0)


def test_statistics_against_plain_python(tmp_path, played):
    store = recorded.store(tmp_path / "s", played, recorded.header(frame_skip=4))
    totals = [float(np.sum(e.rewards.astype(np.float64))) for e in played]
    stats = store.statistics()
    assert (stats.episodes, stats.steps) == (30, sum(len(e.actions) for e in played))
    assert stats.frames == 4 * stats.steps
    assert stats.mean_return == pytest.approx(statistics.fmean(totals), rel=1e-12)
    assert stats.sd_return == pytest.approx(statistics.stdev(totals), rel=1e-12)
    assert stats.best_return == max(totals)
    assert stats.best_tenth == pytest.approx(statistics.fmean(sorted(totals)[-3:]))
    assert stats.quantiles["0.5"] == pytest.approx(statistics.median(totals))
    written = json.loads((store.path / manifest_file.NAME).read_text())["statistics"]
    assert manifest.Statistics(**written) == stats


def test_one_episode_has_no_spread(tmp_path, played):
    stats = recorded.store(tmp_path / "store", played[:1]).statistics()
    assert (stats.episodes, stats.sd_return) == (1, 0.0)
    assert stats.best_tenth == stats.best_return == stats.mean_return


def test_few_chunks_stay_open(tmp_path, played):
    store = recorded.store(tmp_path / "s", played, recorded.header(chunk_bytes=1))
    list(store)
    assert store._chunk.cache_info().currsize == episodes.OPEN_CHUNKS < len(played)
