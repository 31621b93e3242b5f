"""The stage `classify`: a classifier learns the classes of images, from labels and perhaps from another classifier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.func import functional_call

from samlet.data import Broken, Sample
from samlet.nn.network import LogitsNetwork
from samlet.training.batches.images import ImageBatch, ImageBatches
from samlet.training.class_configs import ClassifyConfig
from samlet.training.stages.class_losses import class_loss, distillation
from samlet.training.stages.class_students import (
    branches_of,
    freeze_backbone,
    new_network,
    silence_branches,
    student_spec,
    teacher_network,
)
from samlet.training.stages.drop_path import DropPath
from samlet.training.stages.stage import Stage, Start

OWN = "student."


class Classify(Stage):
    """`student`: [N, 3, S, S] -> logits [N, C], or in training a pair, whose second half learns from the teacher."""

    def __init__(self, student: LogitsNetwork, config: ClassifyConfig, teacher: LogitsNetwork | None = None) -> None:
        super().__init__()
        self.student = student
        self._config = config
        self._teacher = [] if teacher is None else [teacher]  # in a list: no submodule, never trained nor saved
        self._average: Mapping[str, Tensor] = {}
        self._drop = (
            DropPath(branches_of(student), config.drop_path, config.drop_path_from) if config.drop_path else None
        )
        if config.freeze_backbone:
            freeze_backbone(student)

    @classmethod
    def open(cls, config: ClassifyConfig, start: Start) -> Classify:
        """The student with the data's classes, and the teacher that `start` names."""
        if start.teacher is None:  # nobody would teach it
            config = replace(config, second_head=False)
        student = new_network(student_spec(config, "classification"), config.seed, start.checkpoint)
        if config.zero_init and start.checkpoint is None:
            silence_branches(student)
        given = start.teacher
        teacher = None if given is None else teacher_network(given.name, given.checkpoint, config.classes)
        return cls(student, config, teacher)

    @property
    def whole_student(self) -> LogitsNetwork:
        """See `Stage`."""
        return self.student

    def make_batches(self, samples: Sequence[Sample], config: ClassifyConfig, broken: Broken | None) -> ImageBatches:
        """Views by chance, mixed."""
        return ImageBatches(samples, self.student.spec.image, config, broken)

    def make_held_out(self, samples: Sequence[Sample], config: ClassifyConfig, broken: Broken | None) -> ImageBatches:
        """The middle of each image, as the model is used."""
        return ImageBatches(samples, self.student.spec.image, config, broken, learned=False)

    def see_average(self, state: Mapping[str, Tensor]) -> None:
        """Take the averaged weights, which go on changing, for what `mesa` asks of them."""
        self._average = state

    def forward(self, batch: ImageBatch) -> dict[str, Tensor]:
        """{"classes"}, and of those that are on {"teacher", "mesa"}: scalars."""
        config = self._config
        if self._drop is not None:
            self._drop.scale = min(1.0, batch.progress / config.drop_path_ramp) if config.drop_path_ramp else 1.0
        answer = self.student(batch.pixels)
        logits, taught = answer if isinstance(answer, tuple) else (answer, answer)
        losses = {"classes": class_loss(logits, batch.targets, config.loss)}
        if not self.training:
            return losses
        for teacher in self._teacher:
            with torch.no_grad():
                wanted = teacher.to(batch.pixels.device)(batch.pixels)
            losses["classes"] = (1 - config.distill_weight) * losses["classes"]
            losses["teacher"] = config.distill_weight * distillation(taught, wanted, config.distill, config.temperature)
        if config.mesa and batch.progress >= config.mesa_from:
            losses["mesa"] = config.mesa * class_loss(logits, self._averaged_answer(batch.pixels), config.loss)
        return losses

    @torch.no_grad()
    def _averaged_answer(self, pixels: Tensor) -> Tensor:
        """Probabilities [N, C] of the averaged weights, as they would answer in use."""
        modes = {module: module.training for module in self.student.modules()}
        self.student.eval()
        weights = {name.removeprefix(OWN): value for name, value in self._average.items()}
        logits = functional_call(self.student, weights, (pixels,))
        for module, training in modes.items():
            module.training = training
        return logits.sigmoid() if self._config.loss == "bce" else logits.softmax(dim=1)
