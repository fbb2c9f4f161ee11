"""Which numbers of a line are tracked, and the rates between lines."""

import math

from scaling.tracking.points import Points

TRAIN = {
    "kind": "train",
    "call": 4,
    "searched": 100,
    "updates": 10,
    "seconds": 20.0,
    "loss": 0.5,
    "episode_return": None,
}
CURVE = {"kind": "curve", "call": 4, "searched": 100, "score": 3, "note": "one path"}


def test_numbers_are_named_by_their_kind_and_nothing_else_is_tracked():
    points = Points()
    train, curve = points.of(TRAIN), points.of(CURVE)
    assert train.scalars == {
        "train/call": 4,
        "train/searched": 100,
        "train/updates": 10,
        "train/seconds": 20,
        "train/loss": 0.5,
    }
    assert curve.scalars == {"curve/call": 4, "curve/searched": 100, "curve/score": 3}
    timing = {"kind": "timing", "call": 5, "searched": 100, "search_seconds": 0.5}
    assert points.of(timing).scalars["timing/search_seconds"] == 0.5
    assert train.step == curve.step == 100
    assert train.seconds == curve.seconds == 20  # a curve point has no clock of its own


def test_rates_are_those_since_the_line_of_training_before():
    points = Points()
    points.of(TRAIN)
    points.of(CURVE)
    line = {**TRAIN, "searched": 180, "updates": 30, "seconds": 24.0}
    scalars = points.of(line).scalars
    assert scalars["train/searched_per_second"] == (180 - 100) / (24 - 20)
    assert scalars["train/updates_per_second"] == (30 - 10) / (24 - 20)


def test_without_time_between_lines_a_rate_is_no_number():
    points = Points()
    assert "train/searched_per_second" not in points.of(TRAIN).scalars
    assert math.isnan(points.of(TRAIN).scalars["train/searched_per_second"])


def test_what_is_no_number_any_more_is_shown():
    scalars = Points().of({**TRAIN, "loss": math.nan}).scalars
    assert math.isnan(scalars["train/loss"])
