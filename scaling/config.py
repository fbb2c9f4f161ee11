"""One frozen settings tree, and the identity of a study and of a run.

Nothing here imports JAX: `--help` and `--dry-run` must answer at once. The
docstring under a field is its `--help`, with unit and source. The defaults are
the paper's (`P` is arXiv 2104.06294, `PC` its pseudocode, `M19` is arXiv
1911.08265); where they are ours, the field says so.
"""

import dataclasses
import hashlib
import json
import pathlib
import typing
from fractions import Fraction
from typing import Annotated, Any, Literal

import tyro

Action = Literal["mcts", "policy", "value"]
"""How actions are selected: the best of a search, a sample of the policy head, or the
action of the highest value after one step of the model."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Protocol:
    """How an environment is presented: what a score means depends on it."""

    sticky: float | None = None
    """Probability that the previous action is repeated, in training and in
    evaluation. None: the family's standard, 0.25 on Atari (P) and 0 elsewhere."""
    frame_skip: int = 4
    """Emulator frames an action lasts; Atari only, elsewhere a step is a frame."""
    max_frames: int = 108_000
    """Frames after which an episode is truncated (30 minutes of Atari, P)."""
    full_action_space: bool = True
    """Atari: all 18 actions (P) instead of the game's minimal set."""
    image_size: int = 96
    """Atari: height and width of a frame after resizing, in pixels (M19)."""
    colour: Literal["rgb", "gray"] = "rgb"
    """Atari: colour of a frame (M19: RGB)."""
    stack: int = 32
    """Observations that the network sees, the newest included (M19: 32 frames)."""
    past_actions: int = 32
    """Past actions that the network sees beside the observations (M19: 32)."""
    random_start: int = 0
    """Ours: an episode begins with 0 to this many uniformly random steps, drawn
    per episode and not counted, in training and in evaluation (jumanji)."""
    view: Literal["board", "egocentric", "coarse"] = "board"
    """Ours, for boards (jumanji): the whole board, a crop centred on the player,
    or that crop with a coarse view of the whole board beside it."""
    view_size: int = 15
    """Ours: height and width of the egocentric crop, in cells (odd)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Network:
    """Representation, dynamics and prediction networks."""

    kind: Literal["residual", "convolutional", "mlp"] = "residual"
    """`residual`: the paper's, pre-activation residual blocks with LayerNorm,
    convolutions for images and dense layers for vectors; `convolutional`: a small
    one for small boards; `mlp`: dense layers on the flattened observation."""
    planes: int = 256
    """Planes of convolutions (P: 256)."""
    units: int = 512
    """Units of dense layers (P: 512 for vector observations)."""
    blocks: int = 10
    """Residual blocks in representation and in dynamics (P: 10); for `mlp` and
    `convolutional` the number of hidden layers in each."""
    downsampling_blocks: tuple[int, int, int] = (2, 3, 3)
    """Residual blocks at a half, a quarter and an eighth of an image's side, before
    those of the representation (P: 2, 3, 3)."""
    prediction_blocks: int = 0
    """Residual blocks before the heads of policy and value (ours: P does not say)."""
    head_units: int = 256
    """Units of the hidden layer in each head."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Value:
    """The categorical representation of values and rewards."""

    bins: int = 601
    """Atoms of the support, odd (M19)."""
    limit: float = 300.0
    """The support is [-limit, limit] in units of h(x) (M19)."""
    scale: float = 1.0
    """Ours: values and rewards are multiplied by this before h, so that small
    supports serve games with large scores."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
    """Monte Carlo tree search, for acting and for reanalysis alike."""

    policy: Literal["muzero", "gumbel"] = "muzero"
    """`muzero`: pUCT with Dirichlet noise (PC); `gumbel`: Gumbel MuZero
    (Danihelka et al. 2022), which improves its policy from few simulations."""
    simulations: int = 50
    """Simulations of a search (PC: 50)."""
    pb_c_init: float = 1.25
    """pUCT constant c1 (PC)."""
    pb_c_base: float = 19_652.0
    """pUCT constant c2 (PC)."""
    dirichlet_alpha: float = 0.25
    """Concentration of the root noise (PC)."""
    dirichlet_fraction: float = 0.25
    """Share of the root noise in the prior, in acting and in reanalysis (PC)."""
    max_considered_actions: int = 16
    """Gumbel: actions considered at the root."""
    temperatures: tuple[tuple[float, float], ...] = (
        (0.0, 1.0),
        (0.5, 0.5),
        (0.75, 0.25),
    )
    """(progress, temperature): temperature of visit counts in acting from this
    share of the updates on (PC); `gumbel` needs none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Acting:
    """How the environments are acted in while the network learns."""

    action: Action = "mcts"
    """`mcts`: a search (P); `policy`: a sample of the policy head; `value`: the action
    of the highest r + γv after one model step, or of the highest action value where
    --learner.unroll-steps is 0. The last two need no search; --learner.target may
    make one."""
    epsilon: float = 0.0
    """Ours: share of the actions that are uniformly random instead; `value` explores
    in no other way."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Replay:
    """Stored steps, the segments that are searched again, and the window."""

    stored_steps: int = 1_000_000
    """N: reanalysis draws from this many most recent agent steps (ours: P does
    not state its N)."""
    window: int = 25_000_000
    """W: the learner draws from this many most recent searched steps
    (P: 50 000 sub-sequences of 500)."""
    window_share: float = 1.0
    """Ours: the window is at most this share of the searches so far, so that runs
    of all lengths forget at the same rate (P's window is 2.5 % of its searches)."""
    best_steps: int = 100_000
    """N of the source `best`: the steps that belong to the episodes of highest return
    are this many at most, or 64 for each logical shard (ours: P does not state its
    N)."""
    segment_length: int = 500
    """Most steps of a segment; its targets are all of one age (P: 500)."""
    warm_up: int = 125
    """Fresh steps of each shard before a stored one is searched (ours)."""
    priority_exponent: float = 1.0
    """α in P(i) ∝ |ν - z|^α; 0 draws uniformly (P: 1)."""
    importance_exponent: float = 1.0
    """β of the weights (1/N · 1/P(i))^β (P: 1)."""
    priority_epsilon: float = 1e-3
    """Added to |ν - z| so that no step is lost for ever (ours)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Crr:
    """Critic-regularised regression (Wang et al. 2020, arXiv 2006.15134)."""

    weight: Literal["exponential", "binary"] = "exponential"
    """Weight of a logged action of advantage A: min(exp(A/β), limit), or 1 where A > 0
    and 0 elsewhere."""
    temperature: float = 1.0
    """β, in units of reward × --value.scale (published code: 1)."""
    limit: float = 20.0
    """Largest exponential weight (published code: 20)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Learner:
    """Losses and optimiser."""

    batch_size: int = 1024
    """Windows in a batch (P)."""
    target: Literal["reanalyse", "supervised", "crr"] = "reanalyse"
    """What the policy head learns: the policy of a fresh search (P); the logged action,
    which on a data set is behaviour cloning; or the logged action weighted by its
    advantage. The last two need no search; --acting.action may make one. The value
    target is the n-step one in all."""
    crr: Crr = Crr()
    unroll_steps: int = 5
    """K: model steps of the unrolled loss (P). 0: there is no model but a head of
    action values, and so no search (P, appendix C)."""
    td_steps: int = 5
    """n of the n-step value target (P, Atari)."""
    bootstrap: Literal["root_value", "target_network"] = "root_value"
    """Value at the end of the n steps: the search's own root value (PC) or the
    target network's (P)."""
    target_interval: int = 100
    """Updates between copies into the target network (P)."""
    discount: float = 0.997
    """γ per agent step (P, Atari)."""
    learning_rate: float = 1e-4
    """Adam's learning rate at the first update (P)."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Learning rate over the run: cosine to zero (P) or constant."""
    weight_decay: float = 1e-4
    """Decoupled: the share of a weight lost per update at the first learning
    rate (PC's scale, 1.0 in torch's AdamW terms at a learning rate of 1e-4)."""
    gradient_clip: float | None = None
    """Largest global norm of the gradient; None: no clipping (P mentions none)."""
    value_weight: float = 1.0
    """Weight of the value loss (PC: 1; M19's Reanalyze: 0.25)."""
    reward_weight: float = 1.0
    """Weight of the reward loss (PC)."""
    policy_weight: float = 1.0
    """Weight of the policy loss (PC)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The final network's score."""

    episodes: int = 300
    """Whole episodes, every one counted (P)."""
    curve_points: int = 10
    """Evaluations during training, for the learning curve only: they are logged
    as curve points and never used as budgets."""
    curve_episodes: int = 16
    """Episodes of a curve point."""
    action: Action = "mcts"
    """How actions are selected: the best of a search without noise (P), a sample of
    the policy head, or the action of the highest value after one model step."""
    also: tuple[Action, ...] = ()
    """Other ways in which the final network is evaluated too; the row has a score of
    each."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Data:
    """Which borrowed data a study learns from, by what is in them: no path is here."""

    dataset: str = ""
    """Name and content of the data set of fraction 1, as name@hash; empty: none."""
    demonstrations: str = ""
    """Name and content of the demonstrations, as name@hash; empty: none."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that decides what a run computes, but its cell."""

    env: str = "atari:MsPacman"
    """Environment, as `family:Name`: atari, jumanji, gymnasium, or the module of
    your own class (docs/extending.md)."""
    environments: int = 16
    """E: environments that step together, the same in every cell of a study
    (ours)."""
    samples_per_search: float = 1.024
    """Learner samples for each searched state (P: 1.024e9 / 1e9)."""
    max_lanes: int = 1024
    """Most rows of a search batch; sets how many stored slots a high fraction
    gets (ours)."""
    shards: int = 8
    """G: logical shards, a power of two that divides the environments and that
    the number of devices divides; fewer when there are fewer environments (ours)."""
    groups: int = 2
    """Host environments: lockstep groups of lanes; one group's environments step
    while the device searches the next (ours)."""
    sources: str = "recent:1"
    """Where stored states come from, with their shares of the stored searches:
    `recent` (the --replay.stored-steps newest steps), `best` (the --replay.best-steps
    of the episodes of highest return) and `demonstrations` (--demonstrations PATH), as
    recent:0.8,demonstrations:0.2. A share may move in a line, over the run or its
    first part: recent:0.5..1@0.6,demonstrations:0.5..0@0.6. Fraction 1 draws from its
    data set alone."""
    data: Annotated[Data, tyro.conf.Suppress] = Data()
    """Of --dataset and --demonstrations; it is no flag."""
    precision: Literal["f32", "bf16", "f64"] = "f32"
    """`bf16`: networks compute in bfloat16, parameters, losses and targets stay
    float32; `f64`: everything in float64, for tests of exactness (ours)."""
    protocol: Protocol = Protocol()
    network: Network = Network()
    value: Value = Value()
    search: Search = Search()
    acting: Acting = Acting()
    replay: Replay = Replay()
    learner: Learner = Learner()
    evaluation: Evaluation = Evaluation()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One run of a study: how much data, how much search, which seed."""

    frames: int
    """Environment frames, the budget."""
    fraction: float
    """Share of searched states that are stored ones, in [0, 1]."""
    seed: int
    """Seed of everything random in the run."""
    searches: int | None = None
    """Searched states, where the design fixes them (path, fraction 1); None:
    steps / (1 - fraction)."""
    control_for: float | None = None
    """The fraction whose number of updates this run at fraction 0 takes."""


def evaluated_by(settings: Settings, action: Action) -> Settings:
    """Returns the settings with one way to select actions in evaluation."""
    evaluation = dataclasses.replace(settings.evaluation, action=action, also=())
    return dataclasses.replace(settings, evaluation=evaluation)


def exact(number: float) -> Fraction:
    """Returns the number as it was written: 0.95 is 19/20, not its binary twin."""
    return Fraction(repr(number))


def as_dict(settings: Any) -> dict[str, Any]:
    """Returns the settings as plain values, ready for JSON."""
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def study_hash(settings: Settings) -> str:
    """Returns eight hexadecimal digits that name the study.

    All settings enter but budgets, fractions and seeds (they are the cell's), so
    that new ones extend a study in the same directory.
    """
    canonical = json.dumps(as_dict(settings), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def run_id(settings: Settings, cell: Cell) -> str:
    """Returns the run's name: environment, frames, fraction, seed, hash."""
    name = "".join(c if c.isalnum() else "_" for c in settings.env)
    fraction = f"f{cell.fraction!r}" if cell.searches is None else f"S{cell.searches}"
    if cell.searches is not None and cell.fraction == 1:
        fraction = f"f1-S{cell.searches}"
    control = "" if cell.control_for is None else f"-control{cell.control_for!r}"
    return (
        f"{name}-{cell.frames}-{fraction}{control}-s{cell.seed}-{study_hash(settings)}"
    )


def config_hash(settings: Settings, cell: Cell) -> str:
    """Returns eight hexadecimal digits of everything that decides a run."""
    everything = {"settings": as_dict(settings), "cell": as_dict(cell)}
    canonical = json.dumps(everything, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:8]


def settings_from_dict(values: dict[str, Any]) -> Settings:
    """Returns the settings of which `as_dict` made `values`.

    Raises:
      ValueError: if a name is unknown or missing.
    """
    return _from_dict(Settings, values, "")


def cell_from_dict(values: dict[str, Any]) -> Cell:
    """Returns the cell of which `as_dict` made `values`.

    Raises:
      ValueError: if a name is unknown or missing.
    """
    return _from_dict(Cell, values, "")


def load_config(run_directory: pathlib.Path) -> tuple[Settings, Cell]:
    """Returns the settings and the cell that a run wrote as its `config.json`.

    Raises:
      ValueError: if the file is missing, damaged or of another version.
    """
    path = run_directory / "config.json"
    try:
        values = json.loads(path.read_text())
        return settings_from_dict(values["settings"]), cell_from_dict(values["cell"])
    except OSError as error:
        raise ValueError(
            f"{run_directory} is not the directory of a run: {path.name} cannot be "
            f"read ({error.strerror}); give one like results/runs/RUN_ID."
        ) from error
    except (json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is damaged or of another version ({error}); delete the run's "
            "directory to run it again."
        ) from error


def _from_dict(cls: type, values: dict[str, Any], prefix: str) -> Any:
    fields = {field.name: field for field in dataclasses.fields(cls)}
    if different := sorted(set(fields) ^ set(values)):
        names = ", ".join(prefix + name for name in different)
        raise ValueError(f"it and this version differ in {names}")
    types = typing.get_type_hints(cls)
    return cls(
        **{
            name: _from_dict(types[name], value, f"{prefix}{name}.")
            if dataclasses.is_dataclass(types[name])
            else _as_tuple(value)
            for name, value in values.items()
        }
    )


def _as_tuple(value: Any) -> Any:
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value
