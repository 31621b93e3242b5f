"""Batches of images, prompts and the masks they ask for: what the stages with prompts are fed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samlet.data import Broken, Sample
from samlet.errors import TrainingError
from samlet.geometry.frames import ImageFrame
from samlet.geometry.rle import area
from samlet.opencv import cv2
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.spec import ImageSpec
from samlet.training.batches.feed import Batches
from samlet.training.batches.order import Batch, Readable, choose, drawn, positions_of, valid_cells
from samlet.training.batches.prompts import draw_prompt
from samlet.training.batches.views import View, draw_view, generator, jitter_color
from samlet.training.config import FinetuneConfig, PromptedConfig

MIN_AREA_SHARE = 2e-4
TRIES = 100


@dataclass(frozen=True)
class MaskBatch(Batch):
    """pixels [B, 3, S, S] and P prompts with the masks they ask for.

    points_xy [P, T, 2] on the prompt canvas, labels [P, T], image_index [P]; masks [P, L, L] in 0..1 over the
    prompt canvas, valid [P, L, L] (False: padding); `anywhere` [P] are clicks anywhere, which ask for no mask: theirs
    is empty. What chance decides in later rounds is drawn here, so that a stage has no state of its own, all in 0..1:
    `clicks` [P, R] which wrong pixel is clicked, `hints` [P, R] whether the last mask is shown, `spots` [K, 2] where
    point-sampled losses may look.
    """

    pixels: Tensor
    points_xy: Tensor
    labels: Tensor
    image_index: Tensor
    masks: Tensor
    valid: Tensor
    clicks: Tensor
    hints: Tensor
    anywhere: Tensor
    spots: Tensor

    def of(self, prompts: Tensor) -> MaskBatch:
        """The same images with some of the prompts: bool [P]."""
        names = ("points_xy", "labels", "image_index", "masks", "valid", "clicks", "hints", "anywhere")
        return replace(self, **{name: getattr(self, name)[prompts] for name in names})


@dataclass(frozen=True)
class _Item:
    name: str
    pixels: NDArray[np.float32]
    frame: ImageFrame
    prompts: list[Prompts]
    masks: NDArray[np.float32]
    valid: NDArray[np.bool_]
    clicks: NDArray[np.float32]
    hints: NDArray[np.float32]
    anywhere: NDArray[np.bool_]


class MaskBatches(Batches[MaskBatch]):
    """Images with a few of their masks, drawn per image so that crowded images do not outweigh the others.

    `spots` is how many random places a step offers to point-sampled losses.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        image: ImageSpec,
        config: FinetuneConfig,
        spots: int = 0,
        broken: Broken | None = None,
    ) -> None:
        chosen = choose(samples, config)
        usable = chosen.without(_hopeless)
        left_out = len(chosen) - len(usable)
        if left_out:
            self.notice = (
                f"Left out, for want of a mask large enough to learn from: {left_out} of {len(chosen)} images."
            )
        if not usable:
            raise TrainingError(
                f"none of the {len(chosen)} images has a mask of {MIN_AREA_SHARE:.2%} of its area or more: fine-tuning "
                "needs SA-1B records or labelme files beside the images, or a COCO file."
            )
        super().__init__(config, Readable(usable, broken))
        self._image, self._config, self._spots = image, config, spots

    def at(self, step: int, part: int = 0) -> MaskBatch:
        """The batch of a part of a step; depends on nothing but the seed."""
        image = replace(self._image, canvas=self._config.canvas_at(step))
        items = [self._item(position, image) for position in positions_of(self._config, step, part)]
        points_xy, labels = tokens_of([(item.frame, item.prompts) for item in items])
        arrays = (
            np.stack([item.pixels for item in items]),
            points_xy,
            labels,
            np.repeat(np.arange(len(items)), [len(item.prompts) for item in items]),
            np.concatenate([item.masks for item in items]),
            np.stack([item.valid for item in items for _ in item.prompts]),
            np.concatenate([item.clicks for item in items]),
            np.concatenate([item.hints for item in items]),
            np.concatenate([item.anywhere for item in items]),
            generator(self._config.seed, "spots", step).random((self._spots, 2), np.float32),
        )
        return MaskBatch(tuple(item.name for item in items), *map(torch.from_numpy, arrays))

    def _item(self, position: int, image: ImageSpec) -> _Item:
        """The item of a position; of the next image if it turns out to have no mask."""
        epoch, index = drawn(self._config, len(self.images), position)
        for place in range(index, index + TRIES):
            item = self.images.make(place, lambda sample: self._item_of(sample, epoch, position, image))
            if item is not None:
                return item
        raise TrainingError(f"{TRIES} images in a row have no mask large enough, from number {index} on.")

    def _item_of(self, sample: Sample, epoch: int, position: int, image: ImageSpec) -> _Item | None:
        rng = generator(self._config.seed, "masks", position)
        view, masks = self._annotated(sample, epoch, rng)
        if not masks:
            return None
        pixels, frame = to_pixels(jitter_color(view.apply(sample.read_image()), rng, self._config.color), image)
        prompts = [draw_prompt_of(self._config, mask, rng) for mask in masks]
        anywhere = clicks_anywhere(self._config, frame.size_hw, position)
        canvases = [on_canvas(mask, frame) for mask in masks]
        later = generator(self._config.seed, "rounds", position)
        clicks, hints = later.random((2, len(masks) + len(anywhere), self._config.rounds - 1), np.float32)
        return _Item(
            sample.name,
            pixels,
            frame,
            prompts + anywhere,
            np.stack(canvases + [np.zeros_like(canvases[0]) for _ in anywhere]),
            valid_cells(frame.prompt_hw, frame.prompt_canvas, frame.low_res),
            clicks,
            hints,
            np.arange(len(prompts) + len(anywhere)) >= len(prompts),
        )

    def _annotated(self, sample: Sample, epoch: int, rng: np.random.Generator) -> tuple[View, list[NDArray[np.bool_]]]:
        """A view of an image, and masks seen there: none if there are none in the whole image."""
        for number in (epoch, 0):  # a crop may lose all masks; view 0 is the whole image
            view = draw_view(sample.size_hw, sample.name, number, self._config)
            masks = masks_in_view(sample, view, rng, self._config.masks_per_image)
            if masks:
                break
        return view, masks


