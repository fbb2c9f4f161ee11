"""Minari datasets: round trips without a byte lost, and refusals of what is lossy."""

import dataclasses
import importlib.util
import json
from typing import Any, Literal

import numpy as np
import pytest
import recorded

from scaling.datasets import episodes, importing, minari, minari_export

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("minari", "h5py")),
    reason="minari[hdf5] is not installed",
)


def storage(path, observation_space, action_space, **options):
    from minari.dataset.minari_storage import MinariStorage

    path.mkdir(parents=True)
    made = MinariStorage.new(
        path / "data", observation_space, action_space, data_format="hdf5", **options
    )
    made.update_metadata({"dataset_id": "test/it-v0", "author": {"someone"}})
    return made


def buffer(observations, actions, rewards, terminations, truncations):
    from minari.data_collector import EpisodeBuffer

    return EpisodeBuffer(
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminations=terminations,
        truncations=truncations,
    )


def box(shape=(2,), dtype=np.float32):
    from gymnasium import spaces

    return spaces.Box(-9, 9, shape, dtype)


def images(shape=(40, 36, 3)):
    from gymnasium import spaces

    return spaces.Box(0, 255, shape, np.uint8)


def discrete(n=3, start=0):
    from gymnasium import spaces

    return spaces.Discrete(n, start=start)


def cart_pole():
    import gymnasium

    return gymnasium.spec("CartPole-v1")


def good(**changes):
    """Returns a buffer of three steps, changed."""
    return buffer(
        **{
            "observations": np.arange(8, dtype=np.float32).reshape(4, 2),
            "actions": np.array([0, 2, 1]),
            "rewards": np.array([0.5, -1, 2]),
            "terminations": np.array([False, False, True]),
            "truncations": np.array([False, False, False]),
        }
        | changes
    )


def make(path, *buffers, space=None, actions=None, **options):
    made = storage(path, space or box(), actions or discrete(), **options)
    made.update_episodes(buffers)
    return path / "data"


def load(
    data,
    path,
    env: str | None = "gymnasium:Own-v0",
    lossy: Literal["refuse", "decode"] = "refuse",
):
    return importing.import_source(minari.Minari(data, env, lossy), path)


def test_what_minari_wrote_is_read_exactly(tmp_path):
    second = good(
        terminations=np.array([False, False, False]),
        truncations=np.array([False, False, True]),
    )
    data = make(tmp_path / "m", good(), second, env_spec=cart_pole())
    store = load(data, tmp_path / "store", env=None)
    for read, terminated in zip(store, (True, False), strict=True):
        expected = episodes.Episode(
            np.arange(8, dtype=np.float32).reshape(4, 2),
            np.array([0, 2, 1], np.int32),
            np.array([0.5, -1, 2], np.float32),
            terminated,
        )
        recorded.assert_equal(read, expected)
    protocol = store.header.protocol
    assert (protocol.env, protocol.frame_skip) == ("gymnasium:CartPole-v1", 1)
    assert (protocol.sticky, protocol.reward_kind) == (0.0, "raw")
    assert store.header.provenance["metadata"]["author"] == ["someone"]
    assert not store.header.provenance["lossy"]


def test_actions_that_do_not_begin_at_zero_are_mapped(tmp_path):
    data = make(
        tmp_path / "m", good(actions=np.array([5, 7, 6])), actions=discrete(3, 5)
    )
    store = load(data, tmp_path / "store")
    assert store[0].actions.tolist() == [0, 2, 1]
    assert store.header.action_map == {5: 0, 6: 1, 7: 2}


def pixels(rng):
    return good(observations=rng.integers(0, 256, (4, 40, 36, 3)).astype(np.uint8))


def test_images_without_loss_are_read_exactly(tmp_path):
    wrote = pixels(np.random.default_rng(0))
    data = make(tmp_path / "m", wrote, space=images(), jpeg_encoding=False)
    store = load(data, tmp_path / "store")
    np.testing.assert_array_equal(store[0].observations, wrote.observations)


def test_minari_s_default_is_lossy_and_refused_unless_allowed(tmp_path):
    wrote = pixels(np.random.default_rng(0))
    data = make(tmp_path / "m", wrote, space=images())
    with pytest.raises(ValueError, match=r"as JPEG, which is lossy.*--allow-lossy"):
        load(data, tmp_path / "store")
    assert not (tmp_path / "store").exists()
    store = load(data, tmp_path / "store", lossy="decode")
    seen = np.asarray(store[0].observations)
    assert seen.shape == (4, 40, 36, 3)
    assert (seen != wrote.observations).any()
    assert store.header.provenance["lossy"]


def test_the_metadata_s_word_is_not_taken_for_images(tmp_path):
    """Older versions say nothing of JPEG; what is stored tells."""
    data = make(tmp_path / "m", pixels(np.random.default_rng(0)), space=images())
    path = data / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"jpeg_encoding": False}))
    with pytest.raises(ValueError, match="which is lossy"):
        load(data, tmp_path / "store")


