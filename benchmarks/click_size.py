"""Fit a model's `click_size_penalty`: which of its masks for one click in the middle of an object is the object.

    python benchmarks/click_size.py ../shared/data/train
    python benchmarks/click_size.py ../shared/data/val --photos 0 --masks 6

Prints for several penalties, and with stability as a second sign, the mean IoU of the masks that are chosen, over
sources and over masks, in percent; first that of the best predicted IoU among the masks of an ambiguous prompt, then
that of the single mask and that of the best choice there is. Masks are the network's own, as `predict` gives them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cyclopts
import numpy as np
from numpy.typing import NDArray

from samlet.candidates import less_for_size, shares_of
from samlet.cli.tables import print_table
from samlet.data import Sample, open_folders
from samlet.evaluation.metrics.overlap import mask_iou
from samlet.evaluation.protocols.clicks import next_click
from samlet.evaluation.selection import Scope, choose_annotated
from samlet.loading import load
from samlet.predictor import Predictor
from samlet.prompts import Prompts

STABILITIES = (0.0, 0.2, 0.4, 0.6)
PENALTIES = (0.0, 0.03, 0.05, 0.08, 0.12, 0.2)


@dataclass(frozen=True)
class Asked:
    """What N clicks were answered with M masks each: [N, M] but for `sources` [N]."""

    sources: NDArray[np.str_]
    iou: NDArray[np.float64]
    stability: NDArray[np.float64]
    share: NDArray[np.float64]
    true_iou: NDArray[np.float64]

    def means(self, columns: NDArray[np.int64]) -> tuple[str, str]:
        """Of the masks in these columns [N]: mean of sources, mean of masks."""
        reached = 100 * self.true_iou[np.arange(len(columns)), columns]
        by_source = [reached[self.sources == source].mean() for source in np.unique(self.sources)]
        return f"{np.mean(by_source):.2f}", f"{reached.mean():.2f}"


def main(*data: Path, model: str | None = None, photos: int = 600, masks: int = 2) -> None:
    """Print the table; at most so many photos, and of each so many masks, 0 being all."""
    predictor = load(model, backend="onnx", threads=1)
    samples = choose_annotated(
        open_folders(list(data)), Scope(limit=photos or None, max_masks_per_image=masks or None)
    ).samples
    rows = [row for sample in samples for row in _rows(predictor, sample)]
    asked = Asked(np.array([row[0] for row in rows]), *(np.array([row[k] for row in rows]) for k in range(1, 5)))
    multimask = np.array(predictor.spec.multimask)
    known = {
        "predicted IoU": multimask[asked.iou[:, multimask].argmax(axis=1)],
        "single mask": np.full(len(rows), predictor.spec.single_column),
        "best there is": asked.true_iou.argmax(axis=1),
    }
    ruled = {
        f"penalty {penalty}, stability {weight}": (
            less_for_size(asked.iou, asked.share, penalty) + weight * asked.stability
        ).argmax(axis=1)
        for weight in STABILITIES
        for penalty in PENALTIES
    }
    table = [(name, *asked.means(columns)) for name, columns in (known | ruled).items()]
    print(f"{len(rows):,} masks of {len(samples):,} photos")
    print_table((("chosen by", "left"), ("mean of sources", "right"), ("mean of masks", "right")), table)


def _rows(predictor: Predictor, sample: Sample) -> Iterator[tuple[Any, ...]]:
    """Of each annotated mask what `Asked` holds in its row."""
    embedding = predictor.embed(sample.read_image())
    for annotation in sample.annotations:
        truth = annotation.to_array()
        (x, y), _ = next_click(truth, np.zeros_like(truth))
        logits = predictor.decode(embedding, Prompts.points([[x, y]]))
        reached = [mask_iou(mask > 0, truth) for mask in logits.to_image(embedding.frame)[0]]
        shares = shares_of(logits, embedding.frame)
        yield str(sample.source), logits.iou[0], logits.stability()[0], shares[0], np.array(reached)


if __name__ == "__main__":
    cyclopts.run(main)