def masks_in_view(sample: Sample, view: View, rng: np.random.Generator, count: int) -> list[NDArray[np.bool_]]:
    """Up to `count` of an image's masks as the view shows them: no crowd, none too small to see."""
    found: list[NDArray[np.bool_]] = []
    for index in rng.permutation(len(sample.annotations)):
        if sample.annotations[index].crowd:
            continue
        mask = view.apply(sample.annotations[index].to_array())
        if np.count_nonzero(mask) >= MIN_AREA_SHARE * mask.size:
            found.append(mask)
        if len(found) == count:
            break
    return found


def draw_prompt_of(config: PromptedConfig, mask: NDArray[np.bool_], rng: np.random.Generator) -> Prompts:
    """A prompt for a mask [H, W], drawn as the config says."""
    return draw_prompt(
        mask,
        rng,
        config.box_share,
        box_jitter=config.box_jitter,
        max_clicks=config.max_clicks,
        center_share=config.center_share,
    )


def clicks_anywhere(config: FinetuneConfig, size_hw: tuple[int, int], position: int) -> list[Prompts]:
    """`held_clicks` prompts of one click each at random places of a view [H, W]."""
    rng = generator(config.seed, "anywhere", position)
    return [Prompts.points([point]) for point in rng.uniform(0, size_hw[::-1], (config.held_clicks, 2))]


def tokens_of(
    prompts_of_images: Sequence[tuple[ImageFrame, list[Prompts]]],
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The prompts of all images as tokens: points_xy [P, T, 2] on the prompt canvas and labels [P, T]."""
    points_xy, labels = Prompts.stack([prompt for _, prompts in prompts_of_images for prompt in prompts]).tokens()
    frames = [frame for frame, prompts in prompts_of_images for _ in prompts]
    return np.stack([frame.to_prompt(points) for frame, points in zip(frames, points_xy, strict=True)]), labels


def on_canvas(mask: NDArray[np.bool_], frame: ImageFrame) -> NDArray[np.float32]:
    """A mask [H, W] of the image as shares of covered area, over the prompt canvas at low resolution: [L, L]."""
    height, width = (max(1, round(side * frame.low_res / frame.prompt_canvas)) for side in frame.prompt_hw)
    canvas = np.zeros((frame.low_res, frame.low_res), np.float32)
    shrinks = height <= mask.shape[0]
    resampling = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    canvas[:height, :width] = cv2.resize(mask.astype(np.float32), (width, height), interpolation=resampling)
    return canvas


def _hopeless(sample: Sample) -> bool:
    """Whether no mask is large enough to be drawn from the whole image; a crowd is no object."""
    height, width = sample.size_hw
    areas = [area(annotation.rle) for annotation in sample.annotations if not annotation.crowd]
    return max(areas, default=0) < 2 * MIN_AREA_SHARE * height * width
