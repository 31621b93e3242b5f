"""Stage 2: student and teacher answer the same prompts, then a click where they disagree, and the student learns.

Source: EdgeSAM's prompt-in-the-loop distillation. Ours differs in three places: the predicted IoU learns too, all four
masks count for boxes as well, and a photo without masks takes its prompts from masks of the teacher's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samlet.backend import Backend
from samlet.data import Broken, Sample
from samlet.geometry.frames import ImageFrame
from samlet.models import Sam
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.spec import ImageSpec
from samlet.tokens import PromptTokens
from samlet.training.batches.feed import Batches
from samlet.training.batches.masks import MIN_AREA_SHARE, draw_prompt_of, masks_in_view, tokens_of
from samlet.training.batches.order import Batch, Readable, choose, drawn, positions_of, valid_cells
from samlet.training.batches.prompts import click_on_errors
from samlet.training.batches.views import draw_view, generator, jitter_color
from samlet.training.config import DistillPromptedConfig
from samlet.training.stages.losses import mask_losses, true_iou
from samlet.training.stages.stage import Stage, Start
from samlet.training.stages.students import check_prompt_canvas, load_student
from samlet.training.stages.teacher import Teacher, TeacherFile

MAX_AREA_SHARE = 0.9
MIN_TEACHER_IOU = 0.7


@dataclass(frozen=True)
class PromptedBatch(Batch):
    """pixels [B, 3, S, S], the teacher's embedding [B, C, G, G] of the same views, and P prompts.

    points_xy [P, T, 2] on the prompt canvas, labels [P, T], image_index [P]; valid [P, L, L] (False: padding);
    clicks [P, rounds - 1] in 0..1 decide which pixel of a disagreement is clicked.
    """

    pixels: Tensor
    embedding: Tensor
    points_xy: Tensor
    labels: Tensor
    image_index: Tensor
    valid: Tensor
    clicks: Tensor


class DistillPrompted(Stage):
    """Trains image encoder and mask decoder; prompt encoder and teacher stay. `source` embeds for `make_batches`."""

    def __init__(
        self, student: Sam, teacher: Sam, config: DistillPromptedConfig, source: Teacher | None = None
    ) -> None:
        super().__init__()
        self.student = student
        student.prompt_encoder.requires_grad_(False)
        # In a tuple it is no submodule: `train()` cannot reach it, and checkpoints do not hold it.
        self._teacher = (teacher.eval().requires_grad_(False),)
        self._config, self._source = config, source

    @classmethod
    def open(cls, config: DistillPromptedConfig, start: Start) -> DistillPrompted:
        """The student and the teacher in `start`; TrainingError if they do not mean the same places by a prompt."""
        assert isinstance(start.teacher, TeacherFile)
        teacher, source = start.teacher.open(start.output, start.device)
        student = load_student(config.student, start.checkpoint)
        check_prompt_canvas(student, teacher)
        return cls(student, teacher, config, source)

    @property
    def whole_student(self) -> Sam:
        """See `Stage`."""
        return self.student

    def make_batches(
        self, samples: Sequence[Sample], config: DistillPromptedConfig, broken: Broken | None = None
    ) -> PromptedBatches:
        """Views of the samples with the teacher's embeddings, and prompts."""
        assert self._source is not None
        return PromptedBatches(samples, self._source, self.student.spec.image, config, broken)

    def forward(self, batch: PromptedBatch) -> dict[str, Tensor]:
        """{"bce", "dice", "iou"}: scalars, means over the rounds. Masks are compared one by one, not best with best."""
        embedding = self.student.encode(batch.pixels)
        points_xy, labels = batch.points_xy, batch.labels
        rounds = []
        for number in range(self._config.rounds):
            prompts = points_xy, labels, None, batch.image_index
            logits, iou = self.student.answer(embedding, *prompts)
            with torch.no_grad():
                wanted, score = self._teacher[0].answer(batch.embedding, *prompts)
            rounds.append(self._losses(logits, iou, wanted, score, batch.valid))
            if number + 1 < self._config.rounds:
                mine, its = _best(score, logits.detach(), wanted)
                clicks_xy, kinds = click_on_errors(mine > 0, its > 0, batch.valid, batch.clicks[:, number])
                points_xy, labels = torch.cat([points_xy, clicks_xy], dim=1), torch.cat([labels, kinds], dim=1)
        return {name: torch.stack([losses[name] for losses in rounds]).mean() for name in rounds[0]}

    def _losses(self, logits: Tensor, iou: Tensor, wanted: Tensor, score: Tensor, valid: Tensor) -> dict[str, Tensor]:
        """The teacher's masks are the target, and of the IoU its own prediction times the agreement with it.

        A mask weighs what the teacher holds it to be worth: of its four answers to a click some are hardly one.
        """
        target = (wanted > 0).float()
        bce, dice = mask_losses(logits, target, valid[:, None])
        weight = score.clamp(0, 1) / score.clamp(0, 1).sum()
        reached = score * true_iou(logits, target, valid[:, None])
        return {
            "bce": self._config.bce_weight * (weight * bce).sum(),
            "dice": self._config.dice_weight * (weight * dice).sum(),
            "iou": self._config.iou_weight * (iou - reached).square().mean(),
        }


