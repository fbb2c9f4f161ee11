"""RL Unplugged's shards, written from their published layout, are read back exactly."""

import dataclasses
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import recorded

from scaling.datasets import episodes, importing, rlu_atari

MAP = {0: 0, 1: 2, 2: 5, 3: 7}  # of a game with 4 actions


def play(rng, steps):
    """Returns frames [T + 1, 84, 84], actions and raw rewards [T]."""
    frames = rng.integers(0, 256, (steps + 1, 84, 84)).astype(np.uint8)
    return frames, rng.integers(0, 4, steps), rng.integers(-20, 99, steps) * 1.0


@pytest.fixture
def played():
    rng = np.random.default_rng(0)
    return [play(rng, steps) for steps in (3, 1, 5, 2)]


def examples(played, **kwargs):
    return [recorded.example(recorded.rlu_features(*p, **kwargs)) for p in played]


@pytest.fixture
def folder(tmp_path, played):
    game = tmp_path / "MsPacman"
    first, second = examples(played[:2]), examples(played[2:], ends=False)
    recorded.rlu_shard(game / "run_1-00000-of-00050", first)
    recorded.rlu_shard(game / "run_1-00001-of-00050", second, packed=False)
    return game


def source(path):
    return rlu_atari.RluAtari(path, "atari:MsPacman", 18, MAP)


def one(tmp_path, features):
    """Imports a shard of one episode with the features."""
    path = recorded.rlu_shard(
        tmp_path / "run_1-00000-of-00001", [recorded.example(features)]
    )
    return importing.import_source(source(path), tmp_path / "store")


def test_shards_are_read_back_exactly(folder, tmp_path, played):
    shares = []
    store = importing.import_source(
        source(folder), tmp_path / "store", lambda p: shares.append(p.share)
    )
    assert len(store) == 4
    for number, (frames, actions, rewards) in enumerate(played):
        expected = episodes.Episode(
            observations=frames[..., None],
            actions=np.array([MAP[a] for a in actions], np.int32),
            rewards=rewards.astype(np.float32),
            terminated=number < 2,  # the second shard's discounts end with 1
        )
        recorded.assert_equal(store[number], expected)
        assert store[number].has_last_observation
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert store.index.file.tolist() == [0, 0, 1, 1]
    assert store.index.record.tolist() == [0, 1, 0, 1]


def test_the_header_has_the_protocol(folder, tmp_path):
    header = importing.import_source(source(folder), tmp_path / "store").header
    protocol = header.protocol
    assert (protocol.sticky, protocol.frame_skip) == (0.25, 4)
    assert (protocol.image_size, protocol.colour) == (84, "gray")
    assert (protocol.action_set, protocol.num_actions) == ("full", 18)
    assert protocol.reward_kind == "raw"
    assert header.action_map == MAP
    assert "2006.13888" in header.provenance["citation"]
    assert [s.name for s in header.sources] == [
        p.name for p in sorted(folder.iterdir())
    ]


def test_unclipped_rewards_that_are_clipped_are_said_to_be(tmp_path):
    features = recorded.rlu_features(np.zeros((3, 84, 84), np.uint8), [0, 1], [1, -1])
    assert one(tmp_path, features).header.protocol.reward_kind == "clipped"


@pytest.mark.parametrize("kept", [0, 1, 3, 4])
def test_the_ones_before_are_skipped(folder, kept):
    whole = list(source(folder).episodes(0))
    rest = list(source(folder).episodes(kept))
    assert [r.origin for r in rest] == [r.origin for r in whole[kept:]]


def test_an_interrupted_import_ends_with_the_same_bytes(folder, tmp_path):
    reference = source(folder)
    reference.header = dataclasses.replace(reference.header, chunk_bytes=1)
    importing.import_source(reference, tmp_path / "whole")

    def interrupt(progress):
        if progress.episodes == 2:
            raise KeyboardInterrupt

    for report in (interrupt, lambda progress: None):
        again = source(folder)
        again.header = dataclasses.replace(again.header, chunk_bytes=1)
        try:
            importing.import_source(again, tmp_path / "store", report)
        except KeyboardInterrupt:
            assert not (tmp_path / "store").exists()
    assert recorded.tree(tmp_path / "store") == recorded.tree(tmp_path / "whole")


FRAMES = np.zeros((3, 84, 84), np.uint8)


def features(**changes):
    return recorded.rlu_features(FRAMES, [0, 1], [0.0, 2.0]) | changes


def without(name):
    return {key: value for key, value in features().items() if key != name}


def pngs(*images):
    return recorded.bytes_feature([recorded.png(np.asarray(i)) for i in images])


GOOD = FRAMES[0]
WRONG = {
    "no rewards": (without("unclipped_rewards"), "has no unclipped_rewards"),
    "no observations": (without("observations"), "has no observations"),
    "empty": (features(actions=recorded.ints_feature([])), "has no actions"),
    "lengths": (
        features(actions=recorded.ints_feature([0, 1])),
        "lists of different lengths: .*'actions': 2",
    ),
    "types": (features(actions=recorded.bytes_feature([b"0"] * 3)), "of other types"),
    "text": (features(observations=recorded.ints_feature([1] * 3)), "of other types"),
    "NaN": (
        features(unclipped_rewards=recorded.floats_feature([0, np.nan, 0])),
        "NaN .* rewards at step 1",
    ),
    "action": (
        features(actions=recorded.ints_feature([0, 4, 0])),
        "has the action 4, but only 0, 1, 2, 3 map",
    ),
    "goes on": (
        features(discounts=recorded.floats_feature([1, 0, 1])),
        "goes on after it terminated at entry 1 of 3",
    ),
    "size": (
        features(observations=pngs(GOOD, np.zeros((84, 85), np.uint8), GOOD)),
        "frame 1, is a PNG of 85×84 pixels",
    ),
    "colour": (
        features(observations=pngs(GOOD, GOOD, np.zeros((84, 84, 3), np.uint8))),
        "frame 2, is a PNG .* mode RGB",
    ),
    "no PNG": (
        features(observations=recorded.bytes_feature([b"GIF89a"] * 3)),
        "frame 0, is not a whole PNG",
    ),
    "cut PNG": (
        features(observations=recorded.bytes_feature([recorded.png(GOOD)[:60]] * 3)),
        "frame 0, is not a whole PNG",
    ),
    "one entry": (recorded.rlu_features(FRAMES[:1], [], []), "1 entries"),
}


@pytest.mark.parametrize(("wrong", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_and_nothing_is_left(tmp_path, wrong, why):
    name = "run_1-00000-of-00001, episode 0,"
    with pytest.raises(ValueError, match=rf"^{name} .*{why}.*\.$"):
        one(tmp_path, wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["run_1-00000-of-00001"]


def test_a_png_that_claims_to_be_huge_is_not_unpacked(tmp_path):
    size = struct.pack(">II", 60_000, 60_000)
    chunk = b"IHDR" + size + b"\x08\x00\x00\x00\x00"
    crc = struct.pack(">I", zlib.crc32(chunk))
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + crc
    wrong = features(observations=recorded.bytes_feature([huge] * 3))
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"frame 0, is (a PNG of 60000|not a whole)"):
        one(tmp_path, wrong)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**22


def test_no_shard_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="has no TFRecord"):
        source(tmp_path)
