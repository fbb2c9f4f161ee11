"""Means, intervals and ratios of cells."""

import numpy as np
import pandas as pd
import pytest

from analysis import cells


def runs(rows):
    names = ["env", "fraction", "control", "data_frames", "score", "status"]
    return pd.DataFrame(rows, columns=pd.Index(names))


def test_cells_have_mean_median_and_ratios():
    nan = float("nan")
    rows = [("e", 0.0, nan, 100.0, s, "ok") for s in (1.0, 2.0, 6.0)]
    rows += [("e", 0.9, nan, 100.0, s, "ok") for s in (6.0, 6.0, 15.0)]
    rows += [("e", 0.0, 0.9, 100.0, s, "ok") for s in (3.0, 3.0, 3.0)]
    rows += [("e", 0.9, nan, 900.0, nan, "failed")]
    found = cells.cells(runs(rows))
    best = found[(found["fraction"] == 0.9) & (found["frames"] == 100)].iloc[0]
    assert (best["mean"], best["median"], best["runs"]) == (9, 6, 3)
    assert best["sd"] == pytest.approx(np.std([6, 6, 15], ddof=1))
    assert best["high"] - best["mean"] == pytest.approx(12.908, abs=1e-3)  # t, 2
    assert best["mean_ratio_to_fraction_0"] == 3
    assert best["median_ratio_to_fraction_0"] == 3
    assert best["mean_ratio_to_control"] == 3
    assert best["median_ratio_to_control"] == 2
    lost = found[found["frames"] == 900].iloc[0]
    assert (lost["runs"], lost["not_ok"]) == (0, 1)
    assert np.isnan(lost["mean"])


def test_ratios_to_a_score_that_is_not_positive_are_empty():
    nan = float("nan")
    rows = [("e", 0.0, nan, 10.0, -2.0, "ok"), ("e", 0.5, nan, 10.0, 4.0, "ok")]
    ratios = cells.cells(runs(rows))["mean_ratio_to_fraction_0"]
    assert np.isnan(ratios.to_numpy(float)).all()
