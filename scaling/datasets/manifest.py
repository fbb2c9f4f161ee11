"""What a store of episodes says of itself, and what its episodes amount to."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

FIELDS = ("observations", "actions", "rewards")  # a chunk has a file of each
ACTION_DTYPE, REWARD_DTYPE = "<i4", "<f4"
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
CHUNK_BYTES = 64 * 2**20  # of observations, after which a chunk is closed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recording:
    """The protocol that the data were recorded under; None where it is not known."""

    env: str
    """Environment, as family:Name."""
    num_actions: int
    """Actions are 0 to this, excluded."""
    action_set: Literal["full", "minimal", "own"]
    """Atari: all actions, or the game's minimal set; elsewhere its own."""
    frame_skip: int
    """Frames that an agent step lasts; 1 outside Atari."""
    reward_kind: Literal["raw", "clipped", "inferred"]
    """`inferred`: decided when the store is finished, as `clipped` if no reward is
    beyond ±1 and as `raw` otherwise. A finished store has one of the others."""
    sticky: float | None = None
    """Probability that the previous action was repeated."""
    max_frames: int | None = None
    """Frames after which an episode was truncated."""
    image_size: int | None = None
    """Atari: height and width of a frame, in pixels."""
    colour: Literal["rgb", "gray"] | None = None
    """Atari: colour of a frame."""
    random_start: int | None = None
    """jumanji: most random steps before an episode."""
    view: Literal["board", "egocentric", "coarse"] | None = None
    """jumanji: what of the board is seen."""
    view_size: int | None = None
    """jumanji: height and width of a crop, in cells."""


class SourceFile(NamedTuple):
    """A file that episodes were read from."""

    name: str
    bytes: int


class Origin(NamedTuple):
    """Where an episode was read."""

    file: int  # index into the header's sources, -1 if there is none
    record: int  # number of the episode in that file


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
    """What is known of a store before its first episode."""

    observation_shape: tuple[int, ...]
    """Shape of one observation, never stacked."""
    observation_dtype: str
    """NumPy's name of the type with its byte order, such as |u1."""
    protocol: Recording
    action_map: dict[int, int]
    """Action of the source → action of the store."""
    provenance: dict[str, Any]
    """Kind and name of the source, licence, citation, importer, command."""
    sources: tuple[SourceFile, ...] = ()
    chunk_bytes: int = CHUNK_BYTES
    """Bytes of observations after which a chunk is closed."""

    def named(self, origin: Origin) -> str:
        """Returns the words that an error begins with: file and episode."""
        if 0 <= origin.file < len(self.sources):
            return f"{self.sources[origin.file].name}, episode {origin.record},"
        return f"Episode {origin.record}"

    def with_command(self, command: str | None) -> "Header":
        """Returns the header with the words of another command."""
        provenance = {**self.provenance, "command": command}
        return dataclasses.replace(self, provenance=provenance)

    def dtype(self, field: str) -> np.dtype:
        """Returns the type of `observations`, `actions` or `rewards`."""
        own = {"actions": ACTION_DTYPE, "rewards": REWARD_DTYPE}
        return np.dtype(own.get(field, self.observation_dtype))

    def row_shape(self, field: str) -> tuple[int, ...]:
        """Returns the shape of one row of a field."""
        return self.observation_shape if field == "observations" else ()


class Index(NamedTuple):
    """Where the E episodes of a store lie, and how they ended."""

    chunk: Int[np.ndarray, " E"]
    observation_row: Int[np.ndarray, " E"]  # of its first observation, in the chunk
    step_row: Int[np.ndarray, " E"]  # of its first action and reward, in the chunk
    length: Int[np.ndarray, " E"]  # agent steps
    returns: Float[np.ndarray, " E"]  # sum of rewards, in double precision
    terminated: Bool[np.ndarray, " E"]  # else truncated
    last_observation: Bool[np.ndarray, " E"]  # length + 1 observations, else length
    file: Int[np.ndarray, " E"]
    record: Int[np.ndarray, " E"]


INDEX_DTYPES = (*(np.int64,) * 4, np.float64, np.bool_, np.bool_, np.int64, np.int64)


class ChunkFile(NamedTuple):
    """Size and checksum of one file of a chunk."""

    bytes: int
    sha256: str


Chunk = Mapping[str, ChunkFile]  # by field


@dataclasses.dataclass(frozen=True)
class Manifest:
    """All that a store says of itself."""

    header: Header
    chunks: Sequence[Chunk]
    index: Index


class Statistics(NamedTuple):
    """What a set of episodes amounts to; the behaviour score is `mean_return`."""

    episodes: int
    steps: int  # agent steps
    frames: int  # steps × frame_skip
    mean_return: float
    sd_return: float  # of the episodes, with n - 1; 0 for one episode
    best_return: float
    best_tenth: float  # mean return of the best tenth, at least one episode
    quantiles: dict[str, float]  # of the return, linear between episodes


def statistics(index: Index, frame_skip: int) -> Statistics:
    """Returns the statistics of the episodes in `index`, at least one."""
    returns = np.sort(index.returns)
    steps = int(index.length.sum())
    best = returns[-max(1, len(returns) // 10) :]
    return Statistics(
        episodes=len(returns),
        steps=steps,
        frames=steps * frame_skip,
        mean_return=float(returns.mean()),
        sd_return=float(returns.std(ddof=1)) if len(returns) > 1 else 0.0,
        best_return=float(returns[-1]),
        best_tenth=float(best.mean()),
        quantiles={f"{q:g}": float(np.quantile(returns, q)) for q in QUANTILES},
    )


def chunk_name(number: int, field: str) -> str:
    """Returns the name of a chunk's file."""
    return f"{field}-{number:05d}.npy"


def index_of(rows: Sequence[Sequence[Any]]) -> Index:
    """Returns the index of episodes given one by one, in the order of `Index`."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(Index._fields)
    return Index(
        *(
            np.array(list(column), dtype)
            for column, dtype in zip(columns, INDEX_DTYPES, strict=True)
        )
    )


def select(index: Index, episodes: Int[np.ndarray, " N"]) -> Index:
    """Returns the index of some episodes."""
    return Index(*(column[episodes] for column in index))


def rows_of_chunks(index: Index) -> dict[str, list[int]]:
    """Returns how many rows of each field each chunk has."""
    steps = np.bincount(index.chunk, index.length).astype(int).tolist()
    seen = np.bincount(index.chunk, index.length + index.last_observation)
    return {
        "observations": seen.astype(int).tolist(),
        "actions": steps,
        "rewards": steps,
    }
