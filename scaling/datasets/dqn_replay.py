"""Importing DQN Replay: dumps of Dopamine's ring of one million steps.

A folder `GAME/RUN/replay_logs` has, for each dump N, gzipped .npy files
`$store$_observation_ckpt.N.gz` [C, 84, 84] uint8, and likewise `$store$_action_…` [C]
int32, `$store$_reward_…` [C] float32, `$store$_terminal_…` [C] uint8, `add_count_…` [].

What has to be known to read them (sources: google-research/batch_rl,
`logged_replay_buffer.py`; google/dopamine, `circular_replay_buffer.py` and
`run_experiment.py`):

- A ring is dumped when its cursor, add_count modulo C, is at C - 1. So the newest row
  is the last but one, and the last row is the oldest: the step before row 0. Rolled to
  the cursor, dump N + 1 begins where dump N ends. Without add_count the rows are taken
  as they lie and episodes are not joined across dumps.
- Every episode begins with 3 rows of zeros, for the stack of 4 frames; they are
  dropped.
- `terminal` is 1 at an episode's last action, also when that was the limit of 27 000
  steps; such an episode is stored as truncated. The observation after the last action
  was never stored.
- Rewards were clipped to ±1 before they were stored, unless the runner was told
  otherwise: the manifest says `clipped` unless a reward beyond ±1 is found.
- Actions are numbers of the game's minimal set.

Episodes whose beginning or end lies in no dump are left out, since neither their return
nor their length is known.
"""

import itertools
import pathlib
from collections.abc import Iterator, Mapping

from scaling.datasets import dqn_dumps, importing, manifest, rlu_atari
from scaling.datasets.episodes import Episode

CITATION = (
    "Agarwal, Schuurmans and Norouzi 2020, An Optimistic Perspective on Offline "
    "Reinforcement Learning, arXiv 1907.04543"
)


class DqnReplay:
    """The dumps of one run; see `importing.Source`."""

    header: manifest.Header
    left_out: int

    def __init__(
        self,
        folder: pathlib.Path,
        env: str,
        num_actions: int,
        action_map: Mapping[int, int],
    ):
        """Finds the dumps and reads the headers of their files.

        Args:
          folder: with the files.
          env: the game, such as `atari:Pong`.
          num_actions: size of the full action set.
          action_map: action of the source → action of the full set.

        Raises:
          ValueError: if a file is missing or its header is not what it must be.
        """
        self._dumps = [
            dqn_dumps.dump(folder, number) for number in dqn_dumps.numbers(folder)
        ]
        if not self._dumps:
            raise ValueError(f"{folder} has no files $store$_observation_ckpt.N.gz.")
        self._folder, self.left_out = folder, 0
        files = [
            dqn_dumps.array_path(folder, "observation", dump.number)
            for dump in self._dumps
        ]
        self.header = manifest.Header(
            observation_shape=(dqn_dumps.SIDE, dqn_dumps.SIDE, 1),
            observation_dtype="|u1",
            protocol=rlu_atari.recording(env, num_actions),
            action_map=dict(action_map),
            provenance=importing.provenance("dqn_replay", folder, citation=CITATION),
            sources=importing.source_files(files),
        )

    def episodes(self, skip: int) -> Iterator[importing.Read]:
        """Yields the whole episodes in the order of time; those skipped are read too.

        Raises:
          ValueError: naming the file and the episode that cannot be read.
        """
        self.left_out = 0
        return itertools.islice(self._whole(), skip, None)

    def _whole(self) -> Iterator[importing.Read]:
        for place, (record, piece, share) in self._stretches():
            origin = manifest.Origin(place, record)
            episode = self._episode(piece, self.header.named(origin))
            if episode is None:
                self.left_out += len(piece.actions)
            else:
                yield importing.Read(episode, origin, share)

    def _stretches(self) -> Iterator[tuple[int, tuple[int, dqn_dumps.Piece, float]]]:
        """Yields dump, number in it, piece and share, pieces joined across dumps."""
        before, carried = None, None
        for place, dump in enumerate(self._dumps):
            follows = dqn_dumps.follows(dump, before)
            if carried is not None and not follows:
                self.left_out += len(carried.actions)
                carried = None
            pieces = dqn_dumps.pieces(self._folder, dump)
            for record, (piece, share) in enumerate(pieces):
                if follows and not record and carried is None:
                    piece = piece._replace(from_start=True)  # an end came before it
                piece = dqn_dumps.joined(carried, piece)
                dqn_dumps.check_length(self._folder, dump, len(piece.actions))
                carried = None if piece.to_end else piece
                if piece.to_end:
                    yield place, (record, piece, (place + share) / len(self._dumps))
            before = dump
        self.left_out += 0 if carried is None else len(carried.actions)

    def _episode(self, piece: dqn_dumps.Piece, named: str) -> Episode | None:
        """Returns the episode that ends with a piece, None if its start is missing."""
        padded = _is_padded(piece)
        if not padded and not piece.from_start:
            return None
        start = dqn_dumps.PADDING if padded else 0
        actions = piece.actions[start:]
        return Episode(
            observations=piece.observations[start:, :, :, None],
            actions=importing.mapped(actions, self.header.action_map, named),
            rewards=piece.rewards[start:],
            terminated=len(actions) < dqn_dumps.MOST_STEPS,
        )


def _is_padded(piece: dqn_dumps.Piece) -> bool:
    """Returns whether a piece begins with the rows of zeros of an episode's start."""
    head = (array[: dqn_dumps.PADDING] for array in piece[:3])
    return len(piece.actions) > dqn_dumps.PADDING and not any(
        array.any() for array in head
    )
