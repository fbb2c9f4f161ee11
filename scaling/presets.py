"""Named starting points: settings, and the grid of a study, that flags override."""

import dataclasses

from scaling import config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings and the grid of a study."""

    settings: config.Settings
    budgets: str
    fractions: str
    seeds: int = 3
    checkpoint_seconds: float = 300.0


PAPER = Preset(settings=config.Settings(), budgets="1e5..2e8", fractions="0,0.5,0.95")

DEMO = Preset(
    settings=config.Settings(
        env="jumanji:PacMan-v1",
        environments=16,
        samples_per_search=1.0,
        protocol=config.Protocol(
            sticky=0.25,
            stack=1,
            past_actions=0,
            random_start=30,
            view="egocentric",
            view_size=15,
        ),
        network=config.Network(kind="mlp", units=128, blocks=1, head_units=128),
        value=config.Value(bins=49, limit=12.0, scale=0.1),
        search=config.Search(policy="gumbel", simulations=8),
        replay=config.Replay(
            window=1_000_000,
            window_share=0.2,
            segment_length=16,
            warm_up=64,
            priority_exponent=0.0,
            importance_exponent=0.0,
        ),
        learner=config.Learner(
            batch_size=64,
            discount=0.97,
            learning_rate=1e-3,
            weight_decay=1e-7,
            gradient_clip=5.0,
            value_weight=0.25,
        ),
        evaluation=config.Evaluation(episodes=64, curve_points=3),
    ),
    budgets="2e3..2e4:5",
    fractions="0,0.5,0.95",
    checkpoint_seconds=10.0,
)

ATARI_SMALL = Preset(
    settings=config.Settings(
        env="atari:MsPacman",
        environments=8,
        samples_per_search=1.0,
        protocol=config.Protocol(image_size=48, colour="gray", stack=4, past_actions=4),
        network=config.Network(
            kind="convolutional", planes=32, units=128, blocks=3, head_units=128
        ),
        value=config.Value(bins=101, limit=25.0, scale=0.1),
        search=config.Search(policy="gumbel", simulations=8),
        replay=config.Replay(
            stored_steps=100_000,
            window=100_000,
            window_share=0.2,
            segment_length=32,
            warm_up=32,
            priority_exponent=0.0,
            importance_exponent=0.0,
        ),
        learner=config.Learner(
            batch_size=64, learning_rate=5e-4, gradient_clip=5.0, value_weight=0.25
        ),
        evaluation=config.Evaluation(episodes=16, curve_points=2, curve_episodes=8),
    ),
    budgets="1e5..1e6:3",
    fractions="0,0.5,0.95",
)

CARTPOLE = Preset(
    settings=dataclasses.replace(
        DEMO.settings,
        env="gymnasium:CartPole-v1",
        environments=4,
        samples_per_search=2.0,
        protocol=config.Protocol(stack=1, past_actions=0),
        learner=dataclasses.replace(DEMO.settings.learner, discount=0.997),
    ),
    budgets="3e3..3e4:3",
    fractions="0,0.5,0.9",
)

PRESETS = {
    "paper": PAPER,
    "demo": DEMO,
    "atari-small": ATARI_SMALL,
    "cartpole": CARTPOLE,
}


def preset(name: str) -> Preset:
    """Returns a preset by name.

    Raises:
      ValueError: if there is none of that name.
    """
    if name not in PRESETS:
        raise ValueError(
            f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}."
        )
    return PRESETS[name]
