"""Timing, with a clock of our own."""

import pytest

from launch import measure


class Clock:
    """A clock that functions move on by themselves."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(measure.time, "perf_counter", lambda: self.now)

    def function(self, *seconds):
        """Takes the given seconds, run by run; the last of them from then on."""
        left = list(seconds)

        def run():
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_the_first_run_is_told_apart(clock):
    found = measure.time_one(clock.function(9.0, 2.0), measure.Effort(3, 6.0))
    assert found.seconds == (2.0, 2.0, 2.0)
    assert found.compiling == 7.0
    assert found.runs == 1


def test_short_runs_are_made_many_times_in_a_repeat(clock):
    found = measure.time_one(clock.function(0.25), measure.Effort(4, 8.0))
    assert found.runs == 8  # 8 s in 4 repeats of 2 s
    assert found.median == 0.25
    assert len(found.seconds) == 4


def test_slow_runs_stop_when_the_time_is_spent_but_not_before_three(clock):
    found = measure.time_one(clock.function(10.0), measure.Effort(7, 5.0))
    assert len(found.seconds) == 3
    found = measure.time_one(clock.function(10.0), measure.Effort(2, 5.0))
    assert len(found.seconds) == 2
    found = measure.time_one(clock.function(10.0), measure.Effort(7, 45.0))
    assert len(found.seconds) == 5


def test_median_and_values(clock):
    seconds = (9.0, 4.0, 4.0, 6.0, 5.0)
    found = measure.time_one(clock.function(*seconds), measure.Effort(3, 3.0))
    assert found.seconds == (4.0, 6.0, 5.0)
    assert found.median == 5.0
    assert found.as_values() == {
        "median_s": 5.0,
        "fastest_s": 4.0,
        "slowest_s": 6.0,
        "repeats": 3,
        "runs_of_a_repeat": 1,
        "compile_s": 4.0,
    }


def test_functions_take_turns_so_their_ratio_is_of_the_same_moments(clock):
    order = []

    def one(name, *seconds):
        run = clock.function(*seconds)

        def named():
            order.append(name)
            run()

        return named

    # The machine is three times slower in the second turn, for both.
    functions = [one("a", 1, 1, 2, 6, 2), one("b", 1, 1, 1, 3, 1)]
    a, b = measure.time_together(functions, measure.Effort(3, 3.0))
    assert "".join(order[4:]) == "ababab"
    assert (a.seconds, b.seconds) == ((2.0, 6.0, 2.0), (1.0, 3.0, 1.0))
    assert measure.ratio(a, b) == 2.0


def test_returned_waits_for_what_is_computed():
    import jax.numpy as jnp

    value, seconds = measure.returned(lambda: {"x": jnp.ones(3) * 2})
    assert value["x"].tolist() == [2.0, 2.0, 2.0]
    assert seconds > 0
