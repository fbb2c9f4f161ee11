"""Importing the Atari episodes of RL Unplugged: TFRecords, read without TensorFlow.

A file `GAME/run_R-SSSSS-of-NNNNN` of `atari_episodes_ordered` is a gzipped TFRecord
with a `tf.Example` for each episode: `observations` (N PNGs of 84×84 grey pixels, not
stacked), `actions`, `unclipped_rewards`, `clipped_rewards`, `discounts` (N each),
`episode_return`, `clipped_episode_return`, `episode_idx`, `checkpoint_idx`.

How the lists line up (source: tensorflow_datasets, `rl_unplugged/atari_utils.py`,
`atari_example_to_rlds`): action and reward t belong together, reward t being that of
action t; but discount t is the one that came with observation t, a step late. So an
episode terminated if its last discount is 0, and the discount of step t is entry
t + 1. In the last entry only the observation has meaning: it is what the last action
led to. An episode of N entries has N - 1 steps here, and N observations.

`unclipped_rewards` is read. tensorflow_datasets dropped its clipped fields as redundant
in version 1.3.0, so the published unclipped ones seem to be clipped too: the manifest
says `clipped` unless a reward beyond ±1 is found.

The recording agents were Dopamine's, under sticky actions 0.25, with the minimal action
set and at most 27 000 steps. What ended there is a time limit, whatever its discount.
"""

import io
import pathlib
import re
from collections.abc import Iterator, Mapping

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from scaling.datasets import importing, manifest, tfrecord
from scaling.datasets.dqn_dumps import MOST_STEPS, SIDE
from scaling.datasets.episodes import Episode

SHARD = re.compile(r"run_\d+-\d{5}-of-\d{5}|.*\.tfrecord(\.gz)?")
NEEDED = ("observations", "actions", "unclipped_rewards", "discounts")
CITATION = (
    "Gulcehre et al. 2020, RL Unplugged: A Suite of Benchmarks for Offline "
    "Reinforcement Learning, arXiv 2006.13888"
)


def shards(source: pathlib.Path) -> list[pathlib.Path]:
    """Returns the TFRecords of `source`, a file or a folder, by name."""
    among = [source] if source.is_file() else sorted(source.glob("*"))
    return [path for path in among if path.is_file() and SHARD.fullmatch(path.name)]


def recording(env: str, num_actions: int) -> manifest.Recording:
    """Returns the protocol of RL Unplugged and DQN Replay: Dopamine's.

    Source: google/dopamine, `atari_lib.py` and `run_experiment.py`, and Agarwal et
    al. 2020, section 2.
    """
    return manifest.Recording(
        env=env,
        num_actions=num_actions,
        action_set="full",
        frame_skip=4,
        reward_kind="inferred",
        sticky=0.25,
        max_frames=4 * MOST_STEPS,
        image_size=SIDE,
        colour="gray",
    )


class RluAtari:
    """RL Unplugged's episodes of one game; see `importing.Source`."""

    header: manifest.Header
    left_out = 0

    def __init__(
        self,
        source: pathlib.Path,
        env: str,
        num_actions: int,
        action_map: Mapping[int, int],
    ):
        """Finds the files; none is read.

        Args:
          source: a TFRecord or the folder of them.
          env: the game, such as `atari:MsPacman`.
          num_actions: size of the full action set.
          action_map: action of the source → action of the full set.

        Raises:
          ValueError: if there is no TFRecord.
        """
        self._files = shards(source)
        if not self._files:
            raise ValueError(f"{source} has no TFRecord named run_R-SSSSS-of-NNNNN.")
        self.header = manifest.Header(
            observation_shape=(SIDE, SIDE, 1),
            observation_dtype="|u1",
            protocol=recording(env, num_actions),
            action_map=dict(action_map),
            provenance=importing.provenance(
                "rl_unplugged_atari", source, citation=CITATION
            ),
            sources=importing.source_files(self._files),
        )

    def episodes(self, skip: int) -> Iterator[importing.Read]:
        """Yields the episodes in the order of the files; those skipped are not decoded.

        Raises:
          ValueError: naming the file and the episode that cannot be read.
        """
        done = 0
        for number, path in enumerate(self._files):
            for record, (payload, share) in enumerate(tfrecord.records(path)):
                done += 1
                if done > skip:
                    origin = manifest.Origin(number, record)
                    episode = self._episode(payload, self.header.named(origin))
                    so_far = (number + share) / len(self._files)
                    yield importing.Read(episode, origin, so_far)

    def _episode(self, payload: memoryview, named: str) -> Episode:
        pngs, actions, rewards, discounts = _lists(payload, named)
        if len(pngs) < 2:
            raise ValueError(f"{named} has {len(pngs)} entries; a step needs two.")
        if (discounts[1:-1] == 0).any():
            step = int(np.flatnonzero(discounts[1:-1] == 0)[0]) + 1
            raise ValueError(
                f"{named} goes on after it terminated at entry {step} of {len(pngs)}."
            )
        steps = len(pngs) - 1
        return Episode(
            observations=_frames(pngs, named),
            actions=importing.mapped(actions[:steps], self.header.action_map, named),
            rewards=rewards[:steps],
            terminated=bool(discounts[-1] == 0) and steps < MOST_STEPS,
        )


def _lists(
    payload: memoryview, named: str
) -> tuple[list[memoryview], np.ndarray, np.ndarray, np.ndarray]:
    """Returns PNGs, actions, rewards and discounts, all of one length."""
    try:
        found = tfrecord.features(payload)
    except ValueError as error:
        raise ValueError(f"{named} is no tf.Example ({error}).") from error
    missing = [name for name in NEEDED if not len(found.get(name, ()))]
    if missing:
        raise ValueError(f"{named} has no {missing[0]}.")
    pngs, actions, rewards, discounts = (found[name] for name in NEEDED)
    arrays = all(isinstance(each, np.ndarray) for each in (actions, rewards, discounts))
    if not isinstance(pngs, list) or not arrays:
        raise ValueError(f"{named} has lists of other types than RL Unplugged's.")
    lengths = {name: len(found[name]) for name in NEEDED}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{named} has lists of different lengths: {lengths}.")
    return pngs, np.asarray(actions), np.asarray(rewards), np.asarray(discounts)


def _frames(pngs: list[memoryview], named: str) -> UInt8[np.ndarray, "N 84 84 1"]:
    """Returns the pixels of an episode."""
    frames = np.empty((len(pngs), SIDE, SIDE, 1), np.uint8)
    for step, png in enumerate(pngs):
        frames[step, :, :, 0] = _pixels(png, f"{named} frame {step},")
    return frames


def _pixels(png: memoryview, named: str) -> UInt8[np.ndarray, "84 84"]:
    """Returns the pixels of a PNG, whose size is checked before it is unpacked."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            if image.size != (SIDE, SIDE) or image.mode != "L":
                raise ValueError(
                    f"{named} is a PNG of {image.size[0]}×{image.size[1]} pixels in "
                    f"mode {image.mode}, but RL Unplugged's are {SIDE}×{SIDE} and grey."
                )
            return np.asarray(image)
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{named} is not a whole PNG ({error}).") from error
