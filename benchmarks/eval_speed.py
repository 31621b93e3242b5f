"""How fast `samlet eval` measures: one embedding and batched prompts per image, against one call per mask.

    python benchmarks/eval_speed.py                                the default model on tests/data/tiny
    python benchmarks/eval_speed.py --data FOLDER --model FOLDER   an exported artifact on other annotated photos

The slow way is what a script over a SAM predictor does: for every mask it embeds the image and asks for one box. Prints
a table (seconds per image, the mIoU both ways found) and one JSON line.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cyclopts

from samlet.cli.machine import cpu_name, usable_cores
from samlet.cli.tables import print_table
from samlet.data import Sample, open_folders
from samlet.evaluation import Protocol, evaluate_image, select
from samlet.evaluation.metrics import mask_iou
from samlet.evaluation.selection import box_in_image
from samlet.loading import load
from samlet.predictor import Predictor
from samlet.prompts import Prompts

DATA = Path(__file__).parents[1] / "tests" / "data" / "tiny"


def eval_speed(
    *,
    data: Path = DATA,
    model: str | None = None,
    checkpoint: Path | None = None,
    backend: str = "auto",
    limit: int | None = None,
) -> None:
    """Time both ways of measuring ground-truth boxes.

    Parameters
    ----------
    data: a folder of photos with SA-1B records.
    model: a name from `samlet models`, or an exported folder.
    checkpoint: a weights file of that model.
    backend: what runs it.
    limit: at most so many photos, spread evenly over the data.
    """
    samples = select(open_folders([data]), limit)
    predictor = load(model, backend=backend, checkpoint=checkpoint)
    result = time_both(predictor, samples)
    ways = [("batched", result["batched"]), ("a call per mask", result["single"])]
    columns = (("evaluation", "left"), ("seconds per image", "right"), ("mIoU", "right"))
    print_table(columns, [(name, f"{way['seconds_per_image']:.3f}", f"{way['miou']:.2%}") for name, way in ways])
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    machine = {"processor": cpu_name(), "usable_cores": usable_cores(), "load_average": busy}
    facts = {"model": predictor.spec.name, "backend": predictor.backend.name, "data": data.name, "machine": machine}
    print(json.dumps(facts | result))


def time_both(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, Any]:
    """Seconds per image and mIoU of both ways, after an image that is not counted, and how much faster the first is."""
    batched, single = (_time(way, predictor, samples) for way in (_batched, _single))
    masks = sum(len(sample.annotations) for sample in samples)
    return {
        "images": len(samples),
        "masks_per_image": masks / len(samples),
        "batched": batched,
        "single": single,
        "times_faster": single["seconds_per_image"] / batched["seconds_per_image"],
    }


def _time(
    way: Callable[[Predictor, Sample], list[float]], predictor: Predictor, samples: Sequence[Sample]
) -> dict[str, float]:
    way(predictor, samples[0])
    start = time.perf_counter()
    true_ious = [true_iou for sample in samples for true_iou in way(predictor, sample)]
    seconds = time.perf_counter() - start
    return {"seconds_per_image": seconds / len(samples), "miou": math.fsum(true_ious) / len(true_ious)}


def _batched(predictor: Predictor, sample: Sample) -> list[float]:
    return [instance.true_iou for instance in evaluate_image(predictor, sample, Protocol("box")).instances]


def _single(predictor: Predictor, sample: Sample) -> list[float]:
    image = sample.read_image()
    true_ious = []
    for annotation in sample.annotations:
        prompts = Prompts.boxes(box_in_image(annotation, sample.size_hw))
        (mask,) = predictor.predict(predictor.embed(image), prompts)
        true_ious.append(mask_iou(mask.to_array(), annotation.to_array()))
    return true_ious


if __name__ == "__main__":
    cyclopts.run(eval_speed)
