"""What the verdict and the tests are worth, by simulation; figures are printed.

The figures are in docs/statistics.md, with the command that prints them.
"""

from collections import Counter

import numpy as np
import pytest
from simulated import SHAPES, curve, noisy, stepped

from analysis import fit, inference, laws
from analysis import verdict as verdicts

WORDS = ("consistent", "saturating", "accelerating", "break", "underpowered")
RULE = (laws.LOG_LINEAR, laws.BOX_COX)


def evidence(frames, score):
    one = curve(frames, score)
    return verdicts.evidence(one, verdicts.fit_laws(one, RULE)[0])


def drawn(kind, budgets, seeds, growth, seed):
    if kind == "break":
        return stepped(budgets, seeds, growth, seed)
    if kind == "too few":
        return noisy(4, 2, np.log10, growth, seed)
    return noisy(budgets, seeds, SHAPES[kind], growth, seed)


def shares(kind, budgets, seeds, growth, draws=500):
    """The share of draws with each verdict, printed."""
    words = Counter(
        verdicts.verdict(evidence(*drawn(kind, budgets, seeds, growth, seed))).word
        for seed in range(draws)
    )
    found = {word: words[word] / draws for word in WORDS}
    row = "  ".join(f"{word} {share:.3f}" for word, share in found.items())
    print(f"\n{budgets} × {seeds}, noise × {growth:g}, {kind}: {row}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("growth", [1.0, 4.0])
@pytest.mark.parametrize("kind", [*SHAPES, "break", "too few"])
def test_six_budgets_of_six_seeds_get_the_right_verdict(kind, growth):
    right = "underpowered" if kind == "too few" else kind
    assert shares(kind, 6, 6, growth)[right] >= 0.90


@pytest.mark.slow
@pytest.mark.parametrize("growth", [1.0, 4.0])
@pytest.mark.parametrize("kind", [*SHAPES, "break"])
def test_five_budgets_of_three_seeds_are_seldom_wrong(kind, growth):
    found = shares(kind, 5, 3, growth)
    if kind == "break":  # three seeds miss half of the steps; none is called a bend
        assert found["saturating"] + found["accelerating"] <= 0.15
        return
    assert 1 - found[kind] - found["underpowered"] <= 0.10
    if kind == "consistent":
        assert found["consistent"] <= 2 / 3  # so more seeds are advised


@pytest.mark.slow
@pytest.mark.parametrize(
    ("budgets", "seeds", "growth", "draws"),
    [(5, 3, 4.0, 4000), (5, 3, 1.0, 1000), (6, 6, 4.0, 1000), (6, 6, 1.0, 1000)],
)
def test_intervals_cover_and_tests_keep_their_size(budgets, seeds, growth, draws):
    hits = np.zeros(5)
    for seed in range(draws):
        frames, score = noisy(budgets, seeds, np.log10, growth, seed)
        found = evidence(frames, score)
        other = noisy(budgets, seeds, np.log10, growth, seed + draws)
        lines = [
            fit.fit_law(laws.LOG_LINEAR, *runs) for runs in ((frames, score), other)
        ]
        equal = inference.equal_slopes(lines)
        new = inference.new_seed_interval(lines[0], float(frames[-1]))
        assert found.slope is not None
        assert found.exponent is not None
        assert found.line_lack_of_fit is not None
        assert equal is not None
        assert new is not None
        hits += [
            found.slope.contains(3),
            found.exponent.contains(0),
            equal.p < 0.05,
            found.line_lack_of_fit.p < 0.05,
            new.contains(other[1][-1]),
        ]
    slope, exponent, equal_size, lack_size, new_seed = hits / draws
    print(
        f"\n{budgets} × {seeds}, noise × {growth:g}, {draws} draws: covered: slope "
        f"{slope:.3f}, λ {exponent:.3f}, a new seed {new_seed:.3f}; rejected: equal "
        f"slopes {equal_size:.3f}, lack of fit {lack_size:.3f}"
    )
    assert slope >= 0.92
    assert exponent >= 0.92
    assert new_seed >= 0.90
    if draws == 4000:
        assert 0.04 <= equal_size <= 0.07
        assert lack_size <= 0.08
    else:
        assert 0.02 <= equal_size <= 0.08
        assert lack_size <= 0.09
