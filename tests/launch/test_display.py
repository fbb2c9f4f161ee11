"""The printed plan, the warnings under it, and the display of progress."""

import dataclasses
import io
import pathlib

import pytest
import rich.console

from launch import attempt, display, progress, study
from launch.executors.task import Event, Task
from scaling import config, execution, presets

SETTINGS = presets.preset("demo").settings
KEEP, RETRY = attempt.Rules(), attempt.Rules(failed_rows="retry")
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
    display.print_plan(out, planned, SETTINGS, KEEP)
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


def test_the_plan_says_how_large_the_stores_of_a_run_get():
    out, text = console()
    display.print_plan(out, plan_of((4000, 0.95, 0)), SETTINGS, KEEP)
    (line,) = [line for line in text.getvalue().splitlines() if "stores" in line]
    assert " MB" in line
    out, text = console()
    own = dataclasses.replace(SETTINGS, env="module:Class")  # nothing is known of it
    display.print_plan(out, plan_of((4000, 0.95, 0)), own, KEEP)
    assert "stores" not in text.getvalue()


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (27_648_000, "27.6 MB")],
)
def test_bytes_are_said_as_people_say_them(number, words):
    assert display.size(number) == words


def test_states_are_counted_where_the_seeds_of_a_cell_differ():
    out, text = console()
    planned = plan_of((4000, 0.5, 0), (4000, 0.5, 1), (4000, 0.5, 2))
    planned[0] = planned[0]._replace(state="finished")
    planned[1] = planned[1]._replace(state="failed")
    display.print_plan(out, planned, SETTINGS, KEEP)
    assert "1 to run, 1 failed, 1 finished" in text.getvalue()
    assert "1 to run, 1 failed before and left alone" in text.getvalue()
    planned[2] = planned[2]._replace(state="begun")
    display.print_plan(out, planned, SETTINGS, RETRY)
    assert "1 begun, 1 failed, 1 finished" in text.getvalue()
    assert (
        "2 to run, 1 of them begun before and gone on with, 1 of them failed before "
        "and run again, 1 finished already and skipped."
        in " ".join(text.getvalue().split())
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


RESUMED = {"event": "resumed", "call": 1200, "skipped": ["Checkpoint 9 is torn."]}


@pytest.mark.parametrize(
    ("kind", "detail", "line"),
    [
        ("progress", RESUMED, "goes on from call 1,200. Checkpoint 9 is torn."),
        ("progress", {"event": "saved", "call": 3}, None),
        (
            "again",
            {"number": 2, "note": "killed"},
            "attempt 2 failed and is made again: killed",
        ),
        ("again", {"note": "busy"}, "its start failed and is made again: busy"),
        ("interrupted", {"note": "Asked to stop."}, "interrupted: Asked to stop."),
        ("taken", {"by": "h pid 7"}, "taken by h pid 7; waiting for it"),
    ],
)
@pytest.mark.parametrize("terminal", [True, False])
def test_what_befalls_a_run_is_told(tasks, kind, detail, line, terminal):
    out, text = console(force_terminal=terminal)
    with progress.display_for(out, tasks, 1) as show:
        show(Event(kind, 0, tasks[0], detail))
    told = [each for each in text.getvalue().splitlines() if tasks[0].run_id in each]
    assert len(told) == (line is not None)
    assert all(each.endswith(f"{tasks[0].run_id}: {line}") for each in told)


def test_a_resumed_run_says_nothing_about_the_rate_of_the_rest(tasks):
    tally = progress.Tally(tasks)
    far = {"event": "progress", "searched": 90, "searched_total": 100}
    tally.count(Event("started", 0, tasks[0], {}))
    tally.count(Event("progress", 0, tasks[0], far))
    assert "searched states/s" not in tally.summary()
    tally.count(Event("progress", 0, tasks[0], {**far, "searched": 95}))
    assert tally._gained_searched == 5
    tally.count(Event("started", 0, tasks[1], {}))
    tally.count(Event("progress", 0, tasks[1], far))
    assert tally._gained_searched == 5
    total = tasks[0].work + tasks[1].work
    assert tally._gained_share == pytest.approx(0.05 * tasks[0].work / total)


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
    assert "end expected in" not in tally.summary()  # one report gives no rate
    more = {"event": "progress", "searched": 100, "searched_total": 100}
    for event in (*events_of(tasks[1])[:3], Event("progress", 0, tasks[1], more)):
        tally.count(event)
    assert "end expected in" in tally.summary()


def test_durations_read_well():
    said = [progress.duration(seconds) for seconds in (3, 200, 20_000)]
    assert said == ["3 s", "3 min", "5.6 h"]
