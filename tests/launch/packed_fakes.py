"""Runs of fakes.py made side by side, as real ones are; each notes with how many.

A seed from 100 on does what the seed less 100 does.
"""

import dataclasses
import functools
import json
import threading

import fakes

from scaling import meeting


def start():
    return Runs()


class Runs:
    """Makes fake runs, by themselves or in threads."""

    def __call__(self, *arguments, **named):
        return run(threading.Barrier(1), *arguments, **named)

    def side_by_side(self, settings, jobs):
        runner = functools.partial(run, threading.Barrier(len(jobs)))
        meeting.in_threads([functools.partial(job, runner) for job in jobs])


def run(begun, settings, cell, directory, **named):
    with (directory.parent.parent / "packs.jsonl").open("a") as file:
        file.write(json.dumps([cell.seed, begun.parties]) + "\n")
    begun.wait(timeout=60)  # one of them may end the process
    cell = dataclasses.replace(cell, seed=cell.seed % 100)
    return fakes.run(settings, cell, directory, **named)
