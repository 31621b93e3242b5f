"""One answer against the annotation it was meant for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samlet.data import Annotation
from samlet.evaluation.metrics.overlap import boundary_iou, mask_iou, pieces
from samlet.evaluation.results import InstanceResult


def score(
    annotation: Annotation,
    truth: NDArray[np.bool_],
    mask: NDArray[np.bool_],
    iou: float,
    recall: tuple[float, ...] = (),
) -> InstanceResult:
    """The answer `mask`, bool [H, W], with its predicted IoU, against the annotation's mask `truth`."""
    return InstanceResult(
        id=annotation.id,
        area_px=annotation.area_px,
        true_iou=mask_iou(mask, truth),
        iou=iou,
        boundary_iou=boundary_iou(mask, truth),
        category=annotation.category,
        recall=recall,
        pieces=pieces(mask),
        true_pieces=pieces(truth),
    )
