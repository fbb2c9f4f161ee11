"""What is doubtful in a table is flagged by row, and nothing else is."""

import pytest
from run_tables import GRID, HEADER, read

from analysis import lint


@pytest.mark.parametrize(
    ("code", "column", "value"),
    [
        ("checkpoints", "curve_of", "run-1"),
        ("best_checkpoint", "score_kind", "best"),
        ("near_deterministic", "score_sd", "0.001"),
        ("frames_or_steps", "agent_steps", "25"),
    ],
)
def test_doubtful_columns_are_flagged(tmp_path, code, column, value):
    runs = read(tmp_path, f"{HEADER},{column}", *(f"{row},{value}" for row in GRID))
    (flag,) = lint.lint(runs)
    assert flag.code == code
    assert len(flag.rows) == len(GRID)
    assert "and 7 more" in flag.message


@pytest.mark.parametrize(
    ("code", "header", "rows"),
    [
        ("uneven_cells", HEADER, GRID[1:]),
        ("equal_seeds", HEADER, [*GRID[:-1], GRID[-2].replace(",0,", ",1,")]),
        (
            "mixed_studies",
            HEADER + ",study",
            [f"{r},{'b' * (r == GRID[0])}" for r in GRID],
        ),
        (
            "score_bound",
            HEADER,
            [f"{n},0,{s},{min(n + s, 900)}" for n in (100, 800, 900) for s in range(3)],
        ),
        (
            "episodes_as_seeds",
            HEADER + ",eval_episodes",
            [f"100,0,{s},{s * 1.5},1" for s in range(30)],
        ),
        (
            "atari_frame_skip",
            HEADER + ",env,agent_steps",
            [f"{row},atari:Pong,{row.split(',')[0]}" for row in GRID],
        ),
    ],
)
def test_doubtful_grids_are_flagged(tmp_path, code, header, rows):
    assert code in {flag.code for flag in lint.lint(read(tmp_path, header, *rows))}


def test_a_clean_table_has_no_flag(tmp_path):
    assert lint.lint(read(tmp_path, HEADER, *GRID)) == []
