"""Repeating something and telling how long it takes: medians with their spread, not the luckiest run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, TypeVar

import numpy as np

Unit = Literal["ms", "s", "images/s", "MB"]
Given = TypeVar("Given")

TURNS = 3  # in which targets are timed: a slow minute of the machine is nobody's alone
FEWEST_RUNS = 1  # in a turn
LONG_ENOUGH_S = 6.0  # after so many seconds of runs in a turn the fewest will do


@dataclass(frozen=True)
class Figure:
    """What each run measured, one run or more, in `unit`."""

    unit: Unit
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return float(np.median(self.values))

    @property
    def spread(self) -> tuple[float, float]:
        """The 10th and the 90th percentile of the runs, interpolated between them."""
        low, high = np.quantile(self.values, (0.1, 0.9))
        return float(low), float(high)

    def times_better(self, baseline: Figure) -> float:
        """Above 1 if this median is better than the baseline's: more images a second, or less time or memory."""
        if self.unit == "images/s":
            return self.median / baseline.median
        return baseline.median / self.median

    def joined(self, later: Figure) -> Figure:
        """The runs of two turns; of memory, which only grows, what was seen last."""
        return later if self.unit == "MB" else Figure(self.unit, self.values + later.values)

    def to_json(self) -> dict[str, Any]:
        """Median, spread and number of runs, to the third decimal."""
        median, low, high = (round(value, 3) for value in (self.median, *self.spread))
        return {"unit": self.unit, "median": median, "p10": low, "p90": high, "runs": len(self.values)}


def time_runs(run: Callable[[Given], object], given: Callable[[], Given], repeats: int) -> list[float]:
    """Seconds of each call `run(given())`, after one that is not counted; what `given` does is outside of the time.

    So many as `repeats`, but no more than `FEWEST_RUNS` once they have taken `LONG_ENOUGH_S`.
    """
    run(given())  # graphs are opened, memory is allocated, files are read
    seconds: list[float] = []
    while len(seconds) < repeats and (len(seconds) < FEWEST_RUNS or sum(seconds) < LONG_ENOUGH_S):
        argument = given()
        start = perf_counter()
        run(argument)
        seconds.append(perf_counter() - start)
    return seconds


def take_turns(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round, in which each is run once, after a run that does not count.

    Where the machine's own speed changes from minute to minute, a slow minute is everybody's.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()  # brings its weights back into the cache, and its threads to life
            start = perf_counter()
            run()
            seconds[name].append(perf_counter() - start)
    return seconds


def milliseconds(seconds: list[float], items: int = 1) -> Figure:
    """Time of one of the `items` that each run works on."""
    return Figure("ms", tuple(1000 * second / items for second in seconds))


def images_a_second(seconds: list[float], images: int) -> Figure:
    """Throughput of runs of so many images."""
    return Figure("images/s", tuple(images / second for second in seconds))
