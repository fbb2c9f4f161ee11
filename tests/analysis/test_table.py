"""Tables are read whole, or refused with the row and the fix."""

import pytest
from run_tables import GRID, HEADER, read, written

from analysis import lint, table


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("frames,fraction,score", "1,0,1", "no column seed"),
        (HEADER, "0,0,0,1", r"row 2 learned from 0 frames.*got 0"),
        (HEADER, "-5,0,0,1", r"row 2 has negative frames.*got -5"),
        (HEADER, "ten,0,0,1", r"row 2 has a value of frames that is no finite.*'ten'"),
        (HEADER, "10,1.5,0,1", r"row 2 has a fraction outside \[0, 1\].*got 1.5"),
        (HEADER, "10,,0,1", "row 2 has no fraction"),
        (HEADER, "10,0,,1", "row 2 has no seed"),
        (HEADER, "10,0,0,", "row 2 is ok but has no score"),
        (HEADER, "10,0,0,nan", "row 2 has a value of score that is no finite number"),
        (HEADER, "10,0,0,inf", "row 2 has a value of score that is no finite number"),
        (HEADER, "10,0,0", "row 2 has 3 values for 4 columns"),
        (HEADER + ",status", "10,0,0,1,done", "row 2 has an unknown status.*'done'"),
        (HEADER + ",control", "10,0.5,0,1,0.9", "row 2 is a control but its fraction"),
    ],
)
def test_a_bad_row_is_named_with_its_value(tmp_path, header, row, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, header, row)


def test_a_missing_an_empty_and_a_binary_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="There is no table"):
        table.read_tables([tmp_path / "none.csv"])
    with pytest.raises(ValueError, match="has a header but no runs"):
        read(tmp_path, HEADER)
    (tmp_path / "noise.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(ValueError, match="cannot be read as a CSV"):
        table.read_tables([tmp_path / "noise.csv"])


def test_duplicates_are_refused_across_files_too(tmp_path):
    path = written(tmp_path, HEADER, "10,0,0,1", "10,0,1,1")
    with pytest.raises(ValueError, match=r"row 2 is a second run.* 1 more rows"):
        table.read_tables([path, path])


def test_a_control_and_the_plain_run_of_a_cell_are_no_duplicates(tmp_path):
    runs = read(tmp_path, HEADER + ",control", "10,0,0,1,", "10,0,0,1,0.95")
    assert [curve.label for curve in table.curves(runs)] == ["0", "control for 0.95"]


def test_the_data_axis_adds_what_was_learned_from_stores(tmp_path):
    header = HEADER + ",dataset_frames,demonstration_frames"
    runs = read(tmp_path, header, "10,0,0,1,200,3000", "0,1,0,1,70,")
    assert runs["data_frames"].tolist() == [3210, 70]


def test_lost_runs_are_counted_and_left_out(tmp_path):
    header = HEADER + ",status"
    rows = [f"{row},ok" for row in GRID]
    runs = read(tmp_path, header, *rows, "100,0.5,2,,failed", "100,0.5,3,nan,diverged")
    half = table.curves(runs)[1]
    assert half.score.size == 4
    assert half.lost.tolist() == [100, 100]
    assert {flag.code for flag in lint.lint(runs)} == {"not_ok"}


@pytest.mark.parametrize(
    ("cells", "design"),
    [
        ([(100, 0), (1000, 0)], "factorial"),
        ([(100, 0), (100, 0.5)], "factorial"),
        ([(100, 0), (1000, 0), (100, 0.5), (1000, 0.5)], "factorial"),
        ([(100, 0)], "factorial"),
        ([(100, 0.9), (1000, 0)], "path"),
        ([(100, 0.99), (1000, 0.9), (5000, 0.5)], "path"),
    ],
)
def test_the_design_is_read_off_the_grid(tmp_path, cells, design):
    rows = [f"{n},{f},{s},1" for n, f in cells for s in range(2)]
    runs = read(tmp_path, HEADER, *rows)
    assert table.design(runs) == design


def test_a_path_refuses_slopes_per_fraction_by_name(tmp_path):
    runs = read(tmp_path, HEADER, "100,0.99,0,1", "1000,0.9,0,2", "5000,0.5,0,3")
    models = [refusal.model for refusal in table.refusals(runs)]
    assert models[:3] == [f"slope at fraction {f}" for f in ("0.5", "0.9", "0.99")]
    assert "data multiplier" in models
    (curve,) = table.curves(runs)
    assert (curve.label, curve.fraction) == ("path", None)
