"""The best fraction, with the draws that say how surely."""

import numpy as np
import pandas as pd
import pytest

from analysis import choice

NAN = float("nan")


def runs(seeds=4, noise=1.0, levels=(0.0, 5.0, 20.0)):
    generator = np.random.default_rng(0)
    rows = [
        {
            **{"fraction": f, "control": NAN, "data_frames": n, "status": "ok"},
            "searched_states": n / (1 - f),
            "compute": NAN,
            "score": level * np.log10(n / 1e3) + noise * generator.normal(),
        }
        for f, level in zip((0.0, 0.5, 0.9), levels, strict=True)
        for n in (1e4, 1e5, 1e6)
        for _ in range(seeds)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seeds", [1, 3, 12])
def test_a_clear_winner_wins_every_draw(seeds):
    found = choice.per_budget(runs(seeds), seed=0)
    assert [best.at for best in found] == [1e4, 1e5, 1e6]
    assert [best.fraction for best in found] == [0.9] * 3
    assert all(best.shares["0.9"] > 0.99 for best in found)


@pytest.mark.parametrize("seeds", [3, 12])
def test_a_tie_is_shared(seeds):
    found = choice.per_budget(runs(seeds, noise=0.0, levels=(5.0, 5.0, 5.0)), seed=0)
    assert found[0].score == pytest.approx(5)
    equal = runs(seeds, noise=0.0, levels=(5.0, 5.0, 5.0))
    equal["score"] = np.resize([1.0, 2.0, 3.0], len(equal))
    shares = choice.per_budget(equal, seed=0)[0].shares
    assert all(0.2 < share < 0.5 for share in shares.values())
    assert sum(shares.values()) == pytest.approx(1)


def test_draws_depend_on_the_seed_and_on_nothing_else():
    close = runs(levels=(5.0, 5.2, 5.1))
    assert choice.per_budget(close, 1) == choice.per_budget(close, 1)
    assert choice.per_budget(close, 1) != choice.per_budget(close, 2)


def test_per_compute_reads_lines_inside_their_own_range():
    found = choice.per_compute(runs(), seed=0)
    assert choice.compute_column(runs()) == "searched_states"
    assert all(1e4 <= best.at <= 1e7 * 1.0001 for best in found)
    assert "0.9" not in found[0].shares or found[0].at >= 1e5
    assert found[-1].fraction == 0.9


def test_without_compute_nothing_is_said():
    assert choice.per_compute(runs().assign(searched_states=NAN), 0) == []


def test_the_pareto_set_is_what_nothing_cheaper_beats():
    compute = np.array([1.0, 2.0, 2.0, 3.0, 4.0])
    score = np.array([5.0, 4.0, 6.0, 6.0, 7.0])
    expected = [
        not any(
            (compute[j] <= compute[i] and score[j] > score[i])
            or (compute[j] < compute[i] and score[j] >= score[i])
            for j in range(5)
        )
        for i in range(5)
    ]
    assert choice.pareto(compute, score).tolist() == expected
