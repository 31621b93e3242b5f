"""Stage 3: the whole model learns ground-truth masks, end to end, the IoU head included.

Source: EfficientViT-SAM stage 2, whose official code leaves the IoU head without a loss, shows one prompt and never a
mask or a background click; ours regresses the true IoU and goes on for rounds.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from samlet.data import Broken, Sample
from samlet.models import Sam
from samlet.prompts import PointLabel
from samlet.spec import ModelSpec
from samlet.training.batches.masks import MaskBatch, MaskBatches
from samlet.training.batches.prompts import click_on_errors
from samlet.training.config import PARTS, FinetuneConfig
from samlet.training.loop.processes import average
from samlet.training.stages.dialogues import click_in_dialogue, corrected_answers
from samlet.training.stages.lora import add_lora, merge
from samlet.training.stages.losses import at_uncertain_points, mask_losses, spots_needed, true_iou
from samlet.training.stages.stage import Stage, Start
from samlet.training.stages.students import load_student

SINGLE_SHARE = 0.9  # of a later round's losses in dialogues, whose answers are the single mask's


class Finetune(Stage):
    """Trains what `config.frozen` leaves of the student, or low-rank additions to it."""

    def __init__(self, student: Sam, config: FinetuneConfig) -> None:
        super().__init__()
        self.student = student
        self._config = config
        # In a tuple it is no submodule: `train()` cannot reach it, and checkpoints do not hold it.
        self._start = (copy.deepcopy(student).eval().requires_grad_(False),) if config.held_clicks else None
        for part in config.frozen:
            student.get_submodule(part).requires_grad_(False)
        if config.rounds == 1:  # no mask is ever shown, and several processes would wait for its gradients
            student.prompt_encoder.mask_downscaling.requires_grad_(False)
        if config.lora:
            add_lora(student, config.lora, tuple(part for part in PARTS if part not in config.frozen), config.seed)

    @classmethod
    def open(cls, config: FinetuneConfig, start: Start) -> Finetune:
        """The student whose weights `start` names."""
        return cls(load_student(config.student, start.checkpoint), config)

    @property
    def whole_student(self) -> Sam:
        """See `Stage`."""
        return self.student

    def make_batches(
        self, samples: Sequence[Sample], config: FinetuneConfig, broken: Broken | None = None
    ) -> MaskBatches:
        """Views of the samples that have masks, with prompts for some of them."""
        return MaskBatches(samples, self.student.spec.image, config, spots_needed(config.points), broken)

    def finish(self) -> None:
        """Make low-rank additions part of the weights."""
        merge(self.student)

    def forward(self, batch: MaskBatch) -> dict[str, Tensor]:
        """{"bce", "dice", "iou"} and, if answers are held, "held": scalars, the means of all rounds and prompts."""
        embeddings = self.student.encode(batch.pixels)
        logits, iou = _answer(self.student, embeddings, batch)
        held = {}
        if self._start is not None:
            held = {"held": self._held_loss(self._start[0], logits, iou, batch)}
            asked = ~batch.anywhere
            batch, logits, iou = batch.of(asked), logits[asked], iou[asked]
        rounds = [self._losses(logits, iou, batch, 0)]
        shown = None
        for turn in range(1, self._config.rounds):
            shown = self._shown(logits, iou, shown, batch)
            batch, hinted = self._ask(shown, batch, turn - 1)
            logits, iou = _answer(self.student, embeddings, batch, shown, hinted)
            rounds.append(self._losses(logits, iou, batch, turn))
        weight = _weight(batch.labels)
        return {name: weight * torch.stack([losses[name] for losses in rounds]).mean() for name in rounds[0]} | held

    def _shown(self, logits: Tensor, iou: Tensor, last: Tensor | None, batch: MaskBatch) -> Tensor:
        """What a user would see of an answer: logits [P, L, L], no gradient."""
        if last is None or not self._config.as_dialogue:
            return _chosen(self.student.spec, logits, iou)
        single = logits.detach()[:, self.student.spec.single_column].float()
        canvas = self.student.spec.image.prompt_canvas
        return corrected_answers(last, single, batch.points_xy[:, -1], batch.labels[:, -1], canvas)

    def _ask(self, shown: Tensor, batch: MaskBatch, turn: int) -> tuple[MaskBatch, Tensor]:
        """The prompts with one more click each, and which of them are shown the last mask."""
        click = click_in_dialogue if self._config.as_dialogue else click_on_errors
        canvas = self.student.spec.image.prompt_canvas
        clicks_xy, labels = click(shown > 0, batch.masks > 0.5, batch.valid, batch.clicks[:, turn], canvas)
        points_xy, labels = torch.cat([batch.points_xy, clicks_xy], 1), torch.cat([batch.labels, labels], 1)
        return replace(batch, points_xy=points_xy, labels=labels), batch.hints[:, turn] < self._config.hint_share

    def _held_loss(self, start: Sam, logits: Tensor, iou: Tensor, batch: MaskBatch) -> Tensor:
        """How far all masks of lone clicks, and their predicted IoU, are from what the start answers.

        Of its masks that hit the object already, how far they are from the object: so rims gain, and no choice drifts.
        """
        lone = _lone(batch)
        batch, logits, iou = batch.of(lone), logits[lone], iou[lone]
        start.to(logits.device)
        with torch.no_grad():
            wanted, score = _answer(start, start.encode(batch.pixels), batch)
        masks, valid = batch.masks[:, None], batch.valid[:, None]
        hits = true_iou(wanted, masks, valid) > self._config.taught_from
        target = torch.where(hits[..., None, None], masks, wanted.float().sigmoid())
        bce, dice = self._mask_losses(logits, target, valid, batch.spots)
        error = (iou - score).square().mean()
        loss = self._config.bce_weight * bce.mean() + self._config.dice_weight * (hits * dice).mean()
        return _weight(batch.labels) * (loss + self._config.iou_weight * error)

    def _losses(self, logits: Tensor, iou: Tensor, batch: MaskBatch, turn: int) -> dict[str, Tensor]:
        """The single mask counts, and of the multimask ones the best (for boxes all, if so configured)."""
        masks, valid = batch.masks[:, None], batch.valid[:, None]
        bce, dice = self._mask_losses(logits, masks, valid, batch.spots)
        bce, dice = self._config.bce_weight * bce, self._config.dice_weight * dice
        single, multimask = self.student.spec.single_column, list(self.student.spec.multimask)
        weights = F.one_hot((bce + dice)[:, multimask].argmin(dim=1), len(multimask)).to(bce.dtype)
        if self._config.boxes_teach_all:
            weights = torch.where(_boxed(batch)[:, None], torch.full_like(weights, 1 / weights.shape[1]), weights)
        share = SINGLE_SHARE if turn and self._config.as_dialogue else 0.5
        taught = ~_lone(batch) if turn == 0 and self._start else torch.ones_like(batch.anywhere)

        def mean(loss: Tensor) -> Tensor:
            """Of what is taught: the single mask's share and that of the weighed others."""
            return (taught * (share * loss[:, single] + (1 - share) * (weights * loss[:, multimask]).sum(dim=1))).mean()

        error = (iou - true_iou(logits, masks, valid)).square().mean(dim=1)
        return {"bce": mean(bce), "dice": mean(dice), "iou": self._config.iou_weight * (taught * error).mean()}

    def _mask_losses(self, logits: Tensor, masks: Tensor, valid: Tensor, spots: Tensor) -> tuple[Tensor, Tensor]:
        points, focal = self._config.points, self._config.focal
        if not points:
            return mask_losses(logits, masks, valid, focal)
        logits, masks = at_uncertain_points(logits, masks, valid, spots, points)
        return mask_losses(logits, masks, torch.ones_like(masks, dtype=torch.bool), focal)


