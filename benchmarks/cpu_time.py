"""CPU time of the default model's steps on one thread, backend beside backend: for machines that are busy.

    OMP_NUM_THREADS=1 python benchmarks/cpu_time.py
    OMP_NUM_THREADS=1 python benchmarks/cpu_time.py --backends onnx,torch --what "16 clicks"

`samlet bench` tells the seconds that people wait, which other work makes longer. Here all backends take turns in one
process, and of each the run counts that took least of the processor. Torch is told its threads by OMP_NUM_THREADS.
Prints a table in milliseconds, with the ratio to the first backend, and one JSON line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from time import process_time

import cyclopts
import numpy as np

from samlet.benchmarking.steps import PHOTO
from samlet.cli.tables import print_table
from samlet.images import read_image
from samlet.loading import load
from samlet.models.registry import DEFAULT_MODEL
from samlet.predictor import Predictor
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts

CHECKPOINT = Path(__file__).parents[1] / "checkpoints" / f"{DEFAULT_MODEL}.safetensors"
WHAT = "encode,a click,16 clicks,16 clicks without masks,first answer to a box"


def main(*, backends: str = "onnx,openvino,torch", what: str = WHAT, rounds: int = 5, photo: Path = PHOTO) -> None:
    """Print the table; `backends` may have a precision, as in openvino:bfloat16."""
    models = {name: open_model(name) for name in backends.split(",")}
    image = read_image(photo)
    runs = {name: steps(model, image) for name, model in models.items()}
    least: dict[str, dict[str, float]] = {}
    for step in what.split(","):
        turns = [{name: cpu_ms(run[step]) for name, run in runs.items()} for _ in range(rounds)]
        least[step] = {name: min(turn[name] for turn in turns) for name in runs}
    first = next(iter(models))
    rows = [
        (step, *(f"{value:.1f} ({value / times[first]:.2f})" for value in times.values()))
        for step, times in least.items()
    ]
    print_table((("CPU time, ms", "left"), *((name, "right") for name in models)), rows)
    print(json.dumps({"cpu_ms": least, "load_average": os.getloadavg()[0], "threads": 1}))


def open_model(name: str) -> Predictor:
    """The default model in a backend, on one thread."""
    backend, _, precision = name.partition(":")
    if backend == "torch":
        return load(backend=backend, checkpoint=CHECKPOINT, precision=precision or None)
    return load(backend=backend, threads=1, precision=precision or None)


def steps(model: Predictor, image: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    pixels = to_pixels(image, model.spec.image)[0][None]
    embedding = model.embed(image)
    height, width, _ = image.shape
    clicks_xy = np.random.default_rng(0).uniform(0, (width - 1, height - 1), (16, 1, 2))
    one, many = Prompts.points(clicks_xy[:1]), Prompts.points(clicks_xy)
    third = Prompts.boxes(np.array([width, height, width * 2, height * 2]) / 3)

    def masks(prompts: Prompts) -> object:
        logits = model.decode(embedding, prompts)
        return logits.keep(np.arange(len(prompts)), logits.iou.argmax(axis=1)).low_res()

    return {
        "encode": lambda: model.backend.encode(pixels),
        "a click": lambda: masks(one),
        "16 clicks": lambda: masks(many),
        "16 clicks without masks": lambda: model.decode(embedding, many).iou,
        "first answer to a box": lambda: model.segment(image, third),
    }


def cpu_ms(run: Callable[[], object]) -> float:
    """Milliseconds of the processor that a run takes, after one that does not count."""
    run()
    start = process_time()
    run()
    return 1e3 * (process_time() - start)


if __name__ == "__main__":
    cyclopts.run(main)
