"""EdgeSAM's last stage: a region proposal network learns the boxes of the wanted kind of thing, all else is frozen.

Source: the EdgeSAM paper (focal and Huber loss, mmdetection's 1x schedule on COCO). Its config was never published;
thresholds and weights are those of EfficientDet in mmdetection, whose neck and head it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from samlet.data import Broken, Sample
from samlet.errors import TrainingError
from samlet.models import Sam
from samlet.models.edge_sam.anchors import STRIDES, anchors, encode, iou
from samlet.models.edge_sam.proposals import flat
from samlet.models.edge_sam.rpn import EdgeSamRpn, EfficientDetHead
from samlet.preprocess import to_pixels
from samlet.spec import ImageSpec
from samlet.training.batches.feed import Batches
from samlet.training.batches.order import Batch, Readable, choose, drawn, positions_of
from samlet.training.batches.views import View, draw_view, generator, jitter_color
from samlet.training.config import RpnConfig
from samlet.training.loop.processes import average
from samlet.training.stages.stage import Stage, Start
from samlet.training.stages.students import load_student, untrained

FOREGROUND_IOU = 0.5
FOREGROUND_WEIGHT = 0.25
FOCAL_POWER = 1.5
HUBER_LIMIT = 0.1  # offsets wrong by less are squared
BOX_WEIGHT = 50.0
MIN_SIDE_PX = 2.0  # of the prompt canvas: what is less is an edge that a crop left over


@dataclass(frozen=True)
class BoxBatch(Batch):
    """pixels [B, 3, S, S] and M boxes [M, 4] in prompt-canvas pixels, each of image number image_index [M]."""

    pixels: Tensor
    boxes_xyxy: Tensor
    image_index: Tensor


class TrainRpn(Stage):
    """Trains `fpn` and `rpn_head` alone; the rest stays in eval mode.

    TrainingError for a student whose head is not `efficient_det`.
    """

    def __init__(self, student: Sam) -> None:
        super().__init__()
        if not isinstance(student, EdgeSamRpn):
            raise TrainingError(f"{student.spec.name} proposes no regions: the student of this stage is edge-sam-rpn.")
        if not isinstance(student.rpn_head, EfficientDetHead):
            raise TrainingError(
                f"samlet runs the head of {student.spec.name} and does not train it: the student of this stage is "
                "edge-sam-rpn."
            )
        self.student = student.requires_grad_(False)
        for part in self._learning():
            part.requires_grad_(True)

    @classmethod
    def open(cls, config: RpnConfig, start: Start) -> TrainRpn:
        """A student with untrained proposals on top of the edge-sam whose weights `start` names."""
        student = untrained(config.student, config.seed)
        stage = cls(student)
        student.load_state_dict(student.state_dict() | load_student("edge-sam", start.checkpoint).state_dict())
        return stage

    @property
    def whole_student(self) -> Sam:
        """See `Stage`."""
        return self.student

    def make_batches(self, samples: Sequence[Sample], config: RpnConfig, broken: Broken | None = None) -> BoxBatches:
        """Views of the samples that have boxes."""
        return BoxBatches(samples, self.student.spec.image, config, broken)

    def train(self, mode: bool = True) -> TrainRpn:
        """Switch the parts that learn; the batch norms of the others would drift."""
        super().train(False)
        self.training = mode
        for part in self._learning():
            part.train(mode)
        return self

    def forward(self, batch: BoxBatch) -> dict[str, Tensor]:
        """{"objectness", "box"}: sums over all anchors, divided by the number of foreground anchors."""
        with torch.no_grad():
            maps = self.student.maps(batch.pixels)
        levels = self.student.fpn(maps[2:])
        scores, offsets = self.student.rpn_head(levels)
        grid = torch.cat([anchors(x.shape[-2:], s) for x, s in zip(levels, STRIDES, strict=True)]).to(batch.pixels)
        wanted = batch.boxes_xyxy * (batch.pixels.shape[-1] / self.student.spec.image.prompt_canvas)
        owners = torch.stack([self._owners(grid, wanted, batch.image_index == i) for i in range(len(batch.pixels))])
        found = owners >= 0
        count = average(found.sum().float()).clamp(min=1)
        targets = encode(grid.expand(len(owners), -1, -1)[found], wanted[owners[found]])
        return {
            "objectness": focal_loss(_every(scores, 1)[..., 0].float(), found) / count,
            "box": BOX_WEIGHT * _huber(_every(offsets, 4)[found].float(), targets) / (4 * count),
        }

    def _learning(self) -> tuple[nn.Module, nn.Module]:
        return self.student.fpn, self.student.rpn_head

    @staticmethod
    def _owners(grid: Tensor, boxes_xyxy: Tensor, mine: Tensor) -> Tensor:
        """Per anchor [A] the row of `boxes_xyxy` it is to find, of the rows in `mine`; -1 for background."""
        rows = mine.nonzero()[:, 0]
        owners = assign(grid, boxes_xyxy[rows])
        return torch.where(owners >= 0, rows[owners], owners) if len(rows) else owners


def assign(anchors_xyxy: Tensor, boxes_xyxy: Tensor) -> Tensor:
    """Which of the boxes [G, 4] each anchor [A, 4] is to find, -1 for none: int64 [A].

    The box it overlaps most, if by an IoU of `FOREGROUND_IOU`; and whatever the IoU, a box's best anchors are its own,
    so that no box is without one. Source: `MaxIoUAssigner` of mmdetection.
    """
    best = anchors_xyxy.new_zeros(len(anchors_xyxy))
    owners = best.new_full(best.shape, -1, dtype=torch.long)
    own = []
    for number, box in enumerate(boxes_xyxy):  # one at a time: all at once would be gigabytes
        overlap = iou(anchors_xyxy, box)
        owners[overlap > best] = number
        best = torch.maximum(best, overlap)
        own.append((overlap == overlap.max()) & (overlap > 0))
    owners[best < FOREGROUND_IOU] = -1
    for number, places in enumerate(own):
        owners[places] = number
    return owners


def focal_loss(logits: Tensor, found: Tensor) -> Tensor:
    """Binary cross entropy of logits against booleans of the same shape, the more the wronger: summed."""
    target = found.to(logits.dtype)
    error = (target - logits.sigmoid()).abs()
    weight = torch.where(found, FOREGROUND_WEIGHT, 1 - FOREGROUND_WEIGHT) * error.pow(FOCAL_POWER)
    return (weight * F.binary_cross_entropy_with_logits(logits, target, reduction="none")).sum()


def _every(maps: Sequence[Tensor], values: int) -> Tensor:
    """What the head says of the anchors of all levels: [N, A, values]."""
    return torch.cat([flat(x, values) for x in maps], dim=1)


def _huber(offsets: Tensor, targets: Tensor) -> Tensor:
    return F.huber_loss(offsets, targets, reduction="sum", delta=HUBER_LIMIT)


class BoxBatches(Batches[BoxBatch]):
    """Images with the boxes of all their annotations, crowds left out; images known to have none are left out too."""

    def __init__(
        self, samples: Sequence[Sample], image: ImageSpec, config: RpnConfig, broken: Broken | None = None
    ) -> None:
        chosen = choose(samples, config)
        usable = chosen.without(lambda sample: not len(_boxes_xyxy(sample)))
        if not usable:
            raise TrainingError(
                f"none of the {len(chosen)} images has a box: proposals need SA-1B records or labelme files beside the "
                "images, or a COCO file."
            )
        super().__init__(config, Readable(usable, broken))
        self._image, self._config = image, config

    def at(self, step: int, part: int = 0) -> BoxBatch:
        """The batch of a part of a step; depends on nothing but the seed."""
        image = replace(self._image, canvas=self._config.canvas_at(step))
        items = [self._item(position, image) for position in positions_of(self._config, step, part)]
        names, pixels, boxes = zip(*items, strict=True)
        counts = list(map(len, boxes))
        return BoxBatch(
            names,
            torch.from_numpy(np.stack(pixels)),
            torch.from_numpy(np.concatenate(boxes)),
            torch.from_numpy(np.repeat(np.arange(len(items)), counts)),
        )

    def _item(self, position: int, image: ImageSpec) -> tuple[str, NDArray[np.float32], NDArray[np.float32]]:
        epoch, index = drawn(self._config, len(self.images), position)
        return self.images.make(index, lambda sample: self._item_of(sample, epoch, position, image))

    def _item_of(
        self, sample: Sample, epoch: int, position: int, image: ImageSpec
    ) -> tuple[str, NDArray[np.float32], NDArray[np.float32]]:
        picture = sample.read_image()
        view = draw_view(picture.shape[:2], sample.name, epoch, self._config)
        shown = jitter_color(view.apply(picture), generator(self._config.seed, "colour", position), self._config.color)
        pixels, frame = to_pixels(shown, image)
        corners = seen_boxes(view, _boxes_xyxy(sample)).reshape(-1, 2, 2)
        boxes = frame.to_prompt(corners).reshape(-1, 4)
        return sample.name, pixels, boxes[(boxes[:, 2:] - boxes[:, :2] >= MIN_SIDE_PX).all(axis=1)]


def seen_boxes(view: View, boxes_xyxy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes [G, 4] of an image in pixels of a view of it, cut at its borders; outside of it they have no area."""
    width, height = view.x1 - view.x0, view.y1 - view.y0
    boxes = (boxes_xyxy - [view.x0, view.y0] * 2).clip(0, [width, height] * 2)
    if view.mirrored:
        boxes[:, [0, 2]] = width - boxes[:, [2, 0]]
    return boxes


def _boxes_xyxy(sample: Sample) -> NDArray[np.float64]:
    boxes = np.array([item.box_xywh for item in sample.annotations if not item.crowd], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
