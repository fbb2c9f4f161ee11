"""Learning curves come from rows or from the metrics beside the table."""

import json

from analysis import learning, table


def read(folder, header, *rows):
    path = folder / "results.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return table.read_tables([path])


def test_rows_of_a_run_are_its_curve(tmp_path):
    header = "frames,fraction,seed,score,curve_of"
    runs = read(tmp_path, header, "10,0,0,1,a", "20,0,0,2,a", "20,0,1,3,b")
    found = learning.curves(runs)
    assert found.columns.tolist() == learning.COLUMNS
    assert found["run"].tolist() == ["a", "a", "b"]
    assert found["score"].tolist() == [1, 2, 3]


def test_metrics_of_runs_are_read_where_they_are(tmp_path):
    runs = read(
        tmp_path, "frames,fraction,seed,score,run_id", "9,0.5,0,1,one", "9,0.5,1,1,two"
    )
    lines = [
        {"kind": "train", "frames": 4, "episode_return": 1.5},
        {"kind": "train", "frames": 8, "episode_return": None},
        {"kind": "other", "frames": 9, "episode_return": 7.0},
    ]
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    text = "\n".join(map(json.dumps, lines))
    (folder / "metrics.jsonl").write_text(text)
    found = learning.curves(runs)
    assert found.to_dict("records") == [
        {"run": "one", "fraction": 0.5, "frames": 4, "score": 1.5}
    ]
    (folder / "metrics.jsonl").write_text(text[:-9])  # cut off by a crash
    assert learning.curves(runs).empty
