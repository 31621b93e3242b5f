"""Fit a model's `ThingRule`: which of its masks in everything mode a better model would call a thing too.

    python benchmarks/thing_rule.py teacher_folder ../shared/data/photos ../shared/data/train
    python benchmarks/thing_rule.py teacher_folder ../shared/data/photos --model MODEL --photos 20 --cache CACHE

Both models answer a grid of 12 x 12 clicks on photos drawn by chance; no mask of people is needed. The target of a mask
is the best IoU it has with a mask of the teacher that passes the teacher's thresholds; a logistic regression on
predicted IoU, stability and size gives the rule's slopes. Its `level` says how many masks pass, and is a choice: it is
set where benchmarks/everything_thresholds.py finds the recall that is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cyclopts
import numpy as np
from everything_thresholds import ask_cached, overlaps, unpacked
from numpy.typing import NDArray

from samlet.cli.tables import print_table
from samlet.data import open_folders
from samlet.loading import load
from samlet.predictor import Predictor

CLICKS_PER_SIDE, SEED = 12, 5
LEAST_IOU = 0.2  # masks of which the model itself thinks less are not looked at
EDGE = 1e-3  # a logit's argument is kept so far from 0 and 1
STEPS, RIDGE = 30, 1e-3
SOURCES = ("coco", "imagenet")


def main(teacher: Path, *data: Path, model: str | None = None, photos: int = 120, cache: Path | None = None) -> None:
    """Print slopes and the share of masks that each level lets pass; `teacher` is an exported folder."""
    pair = load(model), load(str(teacher))
    rows = np.concatenate(list(_rows(pair, data, photos, cache)))
    features, target = rows[:, :3], rows[:, 3]
    bias, iou, stability, size = fitted(features, target)
    slopes = f"iou {iou / stability:.2f}, size {size / stability:.2f}"
    print(f"{len(rows):,} masks: {slopes}; even odds at level {bias / stability:.2f}")
    worth = features @ (np.array([iou, stability, size]) / stability)
    table = [_of_level(level, worth >= -level, target) for level in np.arange(-3, 1, 0.5)]
    print_table((("level", "right"), ("masks that pass", "right"), ("of them things", "right")), table)


def _of_level(level: float, passed: NDArray[np.bool_], target: NDArray[np.float64]) -> tuple[str, str, str]:
    return f"{level:.1f}", f"{passed.mean():.2f}", f"{(target[passed] >= 0.5).mean():.2f}"


def _rows(
    pair: tuple[Predictor, Predictor], data: tuple[Path, ...], photos: int, cache: Path | None
) -> Iterator[NDArray[np.float64]]:
    """Of each photo the masks: logits of predicted IoU and stability, the root of the share, and the target."""
    samples = [sample for sample in open_folders(list(data)) if sample.name.split("_")[0] in SOURCES]
    sure_of = pair[1].spec
    for index in np.random.default_rng(SEED).permutation(len(samples))[:photos]:
        of_student, of_teacher = (ask_cached(each, samples[index], cache, CLICKS_PER_SIDE) for each in pair)
        sure = of_teacher["iou"] > sure_of.pred_iou_thresh
        sure &= of_teacher["stability"] >= sure_of.stability_score_thresh
        seen = of_student["iou"] > LEAST_IOU
        masks, things = unpacked(of_student["masks"][seen]), unpacked(of_teacher["masks"][sure])
        target = overlaps(masks, things).max(axis=1) if len(things) else np.zeros(len(masks))
        odds = _logit(of_student["iou"][seen]), _logit(of_student["stability"][seen])
        yield np.column_stack([*odds, np.sqrt(masks.mean(axis=(1, 2))), target])


def fitted(features: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bias and weights [1 + K] of a logistic regression of a target in 0..1 on features [N, K], by Newton's method."""
    design = np.column_stack([np.ones(len(features)), features])
    weights = np.zeros(design.shape[1])
    for _ in range(STEPS):
        predicted = 1 / (1 + np.exp(-design @ weights))
        curvature = (design * (predicted * (1 - predicted))[:, None]).T @ design + RIDGE * np.eye(len(weights))
        weights += np.linalg.solve(curvature, design.T @ (target - predicted))
    return weights


def _logit(values: NDArray[np.float32]) -> NDArray[np.float64]:
    inside = values.astype(np.float64).clip(EDGE, 1 - EDGE)
    return np.log(inside / (1 - inside))


if __name__ == "__main__":
    cyclopts.run(main)
