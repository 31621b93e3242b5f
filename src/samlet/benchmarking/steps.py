"""What is timed of one target, all in one process: encode, decode, click, first answer, everything, throughput; and a
cold start.

Every step ends in arrays, so work that a device does on its own time is waited for, and copied back, within the step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding, MaskLogits
from samlet.benchmarking.processes import peak_memory_mb
from samlet.benchmarking.target import Target, opened
from samlet.benchmarking.timing import Figure, images_a_second, milliseconds, time_runs
from samlet.candidates import best_columns
from samlet.errors import BackendError
from samlet.evaluation.provenance import weights_hash
from samlet.everything import MaskGenerator
from samlet.images import read_image
from samlet.predictor import Predictor
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.spawning import thread_variables

PHOTO = Path(__file__).parents[1] / "export" / "photos" / "coffee.jpg"  # 600 x 400 pixels
PROMPT_BATCHES = (1, 8, 16, 64)
IMAGE_BATCHES = (1, 8, 16)
COLD_START = "cold-start"
COLD_STARTS_IN_A_TURN = 1

_COLD_START = """
import json, sys
import samlet
name, options, photo, point = json.loads(sys.argv[1])
model = samlet.load(name, **options)
model.predict(model.embed(photo), samlet.Prompts.points([point]))[0].to_array()
"""


@dataclass(frozen=True)
class Plan:
    """What to time, on which photo, how often; `points_per_side` of everything mode's grid."""

    steps: Sequence[str]
    photo: Path = PHOTO
    repeats: int = 10
    points_per_side: int = 16


@dataclass(frozen=True)
class Measurement:
    """What was measured of one target; `weights_sha256` is that of `samlet eval`, None for random weights."""

    model: str
    weights_sha256: str | None
    figures: dict[str, Figure]

    def joined(self, later: Measurement) -> Measurement:
        """What two turns measured."""
        figures = {name: figure.joined(later.figures[name]) for name, figure in self.figures.items()}
        return replace(self, figures=figures)


def measure(target: Target, plan: Plan) -> Measurement:
    """Everything of the plan but the cold start, in this process. Peak memory is the process's own, and only grows.

    With random weights everything mode is left out: how long it takes depends on the masks.
    Raises ImageError, and the errors of `samlet.load`.
    """
    image = read_image(plan.photo)
    predictor = opened(target)
    figures: dict[str, Figure] = {}
    for step, figures_of in _STEPS.items():
        if step in plan.steps and not (step == "everything" and target.random_weights):
            figures |= figures_of(predictor, image, plan)
            peak = peak_memory_mb()
            if peak is not None:
                figures[f"peak memory after {step}"] = Figure("MB", (peak,))
    digest = None if target.random_weights else weights_hash(predictor, target.model, target.checkpoint)
    return Measurement(predictor.spec.name, digest, figures)


def cold_start(target: Target, plan: Plan) -> Figure:
    """From nothing to the mask of a click: a new process that imports samlet, loads the model and reads the photo.

    BackendError if the process fails.
    """
    point = _points(read_image(plan.photo), 1)[0, 0].tolist()
    question = json.dumps([target.model, target.load_options(), str(plan.photo), point])
    environment = {**os.environ, **thread_variables(target.threads)}

    def start(_: None) -> None:
        command = [sys.executable, "-c", _COLD_START, question]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise BackendError(f"{target.name} does not start in a new process: {last}")

    seconds = time_runs(start, lambda: None, min(plan.repeats, COLD_STARTS_IN_A_TURN))
    return Figure("s", tuple(seconds))


def _encode(predictor: Predictor, image: NDArray[np.uint8], plan: Plan) -> dict[str, Figure]:
    """The network alone, and with what comes before it: resizing and normalizing."""
    pixels, _ = to_pixels(image, predictor.spec.image)
    return {
        "encode": milliseconds(time_runs(predictor.backend.encode, lambda: pixels[None], plan.repeats)),
        "embed": milliseconds(time_runs(predictor.embed, lambda: image, plan.repeats)),
    }


