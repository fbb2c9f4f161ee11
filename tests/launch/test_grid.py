"""The grammar of grids, and the cells that designs make of them."""

import math

import hypothesis
import pytest
from hypothesis import strategies as st

from launch import grid


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1e5,3e5", (100_000, 300_000)),
        ("5", (5,)),
        (" 3 , 1 ", (3, 1)),
        ("1_000", (1000,)),
        ("1e3..1e5:3", (1000, 10_000, 100_000)),
        ("1234..98765:2", (1234, 98765)),
        ("1234..98765:3", (1234, 11_000, 98765)),
    ],
)
def test_budgets_are_listed_or_ranged(text, values):
    assert grid.budgets(text) == values


def test_the_papers_range_has_eight_round_budgets():
    thousands = [100, 300, 880, 2600, 7700, 23_000, 68_000, 200_000]
    assert grid.budgets("1e5..2e8") == tuple(1000 * n for n in thousands)


@hypothesis.given(
    low=st.integers(1, 10**8),
    points=st.integers(2, 12),
    ratio=st.floats(1.2, 20),  # of neighbours
)
def test_ranges_keep_their_ends_and_are_geometric(low, points, ratio):
    high = math.ceil(low * ratio ** (points - 1))
    values = grid.numbers(f"{low}..{high}:{points}", "--budgets")
    assert (values[0], values[-1], len(values)) == (low, high, points)
    for i, value in enumerate(values[1:-1], 1):
        exact = low * (high / low) ** (i / (points - 1))
        assert abs(value - exact) <= 0.0501 * exact
        assert float(f"{value:.1e}") == value
    assert list(values) == sorted(set(values))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        (" ", "empty"),
        ("1e5,,2e5", "not a number"),
        ("1e5,", "not a number"),
        ("many", "'many'"),
        ("nan", "not a number"),
        ("1,inf", "'inf'"),
        ("2e8..1e5", "not a range"),
        ("1e5..1e5", "not a range"),
        ("..", "not a number"),
        ("1e5..", "not a number"),
        ("0..10", "0 < LO < HI"),
        ("-5..10", "0 < LO < HI"),
        ("1..2..3", "'2..3'"),
        ("1,2..3", "'1,2'"),
        ("1..9:1", "1 points"),
        ("1..9:0", "--budgets has 0"),
        ("1..9:2.5", "whole number"),
        ("1..9:", "not a number"),
        ("1..9:1e9", "2 to 1000"),
        ("100..110:5", "too narrow"),
        ("1e5,100000", "100000 twice"),
        ("0", "whole number"),
        ("-1", "whole number"),
        ("1.5", "1.5"),
        ("1e30", "whole number"),
    ],
)
def test_bad_budgets_are_refused_in_a_sentence(text, message):
    with pytest.raises(ValueError, match="--budgets") as caught:
        grid.budgets(text)
    assert message in str(caught.value)
    assert str(caught.value).endswith(".")


def test_fractions_keep_what_was_written():
    assert grid.fractions("0,0.5,0.9998") == (0.0, 0.5, 0.9998)
    assert repr(grid.fractions("-0")[0]) == "0.0"  # its name is that of 0


@pytest.mark.parametrize("text", ["-0.1", "1.01", "0.5,2", "nan", "0.5,.5"])
def test_bad_fractions_are_refused(text):
    with pytest.raises(ValueError, match="--fractions"):
        grid.fractions(text)


def test_fraction_1_has_sizes_of_a_data_set_and_searches():
    assert grid.fractions("0.5,1") == (0.5, 1.0)
    cells = grid.offline((100, 200), 5000, range(2))
    assert [(c.frames, c.seed) for c in cells] == [
        (100, 0),
        (100, 1),
        (200, 0),
        (200, 1),
    ]
    assert {(c.fraction, c.searches) for c in cells} == {(1.0, 5000)}
    assert grid.update_controls(cells) == []  # there is no such run at 0


def test_seeds_are_counted_from_the_first():
    assert list(grid.seeds(3, 100)) == [100, 101, 102]
    with pytest.raises(ValueError, match="at least 1"):
        grid.seeds(0, 0)
    with pytest.raises(ValueError, match="--first-seed"):
        grid.seeds(1, -1)


def test_factorial_has_every_combination_once():
    cells = grid.factorial((100, 200), (0.0, 0.5), (1, 2, 3))
    triples = {(cell.frames, cell.fraction, cell.seed) for cell in cells}
    assert len(cells) == len(triples) == 12


def test_path_fixes_the_searches_and_gives_the_fraction():
    cells = grid.path((400, 4000), 10_000, (0,), frames_per_step=4)
    assert [cell.fraction for cell in cells] == [0.99, 0.9]
    assert {cell.searches for cell in cells} == {10_000}


def test_path_refuses_budgets_beyond_its_searches():
    with pytest.raises(ValueError, match="A budget of 4000 frames is 4000 agent steps"):
        grid.path((4000,), 3999, (0,), frames_per_step=1)
    with pytest.raises(ValueError, match="not one agent step"):
        grid.path((3,), 3999, (0,), frames_per_step=4)


def test_each_reanalysing_cell_has_one_control_without():
    cells = grid.factorial((100,), (0.0, 0.5, 0.95), (0,))
    controls = grid.update_controls(cells)
    assert [(c.fraction, c.control_for) for c in controls] == [(0.0, 0.5), (0.0, 0.95)]
    assert grid.no_controls(cells) == []
