"""Boxes as arrays [..., 4] in pixels, XYXY (left, top, right, bottom) unless the name says XYWH."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def xyxy_to_xywh(boxes_xyxy: ArrayLike) -> NDArray:
    """Corners [..., 4] to (left, top, width, height) [..., 4]."""
    boxes = np.asarray(boxes_xyxy)
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def xywh_to_xyxy(boxes_xywh: ArrayLike) -> NDArray:
    """(left, top, width, height) [..., 4] to corners [..., 4]."""
    boxes = np.asarray(boxes_xywh)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def areas(boxes_xyxy: ArrayLike) -> NDArray:
    """Areas [...] in px² of boxes [..., 4]."""
    boxes = np.asarray(boxes_xyxy)
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def clip(boxes_xyxy: ArrayLike, size_hw: tuple[int, int]) -> NDArray:
    """Move corners that lie outside an image of `size_hw` to its border."""
    height, width = size_hw
    return np.clip(np.asarray(boxes_xyxy), 0, [width, height, width, height])


def iou_matrix(boxes_a_xyxy: ArrayLike, boxes_b_xyxy: ArrayLike) -> NDArray[np.floating]:
    """Intersection over union [A, B] of boxes [A, 4] and [B, 4]; 0 where both are empty."""
    boxes_a, boxes_b = (_as_floating(boxes) for boxes in (boxes_a_xyxy, boxes_b_xyxy))
    top_left = np.maximum(boxes_a[:, None, :2], boxes_b[None, :, :2])
    bottom_right = np.minimum(boxes_a[:, None, 2:], boxes_b[None, :, 2:])
    overlap = np.clip(bottom_right - top_left, 0, None).prod(axis=-1)
    union = areas(boxes_a)[:, None] + areas(boxes_b)[None] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def nms(boxes_xyxy: ArrayLike, scores: ArrayLike, iou_threshold: float) -> NDArray[np.int64]:
    """Greedy non-maximum suppression: indices of the boxes [N, 4] to keep, best score first.

    A box goes when its IoU with a better kept one is above the threshold. Equal scores keep their order, as in
    `torchvision.ops.nms`.
    """
    boxes = _as_floating(boxes_xyxy).reshape(-1, 4)
    waiting = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    keep: list[int] = []
    while waiting.size:
        best, waiting = waiting[0], waiting[1:]
        keep.append(int(best))
        overlap = iou_matrix(boxes[best : best + 1], boxes[waiting])[0]
        # As in torchvision the IoU is float32 and the threshold is not, which decides the boxes on the border.
        waiting = waiting[overlap.astype(np.float64) <= iou_threshold]
    return np.array(keep, np.int64)


def boxes_from_masks(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Tight boxes [..., 4] of masks [..., H, W]; right and bottom are the last pixel's index, an empty mask gives 0."""
    rows, columns = np.asarray(masks.any(axis=-1)), np.asarray(masks.any(axis=-2))
    left, right = _first_and_last(columns)
    top, bottom = _first_and_last(rows)
    boxes = np.stack([left, top, right, bottom], axis=-1).astype(np.int64)
    return boxes * np.any(rows, axis=-1, keepdims=True)


def near_crop_edge(
    boxes_xyxy: ArrayLike, crop_box_xyxy: ArrayLike, size_hw: tuple[int, int], tolerance_px: float = 20.0
) -> NDArray[np.bool_]:
    """True [...] for boxes [..., 4] (crop pixels) with a side on the crop's edge that is not an edge of the image.

    An object cut by its crop is found whole in a neighboring one, so everything mode drops it here.
    """
    height, width = size_hw
    crop_box = np.asarray(crop_box_xyxy, np.float64)
    boxes = uncrop_boxes(boxes_xyxy, crop_box)
    on_crop_edge = np.abs(boxes - crop_box) <= tolerance_px
    on_image_edge = np.abs(boxes - np.array([0, 0, width, height])) <= tolerance_px
    return np.asarray((on_crop_edge & ~on_image_edge).any(axis=-1))


def uncrop_boxes(boxes_xyxy: ArrayLike, crop_box_xyxy: ArrayLike) -> NDArray:
    """Boxes [..., 4] from crop pixels to image pixels."""
    return np.asarray(boxes_xyxy) + np.tile(np.asarray(crop_box_xyxy)[:2], 2)


def _as_floating(boxes: ArrayLike) -> NDArray[np.floating]:
    """Whole numbers become float32, the type in which segment_anything compares boxes."""
    array = np.asarray(boxes)
    return array if np.issubdtype(array.dtype, np.floating) else array.astype(np.float32)


def _first_and_last(line: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    return line.argmax(axis=-1), line.shape[-1] - 1 - line[..., ::-1].argmax(axis=-1)
