"""Stage 3: the whole model learns ground-truth masks, end to end, the IoU head included.

Source: EfficientViT-SAM stage 2, whose official code leaves the IoU head without a loss; ours regresses the true IoU.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from samlet.data import Sample
from samlet.errors import TrainingError
from samlet.geometry.frames import ImageFrame
from samlet.models import Sam
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.spec import ImageSpec
from samlet.training.batches import choose, drawn, one_ahead, share, valid_cells
from samlet.training.config import FinetuneConfig
from samlet.training.losses import mask_losses, true_iou
from samlet.training.prompt_sampling import draw_prompt
from samlet.training.views import View, draw_view, generator, jitter_colour

SIDE = 256
MIN_AREA_SHARE = 2e-4


@dataclass(frozen=True)
class MaskBatch:
    """pixels [B, 3, S, S] and P prompts with the masks they ask for.

    points_xy [P, T, 2] on the prompt canvas, labels [P, T], image_index [P]; masks [P, 256, 256] in 0..1 over the
    prompt canvas, valid [P, 256, 256] (False: padding).
    """

    pixels: Tensor
    points_xy: Tensor
    labels: Tensor
    image_index: Tensor
    masks: Tensor
    valid: Tensor


class Finetune(nn.Module):
    """Batch in, named losses out. Trains image encoder and mask decoder; the prompt encoder stays.

    Batch statistics are frozen: a few images a step would spoil them.
    """

    def __init__(self, student: Sam, config: FinetuneConfig) -> None:
        super().__init__()
        self.student = student
        student.prompt_encoder.requires_grad_(False)
        self._config = config

    def train(self, mode: bool = True) -> Finetune:
        """Switch all but the batch norms, which stay in eval mode."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, batch: MaskBatch) -> dict[str, Tensor]:
        """{"bce", "dice", "iou"}: scalars. The best of masks 1 to 3 counts, and mask 0; every IoU is regressed."""
        logits, iou = self.student(batch.pixels, batch.points_xy, batch.labels, None, batch.image_index)
        bce, dice = mask_losses(logits, batch.masks[:, None], batch.valid[:, None])
        bce, dice = self._config.bce_weight * bce, self._config.dice_weight * dice
        best = (bce + dice)[:, 1:].argmin(dim=1, keepdim=True) + 1
        target = true_iou(logits, batch.masks[:, None], batch.valid[:, None])
        return {
            "bce": (bce[:, 0] + bce.gather(1, best)[:, 0]).mean() / 2,
            "dice": (dice[:, 0] + dice.gather(1, best)[:, 0]).mean() / 2,
            "iou": self._config.iou_weight * (iou - target).square().mean(),
        }


@dataclass(frozen=True)
class _Item:
    pixels: NDArray[np.float32]
    frame: ImageFrame
    prompts: list[Prompts]
    masks: NDArray[np.float32]
    valid: NDArray[np.bool_]


class MaskBatches:
    """Images with a few of their masks, drawn per image so that crowded images do not outweigh the others."""

    def __init__(self, samples: Sequence[Sample], image: ImageSpec, config: FinetuneConfig) -> None:
        self._samples = [sample for sample in choose(samples, config) if _usable(sample)]
        if not self._samples:
            raise TrainingError("none of the images has a mask: fine-tuning needs an SA-1B record beside each image.")
        self._image, self._config = image, config

    def at(self, step: int) -> MaskBatch:
        """The batch of a step; depends on nothing but the seed."""
        image = replace(self._image, canvas=self._config.canvas_at(step))
        items = [self._item(position, image) for position in share(self._config, step)]
        points_xy, labels = Prompts.stack([prompt for item in items for prompt in item.prompts]).tokens()
        frames = [item.frame for item in items for _ in item.prompts]
        scaled = np.stack([frame.to_prompt(points) for frame, points in zip(frames, points_xy, strict=True)])
        counts = [len(item.prompts) for item in items]
        return MaskBatch(
            torch.from_numpy(np.stack([item.pixels for item in items])),
            torch.from_numpy(scaled),
            torch.from_numpy(labels),
            torch.repeat_interleave(torch.arange(len(items)), torch.tensor(counts)),
            torch.from_numpy(np.concatenate([item.masks for item in items])),
            torch.from_numpy(np.stack([item.valid for item in items for _ in item.prompts])),
        )

    def stream(self, first_step: int) -> Iterator[MaskBatch]:
        """Batches from a step to the end of the run."""
        return one_ahead(self.at, first_step, self._config.steps)

    def _item(self, position: int, image: ImageSpec) -> _Item:
        epoch, index = drawn(self._config, len(self._samples), position)
        sample = self._samples[index]
        rng = generator(self._config.seed, "masks", position)
        picture = sample.read_image()
        view = draw_view(picture.shape[:2], sample.name, epoch, self._config.seed, self._config.min_crop)
        masks = self._masks(sample, view, rng)
        if not masks:  # the crop lost them all
            view = draw_view(picture.shape[:2], sample.name, 0, self._config.seed, self._config.min_crop)
            masks = self._masks(sample, view, rng)
        pixels, frame = to_pixels(jitter_colour(view.apply(picture), rng), image)
        return _Item(
            pixels,
            frame,
            [draw_prompt(mask, rng, self._config.box_share) for mask in masks],
            np.stack([on_canvas(mask, frame) for mask in masks]),
            valid_cells(frame.prompt_hw, frame.prompt_canvas, SIDE),
        )

    def _masks(self, sample: Sample, view: View, rng: np.random.Generator) -> list[NDArray[np.bool_]]:
        """Up to `masks_per_image` of the image's masks as the view shows them, none too small to see."""
        found = []
        for index in rng.permutation(len(sample.annotations)):
            mask = view.apply(sample.annotations[index].to_array())
            if mask.mean() >= MIN_AREA_SHARE:
                found.append(mask)
            if len(found) == self._config.masks_per_image:
                break
        return found


def on_canvas(mask: NDArray[np.bool_], frame: ImageFrame) -> NDArray[np.float32]:
    """A mask [H, W] of the image as shares of covered area on the 256 grid over the prompt canvas: [256, 256]."""
    height, width = (max(1, round(side * SIDE / frame.prompt_canvas)) for side in frame.prompt_hw)
    canvas = np.zeros((SIDE, SIDE), np.float32)
    shrinks = height <= mask.shape[0]
    resampling = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    canvas[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=resampling)
    return canvas


def _usable(sample: Sample) -> bool:
    """Whether some mask is large enough to be drawn from the whole image."""
    height, width = sample.size_hw
    return any(annotation.area_px >= 2 * MIN_AREA_SHARE * height * width for annotation in sample.annotations)
