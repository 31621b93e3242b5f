"""Which masks of everything mode are things: thresholds and rules, against people's masks of whole scenes.

    python benchmarks/everything_thresholds.py ../shared/data/val
    python benchmarks/everything_thresholds.py ../shared/data/val --model tinyvit-sam --cache CACHE

On sources in which people drew everything (ADE20K, BSDS by several people, CamVid, facades), some photos of each. A
grid of 16 x 16 clicks; all candidates are kept (in `--cache`, for another run), then judged by each rule: the model's
own, predicted IoU, stability, their product, and votes, the share of the clicks inside a mask that have a candidate
with IoU 0.7 or more with it. What passes and is no duplicate (IoU 0.7) is compared with the truth at 96 x 96. Means of
sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import cyclopts
import numpy as np
from numpy.typing import NDArray

from samlet.cli.tables import print_table
from samlet.data import Sample, open_folders
from samlet.files import make_folder, write_aside
from samlet.loading import load
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.spec import ThingRule

SOURCES = "ade20k:5,bsds:7,camvid:3,facade:3"
CLICKS_PER_SIDE, AT_ONCE, SIDE = 16, 32, 96
PAIRS = ((0.3, 0.6), (0.35, 0.55), (0.35, 0.6), (0.4, 0.5), (0.45, 0.5), (0.6, 0.8), (0.8, 0.9), (0.88, 0.95))
SAME = 0.7  # IoU from which two masks are one
COLUMNS = ("rule", "AR@1000", "recall at 0.5", "precision at 0.5", "coverage", "masks", "clicks upscaled")


@dataclass(frozen=True)
class Candidates:
    """All M candidates of a photo: what the model says of each, its IoU with the others [M, M] and with T truths."""

    iou: NDArray[np.float32]
    stability: NDArray[np.float32]
    votes: NDArray[np.float32]
    masks: NDArray[np.bool_]
    with_each_other: NDArray[np.float32]
    with_truth: NDArray[np.float32]


@dataclass(frozen=True)
class Rule:
    """What passes; below `least_iou` a mask is not even upscaled."""

    name: str
    least_iou: float
    passes: Callable[[Candidates], NDArray[np.bool_]]


def main(
    data: Path, *, model: str | None = None, backend: str = "auto", sources: str = SOURCES, cache: Path | None = None
) -> None:
    """Print the table; `sources` are NAME:PHOTOS, names being the first word of a file's name."""
    predictor = load(model, backend=backend)
    photos = photos_of(open_folders([data]), sources)
    found = {source: [candidates(predictor, one, cache) for one in of_source] for source, of_source in photos.items()}
    rows = [(rule.name, *cells(found, rule)) for rule in rules(predictor)]
    print_table((("rule", "left"), *((name, "right") for name in COLUMNS[1:])), rows)
    print(", ".join(f"{source}: {len(photos)} photos" for source, photos in found.items()))


