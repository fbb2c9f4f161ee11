"""One attempt at a run: its lease, its lines in the ledger, and what comes of it.

What comes of it is an outcome, plain values that travel from a worker as JSON:

    finished     row
    failed       status, note: the run has a failed row and is left alone
    again        note, number: it failed and is worth another attempt
    interrupted  note, got_on: it was asked to stop and can go on
    taken        by: another sweep makes the run now
    stopped      note: the disk failed; nothing can be made
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from launch import errors
from launch.executors.task import Task
from scaling import lease, ledger, results

Outcome = dict[str, Any]
Runner = Callable[..., dict[str, Any]]  # the signature of scaling.run.run
Say = Callable[[dict[str, Any]], None]
OUTCOMES = {"finished", "failed", "again", "interrupted", "taken", "stopped"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """When a run is worth another attempt."""

    max_attempts: int = 5
    """Attempts in a row that may fail without getting further."""
    failed_rows: Literal["keep", "retry"] = "keep"
    """Whether a run that has a failed row is left alone."""


class Attempt:
    """An attempt that has begun: the lease is held, the ledger has its start."""

    def __init__(self, task: Task, rules: Rules, held: lease.Lease, number: int):
        self.task, self._rules, self._held = task, rules, held
        self._number, self._from, self._got_on = number, -1, False
        self.error: Exception | None = None  # what the run raised, if it did

    def run(self, runner: Runner, report: Say, stop: Callable[[], bool]) -> Outcome:
        """Makes the run and returns what came of it; the lease is given back."""

        def watch(detail: dict[str, Any]) -> None:
            self._note(detail)
            report(detail)

        task, directory = self.task, self.task.directory
        with self._held:
            try:
                row = runner(
                    task.settings,
                    task.cell,
                    directory,
                    how=task.how,
                    report=watch,
                    stop=stop,
                )
                ledger.end(directory, self._number, "finished")
            except Exception as error:
                self.error = error
                return _guarded(task, lambda error=error: self._close(error))
            except BaseException:  # a second Ctrl-C
                ledger.end(directory, self._number, "interrupted", "It was cut short.")
                raise
        return {"event": "finished", "row": row}

    def _note(self, detail: dict[str, Any]) -> None:
        """Writes what a run reports of its checkpoints into the ledger."""
        directory, number = self.task.directory, self._number
        if detail["event"] == "saved":
            cost = {k: v for k, v in detail.items() if k not in ("event", "call")}
            ledger.saved(directory, number, detail["call"], **cost)
            self._got_on |= detail["call"] > self._from
        elif detail["event"] == "resumed":
            self._from, skipped = detail["call"], detail.get("skipped", ())
            ledger.resumed(directory, number, detail["call"], skipped)

    def _close(self, error: Exception) -> Outcome:
        """Returns the outcome of an attempt that raised."""
        if sentence := errors.of_the_disk(error, _study(self.task)):
            ledger.end(self.task.directory, self._number, "interrupted", sentence)
            return {"event": "stopped", "note": sentence}
        status, note = errors.row_status(error), errors.one_line(error)
        reason = cast(ledger.Reason, status)
        ledger.end(self.task.directory, self._number, reason, note)
        if status == "interrupted":
            return {"event": "interrupted", "note": note, "got_on": self._got_on}
        if status == "diverged" or errors.is_sentence(error):
            return _fail(self.task, status, note)
        return _after_failure(self.task, self._rules)


def begin(task: Task, rules: Rules, over: bytes | None = None) -> Attempt | Outcome:
    """Returns an attempt that has begun, or the outcome if there is no need of one.

    Args:
      task: the run.
      rules: when it is worth another attempt.
      over: what was seen of a stale lease, which is taken over.
    """
    return _guarded(task, lambda: _begin(task, rules, over))


def _begin(task: Task, rules: Rules, over: bytes | None) -> Attempt | Outcome:
    held = lease.acquire(task.directory, over)
    try:
        if (outcome := _settled(task, rules)) is not None:
            held.release()
            return outcome
        ledger.bury(task.directory, "gone", _gone(ledger.attempts(task.directory)))
        retry = results.remove_row(task.directory)
        if not retry and _is_hopeless(task, rules):
            outcome = _after_failure(task, rules)
            held.release()
            return outcome
        number = ledger.begin(task.directory, retry=retry)
    except BaseException:
        held.release()
        raise
    return Attempt(task, rules, held, number)


def bury(task: Task, rules: Rules, reason: ledger.Reason, note: str) -> Outcome:
    """Returns the outcome of an attempt whose process is dead, for it cannot say.

    Args:
      task: the run.
      rules: when it is worth another attempt.
      reason: `gone`, or `interrupted` if the process said that it can go on.
      note: how it died.
    """
    return _guarded(task, lambda: _bury(task, rules, reason, note))


def _bury(task: Task, rules: Rules, reason: ledger.Reason, note: str) -> Outcome:
    with lease.acquire(task.directory):
        row = results.read_row(task.directory)
        done = row is not None and row.get("status") == "ok"  # it died after its work
        was_open = ledger.bury(task.directory, "finished" if done else reason, note)
        if was_open is None and reason == "gone":  # it died before it began
            ledger.end(task.directory, ledger.begin(task.directory), reason, note)
        if (outcome := _settled(task, rules)) is not None:
            return outcome
        if reason == "interrupted":
            got_on = bool(was_open and was_open.saved is not None)
            return {"event": "interrupted", "note": note, "got_on": got_on}
        return _after_failure(task, rules)


def settled(task: Task, rules: Rules) -> Outcome | None:
    """Returns the outcome of a run that has its row, None if it is to be made."""
    return _guarded(task, lambda: _settled(task, rules))


def _settled(task: Task, rules: Rules) -> Outcome | None:
    row = results.read_row(task.directory)
    if row is None:
        return None
    if row.get("status") == "ok":
        return {"event": "finished", "row": row}
    if rules.failed_rows == "retry":
        return None
    status, note = row.get("status") or "failed", row.get("note") or ""
    return {"event": "failed", "status": status, "note": note}


def _is_hopeless(task: Task, rules: Rules) -> bool:
    made = ledger.attempts(task.directory)
    return ledger.fruitless(made) >= rules.max_attempts


def _after_failure(task: Task, rules: Rules) -> Outcome:
    """Returns the outcome after a failure that another attempt may mend."""
    made = ledger.attempts(task.directory)
    note = next((each.note for each in reversed(made) if each.note), "") or ""
    fruitless = ledger.fruitless(made)
    if fruitless >= rules.max_attempts:
        return _fail(task, "failed", note)
    return {"event": "again", "note": note, "number": len(made), "row": fruitless}


def _fail(task: Task, status: str, note: str) -> Outcome:
    """Returns the outcome of a run that gets a failed row."""
    attempts, resumes = ledger.counts(task.directory)
    known = results.identity(task.settings, task.cell, task.how.design)
    row = results.failed_row(known, status, note, attempts, resumes)
    results.write_row(task.directory, row)
    return {"event": "failed", "status": status, "note": note}


def _gone(made: Sequence[ledger.Attempt]) -> str:
    if not made:
        return ""
    return f"The process ended without a word ({made[-1].host} pid {made[-1].pid})."


def _study(task: Task) -> pathlib.Path:
    return task.directory.parent.parent


def _guarded(task: Task, action: Callable[[], Any]) -> Any:
    """Returns what `action` does, or the outcome if lease or disk do not let it."""
    try:
        return action()
    except lease.TakenError as taken:
        return {"event": "taken", "by": taken.by}
    except Exception as error:
        if sentence := errors.of_the_disk(error, _study(task)):
            return {"event": "stopped", "note": sentence}
        if errors.is_sentence(error):  # a damaged file: of this run alone
            return {"event": "failed", "status": "failed", "note": str(error)}
        raise
