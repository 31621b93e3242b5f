"""The stage `semantic`: a segmenter learns the class of each pixel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from samlet.data import Broken, Sample
from samlet.nn.network import LogitsNetwork
from samlet.training.batches.class_maps import ClassMapBatch, ClassMapBatches
from samlet.training.class_configs import SemanticConfig
from samlet.training.stages.class_losses import pixel_loss
from samlet.training.stages.class_students import freeze_backbone, new_network, student_spec
from samlet.training.stages.stage import Stage, Start


class Semantic(Stage):
    """`student`: [N, 3, S, S] -> logits [N, C, S / 8, S / 8]."""

    def __init__(self, student: LogitsNetwork, config: SemanticConfig) -> None:
        super().__init__()
        self.student = student
        if config.freeze_backbone:
            freeze_backbone(student)

    @classmethod
    def open(cls, config: SemanticConfig, start: Start) -> Semantic:
        """The student with the data's classes."""
        spec = student_spec(config, "semantic_segmentation")
        return cls(new_network(spec, config.seed, start.checkpoint), config)

    @property
    def whole_student(self) -> LogitsNetwork:
        """See `Stage`."""
        return self.student

    def make_batches(self, samples: Sequence[Sample], config: SemanticConfig, broken: Broken | None) -> ClassMapBatches:
        """Squares at random scales."""
        return ClassMapBatches(samples, self.student.spec.image, config, broken)

    def make_held_out(
        self, samples: Sequence[Sample], config: SemanticConfig, broken: Broken | None
    ) -> ClassMapBatches:
        """Whole images."""
        return ClassMapBatches(samples, self.student.spec.image, config, broken, learned=False)

    def forward(self, batch: ClassMapBatch) -> dict[str, Tensor]:
        """{"pixels"}: a scalar."""
        return {"pixels": pixel_loss(self.student(batch.pixels), batch.classes)}