def _decode(predictor: Predictor, image: NDArray[np.uint8], plan: Plan) -> dict[str, Figure]:
    """Per prompt: four predicted IoUs and the logits, 256 x 256, of the best mask."""
    embedding = predictor.embed(image)

    def best_masks(prompts: Prompts) -> NDArray[np.float32]:
        return _best(predictor, predictor.decode(embedding, prompts)).low_res()

    figures = {}
    for batch in PROMPT_BATCHES:
        prompts = Prompts.points(_points(image, batch))
        seconds = time_runs(best_masks, lambda prompts=prompts: prompts, plan.repeats)
        figures[f"decode, a prompt of {batch}"] = milliseconds(seconds, batch)
    return figures


def _click(predictor: Predictor, image: NDArray[np.uint8], plan: Plan) -> dict[str, Figure]:
    """From an embedding to a mask in image pixels; the first click on an image also makes what later ones share."""
    embedding = predictor.embed(image)
    prompts = Prompts.points(_points(image, 1))

    def click(embedding: Embedding) -> object:
        return predictor.predict(embedding, prompts)[0].to_array()

    def copied() -> Embedding:
        return Embedding(embedding.features, embedding.frame, embedding.model)

    return {
        "first click": milliseconds(time_runs(click, copied, plan.repeats)),
        "click": milliseconds(time_runs(click, lambda: embedding, plan.repeats)),
    }


def _first_answer(predictor: Predictor, image: NDArray[np.uint8], plan: Plan) -> dict[str, Figure]:
    """From a photo in memory to the mask of `segment`; the box, a third of the photo wide, gets a second look."""
    height, width, _ = image.shape
    center_xy = np.array([width, height]) / 2
    box_xyxy = np.concatenate([center_xy, center_xy]) * (2 / 3, 2 / 3, 4 / 3, 4 / 3)
    asked = {"click": Prompts.points([center_xy]), "box": Prompts.boxes(box_xyxy)}
    return {
        f"first answer, a {kind}": milliseconds(
            time_runs(lambda photo, prompts=prompts: predictor.segment(photo, prompts), lambda: image, plan.repeats)
        )
        for kind, prompts in asked.items()
    }


def _everything(predictor: Predictor, image: NDArray[np.uint8], plan: Plan) -> dict[str, Figure]:
    side = plan.points_per_side
    seconds = time_runs(MaskGenerator(predictor, side).generate, lambda: image, plan.repeats)
    return {f"everything, {side} x {side} points": Figure("s", tuple(seconds))}


def _throughput(predictor: Predictor, image: NDArray[np.uint8], plan: Plan) -> dict[str, Figure]:
    """The encoder on so many images at once."""
    pixels, _ = to_pixels(image, predictor.spec.image)
    figures = {}
    for batch in IMAGE_BATCHES:
        images = pixels[None].repeat(batch, axis=0)
        seconds = time_runs(predictor.backend.encode, lambda images=images: images, plan.repeats)
        figures[f"throughput, {batch} at once"] = images_a_second(seconds, batch)
    return figures


_Figures = Callable[[Predictor, NDArray[np.uint8], Plan], dict[str, Figure]]
_STEPS: dict[str, _Figures] = {
    "encode": _encode,
    "decode": _decode,
    "click": _click,
    "first-answer": _first_answer,
    "everything": _everything,
    "throughput": _throughput,
}
STEPS = (*_STEPS, COLD_START)


def _points(image: NDArray[np.uint8], count: int) -> NDArray[np.float64]:
    """The same clicks each time, one a prompt: [count, 1, 2] in image pixels."""
    height, width, _ = image.shape
    return np.random.default_rng(0).uniform(0, (width - 1, height - 1), (count, 1, 2))


def _best(predictor: Predictor, logits: MaskLogits) -> MaskLogits:
    return logits.keep(np.arange(len(logits.iou)), best_columns(logits, predictor.spec, "iou"))


def photo_facts(photo: Path) -> dict[str, str | int]:
    """Name and size of a photo; ImageError if it cannot be read."""
    height, width, _ = read_image(photo).shape
    return {"name": photo.name, "width": width, "height": height}
