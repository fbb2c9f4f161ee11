"""The printed plan, the warnings under it, and the display of progress."""

import dataclasses
import io
import pathlib

import pytest
import rich.console

from launch import display, progress, study
from launch.executors.task import Event, Task
from scaling import config, execution, presets

SETTINGS = presets.preset("demo").settings
NOWHERE = pathlib.Path("no/such/study")


def plan_of(*cells: tuple[int, float, int]) -> list[study.Planned]:
    made = [config.Cell(frames=n, fraction=f, seed=s) for n, f, s in cells]
    return study.plan(SETTINGS, made, NOWHERE)


def console(**options) -> tuple[rich.console.Console, io.StringIO]:
    text = io.StringIO()
    return rich.console.Console(file=text, width=150, highlight=False, **options), text


def test_the_plan_has_a_row_for_each_cell_with_its_account():
    out, text = console()
    planned = plan_of((4000, 0.95, 0), (4000, 0.95, 1), (4000, 0.95, 5), (8000, 0.5, 0))
    display.print_plan(out, planned, None)
    lines = text.getvalue().splitlines()
    row = next(line for line in lines if "0.95" in line)
    account = planned[0].account
    assert row.split()[:5] == [
        "4,000",
        "0.95",
        f"{account.lanes:,}",
        f"{account.searched:,}",
        f"{account.updates:,}",
    ]
    assert "0-1, 5" in row
    assert sum("to run" in line for line in lines) == 3  # two cells, one summary
    assert "4 runs" in text.getvalue()


def test_states_are_counted_where_the_seeds_of_a_cell_differ():
    out, text = console()
    planned = plan_of((4000, 0.5, 0), (4000, 0.5, 1), (4000, 0.5, 2))
    planned[0] = planned[0]._replace(state="finished")
    planned[1] = planned[1]._replace(state="failed")
    display.print_plan(out, planned, None)
    assert "1 to run, 1 failed, runs again, 1 finished" in text.getvalue()
    assert "2 to run, 1 of them failed before and run again, 1 finished" in (
        text.getvalue()
    )


def test_short_environments_are_warned_of():
    planned = plan_of((4000, 0.5, 0), (80_000, 0.5, 0))
    (warning,) = display.warnings(planned, typical_steps=1000)
    each = 4000 // SETTINGS.environments
    assert f"4,000 frames ({each:,})" in warning
    assert "80,000" not in warning
    assert display.warnings(planned, None) == []


def test_a_cell_without_an_update_is_warned_of():
    (each,) = plan_of((4000, 0.5, 0))
    idle = each._replace(account=dataclasses.replace(each.account, updates=0))
    assert "nothing is learned at 4,000 frames" in display.warnings([idle], None)[0]


@pytest.fixture
def tasks() -> list[Task]:
    planned = plan_of((4000, 0.5, 0), (8000, 0.5, 0))
    return study.tasks(SETTINGS, planned, NOWHERE, execution.DEFAULT)


def events_of(task: Task, worker=0) -> list[Event]:
    half = {"event": "progress", "searched": 50, "searched_total": 100, "updates": 7}
    row = {"score": 123.4, "score_sd": 5.0, "wall_clock_s": 200.0}
    return [
        Event("started", worker, task, {}),
        Event("progress", worker, task, {"event": "phase", "name": "compiling"}),
        Event("progress", worker, task, half),
        Event("finished", worker, task, {"row": row}),
    ]


def test_lines_tell_begin_and_end_of_each_run(tasks):
    out, text = console()
    failed = {"status": "failed", "note": "out of [luck]"}
    with progress.display_for(out, tasks, 1) as show:
        for event in events_of(tasks[0]):
            show(event)
        show(Event("failed", 0, tasks[1], failed))
    assert text.getvalue().splitlines() == [
        f"{tasks[0].run_id}: started",
        f"{tasks[0].run_id}: score 123.4 (sd 5.0) in 3 min",
        f"{tasks[1].run_id}: FAILED: out of [luck]",
    ]


def test_a_terminal_shows_bars(tasks):
    out, text = console(force_terminal=True)
    with progress.display_for(out, tasks, 2) as show:
        assert isinstance(show, progress.Live)
        for event in events_of(tasks[1], worker=1)[:3]:
            show(event)
        show._bars.refresh()
        assert "50 searched, 7 updates" in text.getvalue()
        assert "0 of 2 runs" in text.getvalue()
        show(events_of(tasks[1], worker=1)[3])
        show._bars.refresh()
    assert "1 of 2 runs" in text.getvalue()
    assert f"{tasks[1].run_id}: score 123.4" in text.getvalue()


def test_the_share_done_is_of_the_predicted_work(tasks):
    tally = progress.Tally(tasks)
    for event in events_of(tasks[0])[:3]:
        tally.count(event)
    total = tasks[0].work + tasks[1].work
    assert tally.share == pytest.approx(tasks[0].work / 2 / total)
    tally.count(events_of(tasks[0])[3])
    assert tally.share == pytest.approx(tasks[0].work / total)
    assert "1 of 2 runs" in tally.summary()
    assert "end expected in" in tally.summary()


def test_durations_read_well():
    said = [progress.duration(seconds) for seconds in (3, 200, 20_000)]
    assert said == ["3 s", "3 min", "5.6 h"]
