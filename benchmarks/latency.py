"""How long a mask takes: from a cold start to written files, and encode and decode alone, for each backend.

    python benchmarks/latency.py                                   the default model
    python benchmarks/latency.py --model FOLDER                    an exported artifact
    python benchmarks/latency.py --model mobile-sam --checkpoint FILE --backend torch

Prints a table (the median of the runs, in milliseconds) and one JSON line. Weights do not change the time, so torch
runs a model of the zoo with random ones where no checkpoint is given; only its cold start is left out then.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cyclopts
import numpy as np

from samlet.backend import MaskLogits
from samlet.cli.machine import cpu_name, usable_cores
from samlet.cli.tables import print_table
from samlet.errors import SamletError
from samlet.images import read_image
from samlet.loading import load, load_module
from samlet.predictor import Predictor
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.zoo import DEFAULT_MODEL

PHOTO = Path(__file__).parents[1] / "examples" / "retina.jpg"  # one megapixel
PROMPTS = 16
STEPS = ("cold start", "load", "encode", "decode 1", f"decode {PROMPTS}, per prompt", "upscale 1")


def latency(
    *,
    model: str = DEFAULT_MODEL,
    checkpoint: Path | None = None,
    backend: tuple[Literal["onnx", "torch"], ...] = ("onnx", "torch"),
    photo: Path = PHOTO,
    runs: int = 7,
) -> None:
    """Time a model on every backend that can run it here.

    Parameters
    ----------
    model: a name from `samlet models`, or an exported folder (onnx only).
    checkpoint: a weights file of that model, for torch.
    backend: what to time; repeatable.
    photo: the image; its size matters to the cold start only.
    runs: how often each step is timed; the cold start is timed 3 times at most.
    """
    results = []
    for name in backend:
        try:
            results.append({"backend": name} | _time_backend(name, model, checkpoint, photo, runs))
        except SamletError as error:
            print(f"{name}: {error}", file=sys.stderr)
    columns = (("backend", "left"), *((f"{step} (ms)", "right") for step in STEPS))
    print_table(columns, [(row["backend"], *(_milliseconds(row[step]) for step in STEPS)) for row in results])
    print(json.dumps({"model": model, "photo": photo.name, "machine": _machine(), "milliseconds": results}))


def _time_backend(backend: str, model: str, checkpoint: Path | None, photo: Path, runs: int) -> dict[str, float | None]:
    random_weights = backend == "torch" and checkpoint is None

    def open_model() -> Predictor:
        return _torch_model(model) if random_weights else load(model, backend=backend, checkpoint=checkpoint)

    open_model()  # imports the runtime, which belongs to the cold start
    predictor = open_model()
    pixels, frame = to_pixels(read_image(photo), predictor.spec.image)
    features = predictor.backend.encode(pixels[None])
    size_xy = np.array(frame.size_hw)[::-1]
    points_xy, labels = Prompts.points(np.random.default_rng(0).uniform(0, size_xy - 1, (PROMPTS, 1, 2))).tokens()
    points_xy = frame.to_prompt(points_xy)

    def decode(prompts: int) -> MaskLogits:
        return predictor.backend.decode(features, points_xy[:prompts], labels[:prompts])

    logits = decode(1)
    times = (
        None if random_weights else _median(lambda: _segment(backend, model, checkpoint, photo), min(runs, 3)),
        _median(open_model, runs),
        _median(lambda: predictor.backend.encode(pixels[None]), runs),
        _median(lambda: decode(1), runs),
        _median(lambda: decode(PROMPTS), runs) / PROMPTS,
        _median(lambda: logits.keep([0], [1]).low_res(), runs),  # a new object each time, so it upscales each time
    )
    return dict(zip(STEPS, times, strict=True))


def _torch_model(model: str) -> Predictor:
    from samlet.runtime.torch import TorchBackend

    module = load_module(model)
    return Predictor(TorchBackend(module, module.spec))


def _segment(backend: str, model: str, checkpoint: Path | None, photo: Path) -> None:
    """What a user runs: a new process that writes a mask, a picture and a record."""
    weights = [] if checkpoint is None else ["--checkpoint", str(checkpoint)]
    run = "import sys; from samlet.cli import main; sys.exit(main())"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--point", "100,100", "--model", model, "--backend", backend, "--output", folder, *weights]
        subprocess.run([sys.executable, "-c", run, "segment", str(photo), *options], check=True, capture_output=True)


def _median(step: Callable[[], object], runs: int) -> float:
    """Milliseconds of one call, after one that is not counted."""
    step()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def _milliseconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def _machine() -> dict[str, object]:
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": cpu_name(), "usable_cores": usable_cores(), "load_average": busy}


if __name__ == "__main__":
    cyclopts.run(latency)
