"""Which encoder is faster, where the machine's own speed changes from minute to minute: all of them by turns.

    python benchmarks/by_turns.py efficientvit-sam-b0 b0-int8 --backends openvino,onnx

`samlet bench` times one target after the other, each in a process of its own, so a slow minute is one target's alone.
Here each round runs every encoder once, after a run that does not count. Prints a table (median and least milliseconds,
ratio of medians to the first) and one JSON line.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from statistics import median

import cyclopts

from samlet.benchmarking.steps import PHOTO
from samlet.cli.machine import cpu_name
from samlet.cli.tables import print_table
from samlet.images import read_image
from samlet.loading import load
from samlet.preprocess import to_pixels

COLUMNS = (("", "left"), ("median (ms)", "right"), ("least (ms)", "right"), ("ratio", "right"))


def by_turns(*models: str, backends: str = "onnx", rounds: int = 40) -> None:
    """Time encoders by turns.

    Parameters
    ----------
    models: names from `samlet models` that ship, and exported folders.
    backends: what runs them, separated by commas.
    rounds: how often each is timed.
    """
    runs = {
        f"{Path(model).name}/{backend}": encoder(model, backend)
        for model, backend in product(models, backends.split(","))
    }
    seconds = take_turns(runs, rounds)
    first = median(next(iter(seconds.values())))
    figures = {
        name: {"median_ms": 1e3 * median(each), "least_ms": 1e3 * min(each), "ratio": first / median(each)}
        for name, each in seconds.items()
    }
    rows = [
        (name, f"{each['median_ms']:.1f}", f"{each['least_ms']:.1f}", f"{each['ratio']:.2f}×")
        for name, each in figures.items()
    ]
    print_table(COLUMNS, rows)
    print(json.dumps({"processor": cpu_name(), "rounds": rounds, "encoders": figures}))


def encoder(model: str, backend: str) -> Callable[[], object]:
    """A run of a model's encoder on the photo."""
    predictor = load(model, backend=backend)
    pixels, _ = to_pixels(read_image(PHOTO), predictor.spec.image)
    return lambda: predictor.backend.encode(pixels[None])


def take_turns(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            run()  # brings its weights back into the cache, and its threads to life
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    cyclopts.run(by_turns)
