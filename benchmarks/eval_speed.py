"""How fast `samlet eval` measures: one embedding and batched prompts per image, against one call per mask.

    python benchmarks/eval_speed.py                                the default model on tests/fixtures/tiny
    python benchmarks/eval_speed.py --data FOLDER --model FOLDER   an exported artifact on other annotated photos

Against two scripts over a SAM predictor, which ask for one box after the other: one embeds the image for every mask,
one embeds it once, as the papers' codes do. Prints a table (seconds per image, the mIoU all of them found) and one JSON
line. CPU seconds say more than seconds where other processes run; `--threads 1` keeps them free of idle spinning.
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

from samlet.backend import Embedding
from samlet.cli.tables import print_table
from samlet.data import Annotation, Sample, open_folders
from samlet.evaluation import Box, evaluate_image, select_samples
from samlet.evaluation.metrics.overlap import mask_iou
from samlet.evaluation.selection import box_in_image, evenly
from samlet.loading import load
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.runtime.cpu import cpu_name
from samlet.runtime.graphs import usable_cores

DATA = Path(__file__).parents[1] / "tests" / "fixtures" / "tiny"


def eval_speed(
    *,
    data: Path = DATA,
    model: str | None = None,
    checkpoint: Path | None = None,
    backend: str = "auto",
    threads: int | None = None,
    limit: int | None = None,
    fewest_masks: int = 1,
) -> None:
    """Time three ways of measuring ground-truth boxes.

    Parameters
    ----------
    data: a folder of photos with SA-1B records.
    model: a name from `samlet models`, or an exported folder.
    checkpoint: a weights file of that model.
    backend: what runs it.
    threads: how many it runs with.
    limit: at most so many photos, spread evenly over the data.
    fewest_masks: only photos with at least so many masks.
    """
    samples = [sample for sample in select_samples(open_folders([data])) if len(sample.annotations) >= fewest_masks]
    predictor = load(model, backend=backend, checkpoint=checkpoint, threads=threads)
    result = time_all(predictor, evenly(samples, limit))
    columns = ("seconds per image", "CPU seconds", "times faster", "in CPU time", "mIoU")
    rows = [[name, *(f"{way[key]:.3f}" for key in _FACTS)] for name, way in result["ways"].items()]
    print_table([("evaluation", "left"), *((column, "right") for column in columns)], rows)
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    machine = {"processor": cpu_name(), "usable_cores": usable_cores(), "load_average": busy}
    facts = {"model": predictor.spec.name, "backend": predictor.backend.name, "threads": threads, "machine": machine}
    print(json.dumps(facts | {"data": data.name} | result))


_FACTS = ("seconds_per_image", "cpu_seconds_per_image", "times_faster", "times_faster_cpu", "miou")


def time_all(predictor: Predictor, samples: Sequence[Sample]) -> dict[str, Any]:
    """Seconds per image and mIoU of each way, after an image that is not counted, and how much faster the first is."""
    ways = {
        "batched": _time(_batched, predictor, samples),
        "a call per mask": _time(_a_call_per_mask, predictor, samples),
        "a call and an embedding per mask": _time(_an_embedding_per_mask, predictor, samples),
    }
    for way in ways.values():
        way["times_faster"] = way["seconds_per_image"] / ways["batched"]["seconds_per_image"]
        way["times_faster_cpu"] = way["cpu_seconds_per_image"] / ways["batched"]["cpu_seconds_per_image"]
    masks = sum(len(sample.annotations) for sample in samples)
    return {"images": len(samples), "masks_per_image": masks / len(samples), "ways": ways}


def _time(
    way: Callable[[Predictor, Sample], list[float]], predictor: Predictor, samples: Sequence[Sample]
) -> dict[str, float]:
    way(predictor, min(samples, key=lambda sample: len(sample.annotations)))
    start, cpu_start = time.perf_counter(), time.process_time()
    true_ious = [true_iou for sample in samples for true_iou in way(predictor, sample)]
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return {
        "seconds_per_image": seconds / len(samples),
        "cpu_seconds_per_image": cpu_seconds / len(samples),
        "miou": math.fsum(true_ious) / len(true_ious),
    }


def _batched(predictor: Predictor, sample: Sample) -> list[float]:
    return [instance.true_iou for instance in evaluate_image(predictor, sample, Box()).instances]


def _a_call_per_mask(predictor: Predictor, sample: Sample) -> list[float]:
    embedding = predictor.embed(sample.read_image())
    return [_measured(predictor, embedding, annotation, sample) for annotation in sample.annotations]


def _an_embedding_per_mask(predictor: Predictor, sample: Sample) -> list[float]:
    image = sample.read_image()
    return [_measured(predictor, predictor.embed(image), annotation, sample) for annotation in sample.annotations]


def _measured(predictor: Predictor, embedding: Embedding, annotation: Annotation, sample: Sample) -> float:
    (mask,) = predictor.predict(embedding, Prompts.boxes(box_in_image(annotation, sample.size_hw)))
    return mask_iou(mask.to_array(), annotation.to_array())


if __name__ == "__main__":
    cyclopts.run(eval_speed)