def _best(score: Tensor, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Of both logits [P, 4, H, W] the mask the teacher holds to be best: [P, H, W]."""
    rows, best = torch.arange(len(score), device=score.device), score.argmax(dim=1)
    return student[rows, best], teacher[rows, best]


@dataclass(frozen=True)
class _Item:
    name: str
    pixels: NDArray[np.float32]
    frame: ImageFrame
    embedding: NDArray[np.float16]
    prompts: list[Prompts]
    valid: NDArray[np.bool_]
    clicks: NDArray[np.float32]


class PromptedBatches(Batches[PromptedBatch]):
    """Images with the teacher's embeddings, and prompts for annotated masks or for masks of the teacher's own."""

    needs_teacher = True

    def __init__(
        self,
        samples: Sequence[Sample],
        teacher: Teacher,
        image: ImageSpec,
        config: DistillPromptedConfig,
        broken: Broken | None = None,
    ) -> None:
        super().__init__(config, Readable(choose(samples, config), broken))
        self._teacher, self._image, self._config = teacher, image, config

    def at(self, step: int, part: int = 0) -> PromptedBatch:
        """The batch of a part of a step; depends on nothing but the seed."""
        image = replace(self._image, canvas=self._config.canvas_at(step))
        items = [self._item(position, image) for position in positions_of(self._config, step, part)]
        points_xy, labels = tokens_of([(item.frame, item.prompts) for item in items])
        counts = [len(item.prompts) for item in items]
        return PromptedBatch(
            tuple(item.name for item in items),
            torch.from_numpy(np.stack([item.pixels for item in items])),
            torch.from_numpy(np.stack([item.embedding for item in items])).float(),
            torch.from_numpy(points_xy),
            torch.from_numpy(labels),
            torch.repeat_interleave(torch.arange(len(items)), torch.tensor(counts)),
            torch.from_numpy(np.stack([item.valid for item in items for _ in item.prompts])),
            torch.from_numpy(np.concatenate([item.clicks for item in items])),
        )

    def _item(self, position: int, image: ImageSpec) -> _Item:
        epoch, index = drawn(self._config, len(self.images), position)
        return self.images.make(index, lambda sample: self._item_of(sample, epoch, position, image))

    def _item_of(self, sample: Sample, epoch: int, position: int, image: ImageSpec) -> _Item:
        config = self._config
        rng = generator(config.seed, "prompts", position)
        picture = sample.read_image()
        view = draw_view(picture.shape[:2], sample.name, epoch % config.views, config)
        seen = view.apply(picture)
        embedding = self._teacher.embed(seen)
        pixels, frame = to_pixels(jitter_color(seen, rng, config.color), image)
        masks = []
        if rng.random() >= config.teacher_share:
            masks = masks_in_view(sample, view, rng, config.masks_per_image)
        if not masks:
            masks = _proposed(self._teacher.backend, embedding, frame, rng, config.masks_per_image)
        prompts = [_prompt(config, mask, rng) for mask in masks]
        return _Item(
            sample.name,
            pixels,
            frame,
            embedding,
            prompts,
            valid_cells(frame.prompt_hw, frame.prompt_canvas, frame.low_res),
            rng.random((len(prompts), config.rounds - 1), dtype=np.float32),
        )


def _prompt(config: DistillPromptedConfig, mask: NDArray[np.bool_], rng: np.random.Generator) -> Prompts:
    """A prompt for the mask [H, W], or a click anywhere on its picture."""
    if config.anywhere_share and rng.random() < config.anywhere_share:
        return Prompts.points([rng.uniform(0, mask.shape[::-1])])
    return draw_prompt_of(config, mask, rng)


def _proposed(
    teacher: Backend, embedding: NDArray[np.float16], frame: ImageFrame, rng: np.random.Generator, count: int
) -> list[NDArray[np.bool_]]:
    """`count` masks the teacher gives for clicks at random places: one of its three for each, drawn among the good.

    Where it trusts none, its best counts; an empty mask or one of nearly everything becomes a single pixel, whose
    prompt is that click.
    """
    height, width = frame.size_hw
    points_xy = rng.uniform(0, [width, height], (count, 2))
    tokens_xy, labels = Prompts.stack([Prompts.points(point) for point in points_xy[:, None]]).tokens()
    features = {"image_embeddings": embedding[None].astype(np.float32)}
    candidates = teacher.decode(features, PromptTokens(frame.to_prompt(tokens_xy), labels))
    multimask = np.array(teacher.spec.multimask)
    trust = np.asarray(candidates.iou)[:, multimask]
    draw = rng.random(trust.shape) + (trust >= MIN_TEACHER_IOU)
    places = np.where((trust >= MIN_TEACHER_IOU).any(axis=1), draw.argmax(axis=1), trust.argmax(axis=1))
    masks = candidates.keep(np.arange(count), multimask[places]).to_image(frame)[:, 0] > 0
    for mask, (x, y) in zip(masks, points_xy, strict=True):
        if not MIN_AREA_SHARE <= mask.mean() <= MAX_AREA_SHARE:
            mask[:] = False
            mask[int(y), int(x)] = True
    return list(masks)