def photos_of(samples: Sequence[Sample], sources: str) -> dict[str, list[Sample]]:
    """By source so many of its photos, evenly from all of them; `sources` is NAME:PHOTOS,…."""
    chosen = {}
    for source, _, count in (each.partition(":") for each in sources.split(",")):
        of_source = sorted((one for one in samples if one.name.split("_")[0] == source), key=lambda one: one.name)
        chosen[source] = of_source[:: max(1, len(of_source) // int(count))][: int(count)]
    return chosen


def rules(predictor: Predictor) -> list[Rule]:
    """What is compared: the model's own rule first."""
    spec = predictor.spec
    own = spec.pred_iou_thresh, spec.stability_score_thresh
    plain = [_thresholds(*pair) for pair in dict.fromkeys((own, *PAIRS))]
    things = [_things(spec.thing_rule, spec.pred_iou_thresh)] if spec.thing_rule else []
    return [*things, *plain, *map(_product, (0.25, 0.3, 0.5, 0.7, 0.8)), *map(_voted, (0.3, 0.5, 0.7))]


def _thresholds(iou: float, stability: float) -> Rule:
    name = f"IoU > {iou}, stability >= {stability}"
    return Rule(name, iou, lambda found: (found.iou > iou) & (found.stability >= stability))


def _things(rule: ThingRule, least_iou: float) -> Rule:
    def passes(found: Candidates) -> NDArray[np.bool_]:
        shares = found.masks.mean(axis=(1, 2))
        least = [rule.least_stability(float(iou), float(share)) for iou, share in zip(found.iou, shares, strict=True)]
        return (found.iou > least_iou) & (found.stability >= least)

    return Rule(f"IoU > {least_iou}, its thing rule", least_iou, passes)


def _product(least: float) -> Rule:
    return Rule(f"IoU x stability > {least}", least, lambda found: found.iou * found.stability > least)


def _voted(share: float) -> Rule:
    plain = _thresholds(0.3, 0.6)
    name = f"{plain.name}, votes >= {share}"
    return Rule(name, 0.3, lambda found: plain.passes(found) & (found.votes >= share))


def cells(found: dict[str, list[Candidates]], rule: Rule) -> list[str]:
    """The numbers of a rule, each the mean of the means of sources."""
    by_source = [_means([judge(photo, rule) for photo in photos]) for photos in found.values()]
    recall, at_half, precision, coverage, masks, upscaled = _means(by_source)
    return [f"{recall:.3f}", f"{at_half:.3f}", f"{precision:.3f}", f"{coverage:.2f}", f"{masks:.0f}", f"{upscaled:.2f}"]


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    """The mean of each column, without what is no number: a photo without a mask has no precision."""
    columns = (np.array(column) for column in zip(*rows, strict=True))
    return [float(np.mean(column[~np.isnan(column)])) if not np.isnan(column).all() else np.nan for column in columns]


def judge(photo: Candidates, rule: Rule) -> tuple[float, ...]:
    """Average recall, recall and precision at 0.5, covered share, masks, share of clicks with a mask to upscale."""
    passed = np.flatnonzero(rule.passes(photo))
    upscaled = float((photo.iou > rule.least_iou).reshape(-1, 3).any(axis=1).mean())
    kept: list[int] = []
    for index in passed[np.argsort(-photo.iou[passed], kind="stable")]:
        if all(photo.with_each_other[index, other] < SAME for other in kept):
            kept.append(int(index))
    if not kept:
        return 0.0, 0.0, np.nan, 0.0, 0.0, upscaled
    with_truth = photo.with_truth[kept]
    best = with_truth.max(axis=0)
    recall = np.mean([(best >= level).mean() for level in np.arange(0.5, 1, 0.05)])
    precision = (with_truth.max(axis=1) >= 0.5).mean()
    covered = photo.masks[kept].any(axis=0).mean()
    return float(recall), float((best >= 0.5).mean()), float(precision), float(covered), len(kept), upscaled


def candidates(predictor: Predictor, sample: Sample, cache: Path | None) -> Candidates:
    """Everything that the grid of clicks says of a photo."""
    raw = ask_cached(predictor, sample, cache)
    masks = unpacked(raw["masks"])
    truth = _small([annotation.to_array() for annotation in sample.annotations])
    with_each_other = overlaps(masks, masks)
    clicks = (raw["points"] * SIDE).astype(int).clip(0, SIDE - 1)
    inside = masks[:, clicks[:, 1], clicks[:, 0]]
    agreeing = (with_each_other >= SAME).reshape(len(masks), -1, 3).any(axis=2)
    votes = (agreeing & inside).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    truth = truth[truth.any(axis=(1, 2))]
    return Candidates(raw["iou"], raw["stability"], votes, masks, with_each_other, overlaps(masks, truth))


def ask_cached(
    predictor: Predictor, sample: Sample, cache: Path | None, clicks_per_side: int = CLICKS_PER_SIDE
) -> dict[str, NDArray[Any]]:
    """What `ask` says, or said before."""
    if cache is None:
        return ask(predictor, sample, clicks_per_side)
    file = cache / f"{predictor.spec.name}_{clicks_per_side}_{sample.name}.npz"
    if not file.exists():
        raw = ask(predictor, sample, clicks_per_side)
        make_folder(cache)
        with write_aside(file) as aside, aside.open("wb") as opened:
            np.savez(opened, allow_pickle=False, **raw)
    return dict(np.load(file))


def ask(predictor: Predictor, sample: Sample, clicks_per_side: int) -> dict[str, NDArray[Any]]:
    """Predicted IoU, stability and masks (packed, 96 x 96) of all candidates, click by click."""
    embedding = predictor.embed(sample.read_image())
    height, width = embedding.frame.size_hw
    shares = (np.arange(clicks_per_side) + 0.5) / clicks_per_side
    points = np.stack(np.meshgrid(shares, shares), axis=-1).reshape(-1, 2)
    columns = list(predictor.spec.multimask)
    rows, across = embedding.frame.low_res_hw
    iou, stability, masks = [], [], []
    for start in range(0, len(points), AT_ONCE):
        prompts = Prompts.points(points[start : start + AT_ONCE, None] * (width, height))
        logits = predictor.decode(embedding, prompts, box_prior=False)
        iou.append(logits.iou[:, columns].ravel())
        stability.append(logits.stability()[:, columns].ravel())
        low_res = logits.low_res()[:, columns, :rows, :across]
        masks.append(np.packbits(_small((low_res > 0).reshape(-1, rows, across)), axis=-1))
    return {
        "points": points,
        "iou": np.concatenate(iou),
        "stability": np.concatenate(stability),
        "masks": np.concatenate(masks),
    }


def unpacked(masks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The masks [M, 96, 96] that `ask` packed."""
    return np.unpackbits(masks, axis=-1).astype(bool)


def _small(masks: Sequence[NDArray[np.bool_]] | NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Masks [H, W] at 96 x 96: what covers most of a pixel."""
    resized = [cv2.resize(mask.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for mask in masks]
    return np.stack(resized) > 0.5


def overlaps(some: NDArray[np.bool_], others: NDArray[np.bool_]) -> NDArray[np.float32]:
    """IoU of each with each: [K, L]."""
    left, right = (each.reshape(len(each), -1).astype(np.float32) for each in (some, others))
    both = left @ right.T
    return both / np.maximum(left.sum(axis=1)[:, None] + right.sum(axis=1) - both, 1)


if __name__ == "__main__":
    cyclopts.run(main)
