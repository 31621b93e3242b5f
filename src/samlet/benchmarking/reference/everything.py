"""Everything mode as segment_anything runs it, operation by operation, in plain torch: what ours is measured against.

Nothing is lazy here: every click's three masks are upscaled to the image before the first one is judged. Only the whole
image is looked at (no crops), without clean-up of small regions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from samlet.benchmarking.reference import decoder as plain_decoder
from samlet.geometry.boxes import nms
from samlet.geometry.frames import ImageFrame
from samlet.geometry.points import build_point_grid
from samlet.geometry.rle import from_counts
from samlet.images import ImageSource, read_image
from samlet.masks import Mask, MaskSet
from samlet.nn.sam import Sam
from samlet.preprocess import to_pixels


@dataclass(frozen=True)
class ReferenceGenerator:
    """SamAutomaticMaskGenerator's order of operations over a torch model; names and defaults are SAM's."""

    model: Sam
    points_per_side: int = 32
    points_per_batch: int = 64
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7

    @torch.inference_mode()
    def generate(self, image: ImageSource) -> MaskSet:
        """All masks of an image, best predicted IoU first; ImageError if it cannot be read."""
        rgb = read_image(image)
        pixels, frame = to_pixels(rgb, self.model.spec.image)
        embedding = self.model.encode(torch.from_numpy(pixels[None]))
        points_xy = build_point_grid(self.points_per_side) * np.array(frame.size_hw[::-1])
        found: list[tuple[Mask, list[int]]] = []
        for first in range(0, len(points_xy), self.points_per_batch):
            found += self._batch(embedding, frame, points_xy[first : first + self.points_per_batch], first)
        boxes_xyxy = np.array([box for _, box in found], np.float32).reshape(-1, 4)
        kept = nms(boxes_xyxy, [mask.iou or 0.0 for mask, _ in found], self.box_nms_thresh)
        return MaskSet([found[index][0] for index in kept], frame.size_hw)

    def _batch(
        self, embedding: Tensor, frame: ImageFrame, points_xy: np.ndarray, first: int
    ) -> list[tuple[Mask, list[int]]]:
        """Masks and boxes (inclusive corners) that pass the filters."""
        encoder, decoder = self.model.prompt_encoder, self.model.mask_decoder
        coordinates = torch.from_numpy(frame.to_prompt(points_xy[:, None]))
        sparse, dense = encoder((coordinates, torch.ones(len(points_xy), 1)), None, None)
        low_res, iou = plain_decoder.decode(decoder, embedding + dense[:1], encoder.get_dense_pe(), sparse)
        low_res, iou = low_res[:, 1:], iou[:, 1:]
        logits = _to_image(low_res, frame).flatten(0, 1)
        iou, click = iou.flatten(), torch.arange(len(points_xy)).repeat_interleave(low_res.shape[1])
        passed = iou > self.pred_iou_thresh
        logits, iou, click = logits[passed], iou[passed], click[passed]
        stability = _stability(logits, self.stability_score_offset)
        passed = stability >= self.stability_score_thresh
        masks, iou, click, stability = logits[passed] > 0, iou[passed], click[passed], stability[passed]
        boxes = _boxes(masks).tolist()
        codes = _run_lengths(masks)
        return [
            (
                Mask(
                    from_counts(counts, frame.size_hw),
                    iou=float(iou[index]),
                    stability=float(stability[index]),
                    point_xy=(float(points_xy[click[index]][0]), float(points_xy[click[index]][1])),
                    crop_box_xywh=(0, 0, frame.size_hw[1], frame.size_hw[0]),
                    prompt_index=first + int(click[index]),
                ),
                boxes[index],
            )
            for index, counts in enumerate(codes)
        ]


def _to_image(low_res: Tensor, frame: ImageFrame) -> Tensor:
    """Logits [P, M, 256, 256] -> [P, M, H, W]."""
    height, width = frame.prompt_hw
    logits = F.interpolate(low_res, (frame.prompt_canvas,) * 2, mode="bilinear", align_corners=False)
    return F.interpolate(logits[..., :height, :width], frame.size_hw, mode="bilinear", align_corners=False)


def _stability(logits: Tensor, offset: float) -> Tensor:
    """IoU of the masks [K, H, W] cut at +offset and -offset: [K]."""
    strict, loose = ((logits > cut).sum(-1, dtype=torch.int16).sum(-1, dtype=torch.int32) for cut in (offset, -offset))
    return strict / loose


def _boxes(masks: Tensor) -> Tensor:
    """Inclusive corners [K, 4] of masks [K, H, W]; zeros for an empty one."""
    height, width = masks.shape[-2:]
    rows, columns = masks.any(-1), masks.any(-2)
    edges = [columns.int().argmax(-1), rows.int().argmax(-1)]
    edges += [width - 1 - columns.flip(-1).int().argmax(-1), height - 1 - rows.flip(-1).int().argmax(-1)]
    return torch.stack(edges, dim=-1) * rows.any(-1)[:, None]


def _run_lengths(masks: Tensor) -> list[list[int]]:
    """COCO's run lengths of masks [K, H, W]: column by column, zeros first."""
    columns = masks.permute(0, 2, 1).flatten(1)
    changes = (columns[:, 1:] ^ columns[:, :-1]).nonzero()
    codes = []
    for index in range(len(masks)):
        places = changes[changes[:, 0] == index, 1] + 1
        bounds = torch.cat([places.new_zeros(1), places, places.new_full((1,), columns.shape[1])])
        counts = bounds.diff().tolist()
        codes.append([0, *counts] if columns[index, 0] else counts)
    return codes
