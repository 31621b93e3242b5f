"""Medians, spreads, ratios, and what belongs to a time."""

from __future__ import annotations

import pytest

from samlet.benchmarking import timing
from samlet.benchmarking.timing import Figure, images_a_second, milliseconds, time_runs


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves when it is told to."""
    now = [100.0]
    monkeypatch.setattr(timing, "perf_counter", lambda: now[0])

    def pass_(seconds):
        now[0] += seconds

    return pass_


def test_the_first_run_and_what_is_given_do_not_count(clock):
    durations = iter([9.0, 1.0, 2.0, 3.0])
    given = []

    def give():
        clock(50)
        given.append(len(given))
        return given[-1]

    seen = []

    def run(argument):
        seen.append(argument)
        clock(next(durations))

    assert time_runs(run, give, 3) == [1, 2, 3]
    assert seen == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("seconds_a_run", "repeats", "runs"),
    [
        (0.1, 10, 10),
        (0.1, 1, 1),
        (60, 10, timing.FEWEST_RUNS),  # slow: the fewest are enough
        (timing.LONG_ENOUGH_S / 5, 10, 5),
    ],
)
def test_slow_things_run_less_often(clock, seconds_a_run, repeats, runs):
    assert time_runs(lambda _: clock(seconds_a_run), lambda: None, repeats) == pytest.approx([seconds_a_run] * runs)


def test_a_figure_says_its_middle_and_its_spread():
    figure = Figure("ms", (30.0, 10.0, 20.0, 40.0, 1000.0))
    assert figure.median == 30
    assert figure.spread == pytest.approx((14, 616))
    assert figure.to_json() == {"unit": "ms", "median": 30, "p10": 14, "p90": pytest.approx(616), "runs": 5}
    assert Figure("MB", (7.0,)).spread == (7, 7)


@pytest.mark.parametrize(
    ("unit", "own", "baseline", "ratio"), [("ms", 5, 10, 2), ("s", 4, 2, 0.5), ("MB", 1, 3, 3), ("images/s", 6, 2, 3)]
)
def test_better_is_above_one(unit, own, baseline, ratio):
    assert Figure(unit, (own,)).times_better(Figure(unit, (baseline,))) == ratio


def test_units():
    assert milliseconds([0.5, 1.0], items=2) == Figure("ms", (250, 500))
    assert images_a_second([0.5, 2.0], 8) == Figure("images/s", (16, 4))


def test_each_round_runs_all_twice_and_counts_the_second():
    seen = []
    seconds = timing.take_turns({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 3)
    assert seen == ["a", "a", "b", "b"] * 3
    assert [len(each) for each in seconds.values()] == [3, 3]


def test_turns_are_joined():
    assert Figure("ms", (1.0,)).joined(Figure("ms", (2.0, 3.0))) == Figure("ms", (1.0, 2.0, 3.0))
    assert Figure("MB", (500.0,)).joined(Figure("MB", (600.0,))) == Figure("MB", (600.0,))