@pytest.mark.parametrize(
    ("shape", "dtype"), [((84, 84, 1), "|u1"), ((5,), "<f4"), ((3, 2), "|b1")]
)
def test_own_to_minari_to_own_gives_the_same_bytes(tmp_path, shape, dtype):
    rng = np.random.default_rng(0)
    played = [
        recorded.episode(rng, 1 + i, shape, np.dtype(dtype), i % 2 == 0, i % 3 == 0)
        for i in range(6)
    ]
    head = recorded.header(shape, dtype, chunk_bytes=3 * 84 * 84)
    store = recorded.store(tmp_path / "store", played, head)
    data = minari_export.export(store, tmp_path / "minari", "test/round-v0")
    load(data, tmp_path / "again", env=None)
    assert recorded.tree(tmp_path / "again") == recorded.tree(tmp_path / "store")
    episodes.verify(tmp_path / "again")


def test_minari_itself_reads_what_was_exported(tmp_path):
    import minari as library

    rng = np.random.default_rng(0)
    played = [
        recorded.episode(rng, 4, (84, 84, 1), last=last, terminated=last)
        for last in (True, False)
    ]
    head = recorded.header((84, 84, 1), env="gymnasium:CartPole-v1")
    store = recorded.store(tmp_path / "store", played, head)
    data = minari_export.export(store, tmp_path / "minari", "test/read-v0")
    dataset = library.MinariDataset(data)
    assert (dataset.total_episodes, dataset.total_steps) == (2, 8)
    assert dataset.env_spec == cart_pole()
    for wrote, read in zip(played, dataset.iterate_episodes(), strict=True):
        steps = len(wrote.observations)
        np.testing.assert_array_equal(read.observations[:steps], wrote.observations)
        np.testing.assert_array_equal(read.actions, wrote.actions)
        np.testing.assert_array_equal(read.rewards, wrote.rewards)
        assert len(read.observations) == 5
        assert read.terminations.tolist() == [False] * 3 + [wrote.terminated]
        assert read.truncations.tolist() == [False] * 3 + [wrote.truncated]


def test_a_subset_is_exported_as_a_store_of_its_own(tmp_path):
    rng = np.random.default_rng(0)
    store = recorded.store(tmp_path / "s", [recorded.episode(rng) for _ in range(9)])
    subset = store.subset(16, seed=1)
    data = minari_export.export(subset, tmp_path / "minari", "test/subset-v0")
    again = load(data, tmp_path / "again", env=None)
    for one, other in zip(subset, again, strict=True):
        recorded.assert_equal(one, other)


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    store = recorded.store(tmp_path / "store", [recorded.episode(rng)])
    (tmp_path / "store" / "observations-00000.npy").unlink()
    with pytest.raises(FileNotFoundError):
        minari_export.export(store, tmp_path / "minari", "test/it-v0")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_exports_that_cannot_be_are_refused(tmp_path):
    rng = np.random.default_rng(0)
    store = recorded.store(tmp_path / "store", [recorded.episode(rng)])
    with pytest.raises(ValueError, match="is no name of a Minari dataset"):
        minari_export.export(store, tmp_path / "minari", "no version")
    with pytest.raises(ValueError, match="exists already"):
        minari_export.export(store, tmp_path, "test/it-v0")


NEVER = np.array([False] * 3)
WRONG = {
    "no end": ({"terminations": NEVER}, "has no end: it is neither"),
    "goes on": ({"truncations": np.array([0, 1, 0], bool)}, "it ended at step 1"),
    "NaN": ({"rewards": np.array([0, np.nan, 0])}, "NaN .* rewards at step 1"),
    "overflow": ({"rewards": np.array([0, 1e300, 0])}, "infinity .* rewards at step 1"),
    "action": ({"actions": np.array([0, 3, 1])}, "has the action 3, but only 0, 1, 2"),
    "fewer rewards": ({"rewards": np.zeros(2)}, "3 actions, 2 rewards and 4 obs"),
    "continuous": ({"actions": np.zeros((3, 2))}, r"actions of float64 \(2,\)"),
}


