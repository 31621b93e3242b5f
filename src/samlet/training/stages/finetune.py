"""Stage 3: the whole model learns ground-truth masks, end to end, the IoU head included.

Source: EfficientViT-SAM stage 2, whose official code leaves the IoU head without a loss, shows one prompt and never a
mask or a background click; ours regresses the true IoU and goes on for rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

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
from samlet.training.stages.lora import add_lora, merge
from samlet.training.stages.losses import at_uncertain_points, mask_losses, spots_needed, true_iou
from samlet.training.stages.stage import Stage, Start
from samlet.training.stages.students import load_student


class Finetune(Stage):
    """Trains what `config.frozen` leaves of the student, or low-rank additions to it."""

    def __init__(self, student: Sam, config: FinetuneConfig) -> None:
        super().__init__()
        self.student = student
        self._config = config
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
        """{"bce", "dice", "iou"}: scalars, the means of all rounds and prompts."""
        embeddings = self.student.encode(batch.pixels)
        points_xy, labels = batch.points_xy, batch.labels
        shown, hinted = None, None
        rounds = []
        for turn in range(self._config.rounds):
            if shown is not None:
                clicks_xy, click_labels = self._clicks(shown, batch, turn - 1)
                points_xy, labels = torch.cat([points_xy, clicks_xy], 1), torch.cat([labels, click_labels], 1)
                hinted = batch.hints[:, turn - 1] < self._config.hint_share
            iou, tokens, keys = self.student.decode_tokens(
                embeddings, points_xy, labels, shown, batch.image_index, hinted
            )
            logits = self.student.upscale(tokens, keys)
            rounds.append(self._losses(logits, iou, batch))
            shown = _chosen(self.student.spec, logits, iou)
        prompts = torch.tensor(float(len(labels)), device=labels.device)
        weight = prompts / average(prompts)  # of several processes, each prompt of the step counts the same
        return {name: weight * torch.stack([losses[name] for losses in rounds]).mean() for name in rounds[0]}

    def _clicks(self, shown: Tensor, batch: MaskBatch, turn: int) -> tuple[Tensor, Tensor]:
        canvas = self.student.spec.image.prompt_canvas
        return click_on_errors(shown > 0, batch.masks > 0.5, batch.valid, batch.clicks[:, turn], canvas)

    def _losses(self, logits: Tensor, iou: Tensor, batch: MaskBatch) -> dict[str, Tensor]:
        """The single mask counts, and of the multimask ones the best (for boxes all, if so configured)."""
        masks, valid = batch.masks[:, None], batch.valid[:, None]
        bce, dice = self._mask_losses(logits, masks, valid, batch.spots)
        bce, dice = self._config.bce_weight * bce, self._config.dice_weight * dice
        single, multimask = self.student.spec.single_column, list(self.student.spec.multimask)
        weights = F.one_hot((bce + dice)[:, multimask].argmin(dim=1), len(multimask)).to(bce.dtype)
        if self._config.boxes_teach_all:
            boxed = (batch.labels == PointLabel.BOX_TOP_LEFT).any(dim=1, keepdim=True)
            weights = torch.where(boxed, torch.full_like(weights, 1 / weights.shape[1]), weights)
        target = true_iou(logits, masks, valid)
        return {
            "bce": (bce[:, single] + (weights * bce[:, multimask]).sum(dim=1)).mean() / 2,
            "dice": (dice[:, single] + (weights * dice[:, multimask]).sum(dim=1)).mean() / 2,
            "iou": self._config.iou_weight * (iou - target).square().mean(),
        }

    def _mask_losses(self, logits: Tensor, masks: Tensor, valid: Tensor, spots: Tensor) -> tuple[Tensor, Tensor]:
        points, focal = self._config.points, self._config.focal
        if not points:
            return mask_losses(logits, masks, valid, focal)
        logits, masks = at_uncertain_points(logits, masks, valid, spots, points)
        return mask_losses(logits, masks, torch.ones_like(masks, dtype=torch.bool), focal)


def _chosen(spec: ModelSpec, logits: Tensor, iou: Tensor) -> Tensor:
    """Of the multimask ones the mask of best predicted IoU, as a user would see it: logits [P, L, L], no gradient."""
    multimask = torch.tensor(spec.multimask, device=iou.device)
    best = multimask[iou[:, multimask].argmax(dim=1)]
    return logits.detach()[torch.arange(len(best), device=best.device), best].float()
