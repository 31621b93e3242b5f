"""The stages by name, torch-free: an explicit tuple. Adding a stage is one line here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

from samlet.data.class_data import Kind
from samlet.training.class_configs import ClassifyConfig, SemanticConfig
from samlet.training.config import (
    DistillEncoderConfig,
    DistillPromptedConfig,
    FinetuneConfig,
    RpnConfig,
    TrainConfig,
)

if TYPE_CHECKING:
    from samlet.training.stages.stage import Stage


@dataclass(frozen=True)
class StageEntry:
    """Where a stage lives (`module:Class` below `samlet.training.stages`), its config, its recipe and its help.

    `data`: what it learns from, masks of things or classes, of images or of pixels.
    """

    config: type[TrainConfig]
    home: str
    recipe: str
    help: str
    needs_teacher: bool = False
    needs_checkpoint: bool = True
    takes_teacher: bool = False
    data: Literal["masks"] | Kind = "masks"

    @property
    def name(self) -> str:
        """The stage's name in configs and on the command line."""
        return self.config.stage

    def load(self) -> type[Stage]:
        """The stage itself; imports torch."""
        module, name = self.home.split(":")
        return getattr(import_module(f"samlet.training.stages.{module}"), name)


STAGES: tuple[StageEntry, ...] = (
    StageEntry(
        DistillEncoderConfig,
        "distill_encoder:DistillEncoder",
        "efficientvit_sam_b0_stage1",
        "Teach a student's image encoder the embeddings of a teacher.",
        needs_teacher=True,
        needs_checkpoint=False,
    ),
    StageEntry(
        DistillPromptedConfig,
        "distill_prompted:DistillPrompted",
        "efficientvit_sam_b0_stage4",
        "Teach a student the masks of a teacher, with clicks where the two disagree; photos need no masks.",
        needs_teacher=True,
    ),
    StageEntry(
        FinetuneConfig,
        "finetune:Finetune",
        "mobile_sam_slim_finetune",
        "Fine-tune a student end to end on images with masks.",
    ),
    StageEntry(
        RpnConfig,
        "rpn:TrainRpn",
        "edge_sam_stage3",
        "Teach EdgeSAM, from the boxes of your data, which region a lone click means; it becomes edge-sam-rpn.",
    ),
    StageEntry(
        ClassifyConfig,
        "classify:Classify",
        "classifier",
        "Train a classifier on folders of images, one for each class, or on a table of images and classes.",
        needs_checkpoint=False,
        takes_teacher=True,
        data="classes",
    ),
    StageEntry(
        SemanticConfig,
        "semantic:Semantic",
        "segmenter",
        "Train a semantic segmenter on images with label maps: Cityscapes, ADE20K or your own.",
        needs_checkpoint=False,
        data="class maps",
    ),
)


def stage_of(config: TrainConfig) -> StageEntry:
    """The stage that a config is of."""
    return next(entry for entry in STAGES if entry.config is type(config))


def configs() -> dict[str, type[TrainConfig]]:
    """The config class of every stage by the stage's name."""
    return {entry.name: entry.config for entry in STAGES}