@pytest.mark.parametrize(("changes", "why"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_named_and_nothing_is_left(tmp_path, changes, why):
    data = make(tmp_path / "m", good(), good(**changes))
    with pytest.raises(ValueError, match=rf"^main_data.hdf5, episode 1,? .*{why}.*\.$"):
        load(data, tmp_path / "store")
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_missing_rewards_are_named(tmp_path):
    import h5py

    data = make(tmp_path / "m", good())
    with h5py.File(data / "main_data.hdf5", "a") as file:
        del file["episode_0/rewards"]
    with pytest.raises(ValueError, match="episode 0, has no rewards"):
        load(data, tmp_path / "store")


def replace(data, change):
    """Replaces an episode's rewards by what `change(group)` puts there."""
    import h5py

    with h5py.File(data / "main_data.hdf5", "a") as file:
        group: Any = file["episode_0"]
        del group["rewards"]
        change(group)


def test_links_and_outside_data_are_refused(tmp_path):
    import h5py

    (tmp_path / "secret").write_bytes(bytes(24))
    links = {
        "soft": lambda g: g.__setitem__("rewards", h5py.SoftLink("/episode_0/actions")),
        "file": lambda g: g.__setitem__("rewards", h5py.ExternalLink("x", "/y")),
        "data": lambda g: g.create_dataset(
            "rewards", (3,), "f8", external=[(str(tmp_path / "secret"), 0, 24)]
        ),
    }
    for name, change in links.items():
        data = make(tmp_path / name, good())
        replace(data, change)
        with pytest.raises(ValueError, match=r"link to elsewhere|not in the file"):
            load(data, tmp_path / "store")


def test_an_array_that_claims_to_be_huge_is_not_loaded(tmp_path):
    data = make(tmp_path / "m", good())
    replace(
        data, lambda g: g.create_dataset("rewards", (10**12,), "f8", chunks=(10**6,))
    )
    with pytest.raises(ValueError, match="8,000,000,000,000 bytes; at most"):
        load(data, tmp_path / "store")


@pytest.mark.parametrize("keep", [0, 100, -300])
def test_a_cut_file_is_a_sentence(tmp_path, keep):
    path = make(tmp_path / "m", good()) / "main_data.hdf5"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"main_data.hdf5.*\.$"):
        load(path.parent, tmp_path / "store")


METADATA = {
    "arrow": ({"data_format": "arrow"}, "stored as 'arrow', but only hdf5"),
    "no episodes": ({"total_episodes": 0}, "there are 0 episodes"),
    "more episodes": ({"total_episodes": 5}, "episode 1, has no observations"),
    "spaces": ({"action_space": "{}"}, "has no spaces that can be read"),
    "box": ({"action_space": '{"type": "Box"}'}, "Box observations and one Discrete"),
    "no action": (
        {"action_space": '{"type": "Discrete", "n": 0, "start": 0}'},
        "has no spaces that can be read",
    ),
    "a billion actions": (
        {"action_space": '{"type": "Discrete", "n": 1000000000, "start": 0}'},
        "has no spaces that can be read",
    ),
    "other shape": (
        {"observation_space": '{"type": "Box", "shape": [3]}'},
        r"observations of float32 \(2,\), but those .* are float32 \(3,\)",
    ),
    "env_spec": ({"env_spec": "[]"}, "has no env_spec that can be read"),
    "own": ({"scaling_unplugged": {"file": []}}, "has a damaged scaling_unplugged"),
}


@pytest.mark.parametrize(("changes", "why"), METADATA.values(), ids=METADATA.keys())
def test_metadata_that_do_not_fit_are_refused(tmp_path, changes, why):
    path = make(tmp_path / "m", good()) / "metadata.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ValueError, match=rf"{why}.*\.$"):
        load(path.parent, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_nothing_is_imported_for_the_environment(tmp_path):
    """An entry point could run anything; spaces are there, so none is made."""
    spec = dataclasses.replace(cart_pole(), entry_point="no.such.module:Evil")
    data = make(tmp_path / "m", good(), env_spec=spec)
    assert len(load(data, tmp_path / "store", env=None)) == 1


def test_what_an_atari_specification_tells(tmp_path):
    path = make(tmp_path / "m", good()) / "metadata.json"
    options = {"frameskip": 5, "repeat_action_probability": 0.5}
    spec = {"id": "ALE/MsPacman-v5", "kwargs": options}
    told = json.loads(path.read_text()) | {"env_spec": json.dumps(spec)}
    path.write_text(json.dumps(told))
    protocol = minari.Minari(path.parent, None, "refuse").header.protocol
    assert (protocol.env, protocol.action_set) == ("atari:MsPacman", "minimal")
    assert (protocol.frame_skip, protocol.sticky) == (5, 0.5)
    other = minari.Minari(path.parent, "gymnasium:Own-v0", "refuse").header.protocol
    assert (other.frame_skip, other.sticky) == (1, None)


def test_a_space_that_claims_huge_images_allocates_nothing(tmp_path):
    data = make(tmp_path / "m", pixels(np.random.default_rng(0)), space=images())
    path = data / "metadata.json"
    space = json.dumps({"type": "Box", "shape": [10**6, 10**6, 3]})
    told = json.loads(path.read_text()) | {"observation_space": space}
    path.write_text(json.dumps(told))
    with pytest.raises(ValueError, match="claims 12,000,000,000,000 bytes of pixels"):
        load(data, tmp_path / "store", lossy="decode")


def test_without_an_environment_it_must_be_named(tmp_path):
    data = make(tmp_path / "m", good())
    with pytest.raises(ValueError, match="name it by --env"):
        load(data, tmp_path / "store", env=None)


def test_names_are_found_in_minari_s_folder_and_not_beside_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    data = make(tmp_path / "root" / "test" / "it-v0", good())
    outside = make(tmp_path / "secret", good())
    assert minari.folder("test/it-v0") == data
    assert minari.folder("../secret") is None
    assert minari.folder(str(outside)) == outside
    assert minari.folder(str(outside.parent)) == outside
    assert minari.folder("nothing") is None
