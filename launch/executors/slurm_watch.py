"""What a sweep sees of its Slurm jobs: the runs' own files, and the queue."""

import dataclasses
import time
from collections.abc import Iterable

from launch import attempt, standing
from launch.executors.slurm_queue import FOLDER, Queue
from launch.executors.task import Event, Kind, Report, Task
from scaling import lease, ledger

LOOK_S = 2.0  # between looks at the directory
_QUEUE_S = 10.0  # between looks at the queue; many users ask the same controller
_GONE = 2  # looks in a row without a job, until it is believed to be gone


class Run:
    """What was seen, and told, of a run."""

    def __init__(self, task: Task):
        self.task = task
        made = ledger.attempts(task.directory)
        self.before = self.told = made[-1].number if made else 0  # attempts
        self.interrupted = 0  # the last attempt that was told to be
        self.searched = -1
        self.misses = 0  # looks in a row that found no job
        self.taken = False
        self.has_been_submitted = False  # by this sweep
        self.place: int | None = None  # for the display, while it is at work

    def submit(self) -> Task:
        """Returns the task, which gets a job now."""
        self.misses, self.taken, self.has_been_submitted = 0, False, True
        return self.task


class Watch:
    """Tells from the study's directory and the queue what happens to runs."""

    def __init__(
        self,
        tasks: Iterable[Task],
        report: Report,
        parallel: int,
        rules: attempt.Rules,
        queue: Queue,
    ):
        self.open = {task.run_id: Run(task) for task in tasks}
        self.left: list[Task] = []  # for a later call of the same command
        self._report, self._places, self._rules = report, parallel, rules
        self._queue, self._observer = queue, lease.Observer()
        self._alive: set[str] = set()  # runs that have a job in the queue
        self._asked = -_QUEUE_S

    def without_job(self) -> list[Task]:
        """Returns the tasks that have no job in the queue."""
        self._ask()
        without = [run for name, run in self.open.items() if name not in self._alive]
        return [run.submit() for run in without]

    def look(self) -> list[Task]:
        """Tells what has happened; returns the tasks that need another job."""
        asked, again = self._ask(), []
        for run in list(self.open.values()):
            self._tell_news(run)
            outcome = self._settled(run)
            if outcome is None and asked and self._is_gone(run):
                outcome = self._after(run)
            if outcome is None:
                continue
            if outcome["event"] == "again":
                again.append(run.submit())
            else:
                del self.open[run.task.run_id]
            if outcome != {"event": "again"}:
                self._tell(run, outcome)
        return again

    def stop(self, grace_s: float) -> None:
        """Ends all jobs; those at work have `grace_s` seconds to save."""
        jobs = self._queue.known()
        mine = {jobs[name] for name in self.open if name in jobs}
        try:
            self._queue.ask_to_end(mine)
            deadline = time.monotonic() + grace_s
            while time.monotonic() < deadline:
                alive = self._queue.alive()
                if alive is not None and not mine & set(alive):
                    break
                time.sleep(LOOK_S)
        finally:
            self._queue.kill(mine)
            for run in self.open.values():
                self._tell_news(run)

    def _ask(self) -> bool:
        """Looks at the queue, if it is time and it answers; tells whether it did."""
        now = time.monotonic()
        if now - self._asked < _QUEUE_S:
            return False
        alive, jobs = self._queue.alive(), self._queue.known()
        if alive is None:
            return False
        self._asked = now
        self._alive = {name for name, job in jobs.items() if job in alive}
        return True

    def _is_gone(self, run: Run) -> bool:
        """Tells whether a run's job is believed to be gone."""
        has_job = run.task.run_id in self._alive
        run.misses = 0 if has_job else run.misses + 1
        return run.misses >= _GONE

    def _tell_news(self, run: Run) -> None:
        """Tells what a run has written since the last look."""
        made = ledger.attempts(run.task.directory)
        if not made or made[-1].number == run.before:
            return
        last = made[-1]
        if last.number > run.told:
            run.told, run.searched = last.number, -1
            self._tell(run, {"event": "started"})
        if last.reason == "interrupted" and last.number > run.interrupted:
            run.interrupted = last.number
            got_on = last.saved is not None
            note = last.note or "The run was asked to stop."
            self._tell(run, {"event": "interrupted", "note": note, "got_on": got_on})
        elif last.reason is None:
            self._tell_progress(run)

    def _tell_progress(self, run: Run) -> None:
        task = run.task
        study = task.directory.parent.parent
        now = standing.of_run(study, task.settings, task.cell, self._observer)
        if now.state == "running" and now.searched > run.searched:
            run.searched = now.searched
            far = {"searched": now.searched, "searched_total": now.total}
            self._tell(run, {"event": "progress", **far})

    def _settled(self, run: Run) -> attempt.Outcome | None:
        """Returns the outcome of a run that has its row, None if it has none yet.

        A failed row that was there before is no outcome where it is to be retried.
        """
        rules = self._rules
        if run.told > run.before:
            rules = dataclasses.replace(rules, failed_rows="keep")
        return attempt.settled(run.task, rules)

    def _after(self, run: Run) -> attempt.Outcome | None:
        """Returns what comes of a run whose job is gone; None: time will tell."""
        task = run.task
        seen = self._observer.look(task.directory)
        if seen is not None and not seen.stale:
            if not run.taken:
                run.taken = True
                self._tell(run, {"event": "taken", "by": seen.by})
            return None
        if run.taken or not run.has_been_submitted:
            return {"event": "again"}  # whoever was to make it has gone
        made = ledger.attempts(task.directory)
        if run.told > run.before and made[-1].reason != "interrupted":
            note = "The Slurm job ended without a word."
            return attempt.bury(task, self._rules, "gone", note)
        self.left.append(task)
        folder = task.directory.parent.parent / FOLDER
        note = f"Its Slurm job has ended; see its log in {folder}."
        return {"event": "interrupted", "note": note, "got_on": False}

    def _tell(self, run: Run, outcome: attempt.Outcome) -> None:
        """Reports an event in a place of its own, as a display needs it."""
        kind: Kind = outcome["event"]
        if kind == "stopped":
            raise ValueError(outcome["note"])
        if run.place is None:
            taken = {other.place for other in self.open.values()}
            free = set(range(self._places)) - taken
            run.place = min(free, default=self._places - 1)
        self._report(Event(kind, run.place, run.task, outcome))
        if kind not in ("started", "progress"):
            run.place = None
