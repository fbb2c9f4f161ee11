"""Settings out of range and missing packages are refused by name."""

import dataclasses
import importlib.util

import pytest

from launch import checks, errors
from scaling import config, presets

NAMES = {path.rpartition(".")[2] for path, _ in checks._leaves(config.Settings(), "")}


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_are_accepted(name):
    checks.check_settings(presets.preset(name).settings)


def test_the_exceptions_are_names_of_settings():
    known = checks.MAY_BE_ZERO | checks.AT_MOST_ONE | checks.ODD | checks.POWERS_OF_TWO
    absent = {"gradient_clip", "sticky"}  # None by default, so they are no numbers
    assert known <= NAMES | absent


@pytest.mark.parametrize(
    ("group", "name", "value", "message"),
    [
        ("learner", "learning_rate", float("nan"), "--learner.learning-rate is nan"),
        ("learner", "batch_size", 0, "1 or more"),
        ("learner", "discount", 1.01, r"must lie in \[0, 1\]"),
        ("learner", "value_weight", -1.0, "0 or more"),
        ("learner", "learning_rate", 0.0, "above 0"),
        ("learner", "gradient_clip", -1.0, "--learner.gradient-clip is -1.0"),
        ("value", "bins", 600, "must be odd"),
        ("search", "temperatures", ((0.0, -1.0),), "--search.temperatures is -1.0"),
        ("protocol", "random_start", -1, "0 or more"),
    ],
)
def test_settings_out_of_range_are_refused(group, name, value, message):
    settings = config.Settings()
    part = dataclasses.replace(getattr(settings, group), **{name: value})
    with pytest.raises(ValueError, match=message) as caught:
        checks.check_settings(dataclasses.replace(settings, **{group: part}))
    assert errors.is_sentence(caught.value)


def test_missing_packages_are_named_without_importing_any(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="needs jax, flax, optax, mctx, not installed"):
        checks.check_installed()


def test_refusals_stay_sentences_and_failures_name_their_kind():
    assert errors.one_line(ValueError("Too\n small.")) == "Too small."
    assert errors.one_line(KeyError("loss")) == "KeyError: 'loss'"
    assert not errors.is_sentence(ValueError("operands could not be broadcast"))


def test_an_exception_may_name_the_rows_status():
    diverged = type("Diverged", (RuntimeError,), {"status": "diverged"})
    assert errors.row_status(diverged()) == "diverged"
    assert errors.row_status(RuntimeError()) == "failed"
