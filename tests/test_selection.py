"""What a look needs, and what contradicts."""

import dataclasses
from typing import Any

import pytest

from scaling import config, selection


def settings(
    target: Any = "reanalyse",
    acting: Any = "mcts",
    unroll: int = 5,
    epsilon: float = 0.0,
    **evaluation: Any,
):
    return config.Settings(
        learner=config.Learner(target=target, unroll_steps=unroll),
        acting=config.Acting(action=acting, epsilon=epsilon),
        evaluation=config.Evaluation(**evaluation),
    )


@pytest.mark.parametrize(
    ("target", "acting", "acts", "search", "values"),
    [
        ("reanalyse", "mcts", True, True, False),
        ("reanalyse", "value", True, True, True),
        ("reanalyse", "value", False, True, False),
        ("supervised", "mcts", True, True, False),
        ("supervised", "mcts", False, False, False),
        ("supervised", "value", True, False, True),
        ("supervised", "policy", True, False, False),
        ("crr", "policy", True, False, True),
        ("crr", "mcts", False, False, True),
    ],
)
def test_needs(target, acting, acts, search, values):
    needs = selection.needs(settings(target, acting), acts)
    assert needs == selection.Needs(search=search, action_values=values)


def test_model_steps_are_those_of_the_search_and_of_every_action():
    asked = settings("reanalyse", "value")
    simulations = asked.search.simulations
    assert selection.model_steps(asked, acts=True, actions=7) == simulations + 7
    assert selection.model_steps(asked, acts=False, actions=7) == simulations
    without = settings("crr", "value", unroll=0)
    assert selection.model_steps(without, acts=True, actions=7) == 0


@pytest.mark.parametrize(
    ("asked", "fractions", "words"),
    [
        (settings(unroll=0, action="value"), [0.5], "--learner.target reanalyse"),
        (settings("crr", "mcts", 0, action="value"), [0.5], "--acting.action mcts"),
        (settings("crr", "mcts", 0, action="value"), [], "--acting.action mcts"),
        (settings("crr", "value", 0, 0.1), [0.5], "--evaluation.action mcts"),
        (
            settings("crr", "value", 0, 0.1, action="value", also=("mcts",)),
            [1.0],
            "--evaluation.also mcts",
        ),
        (settings("crr", "value"), [0.5], "--acting.epsilon 0.1"),
        (settings(also=("mcts",)), [0.5], "list each once"),
        (settings(also=("value", "value")), [0.5], "list each once"),
    ],
)
def test_contradictions_are_refused(asked, fractions, words):
    with pytest.raises(ValueError, match=words):
        selection.check(asked, fractions)


@pytest.mark.parametrize(
    ("asked", "fractions"),
    [
        (settings(), [0.0, 0.95]),
        (settings(also=("value", "policy")), []),
        (settings("crr", "mcts", 0, action="value", also=("policy",)), [1.0]),
        (settings("supervised", "value", 0, 0.1, action="value"), [0.5]),
        (settings("crr", "value"), [1.0]),
    ],
)
def test_what_goes_together_is_taken(asked, fractions):
    selection.check(asked, fractions)


def test_settings_may_be_evaluated_in_one_way_alone():
    both = settings(action="mcts", also=("value",))
    one = config.evaluated_by(both, "policy").evaluation
    assert (one.action, one.also) == ("policy", ())
    rest = dataclasses.replace(one, action="mcts", also=("value",))
    assert rest == both.evaluation