def _answer(
    model: Sam, embeddings: Tensor, batch: MaskBatch, shown: Tensor | None = None, hinted: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All masks for the prompts, logits [P, 4, L, L], and their predicted IoU [P, 4]."""
    return model.answer(embeddings, batch.points_xy, batch.labels, shown, batch.image_index, hinted)


def _weight(prompts: Tensor) -> Tensor:
    """What a mean over these prompts counts: of several processes, each prompt of the step counts the same."""
    count = torch.tensor(float(len(prompts)), device=prompts.device)
    return count / average(count)


def _boxed(batch: MaskBatch) -> Tensor:
    return (batch.labels == PointLabel.BOX_TOP_LEFT).any(dim=1)


def _lone(batch: MaskBatch) -> Tensor:
    """Which prompts are one click: bool [P]."""
    return ~_boxed(batch) & ((batch.labels >= 0).sum(dim=1) == 1)


def _chosen(spec: ModelSpec, logits: Tensor, iou: Tensor) -> Tensor:
    """Of the multimask ones the mask of best predicted IoU, as a user would see it: logits [P, L, L], no gradient."""
    multimask = torch.tensor(spec.multimask, device=iou.device)
    best = multimask[iou[:, multimask].argmax(dim=1)]
    return logits.detach()[torch.arange(len(best), device=best.device), best].float()
