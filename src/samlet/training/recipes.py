"""Recipes: functions that return the config of a run. What ships was trained with the ones named after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from samlet.errors import TrainingError
from samlet.training.config import TrainConfig

Recipe = Callable[[], TrainConfig]


def efficientvit_sam_b0_stage1() -> TrainConfig:
    """Encoder distillation of the default model, made for an hour of two CPU cores."""
    return TrainConfig(
        stage="distill-encoder",
        student="efficientvit-sam-b0",
        steps=1500,
        batch_size=4,
        learning_rate=2e-3,
        canvases=((0.6, 384), (1.0, 512)),
        images=800,
    )


def efficientvit_sam_b0_stage2() -> TrainConfig:
    """Fine-tuning of the default model on ground-truth masks."""
    return TrainConfig(
        stage="finetune",
        student="efficientvit-sam-b0",
        steps=350,
        batch_size=2,
        learning_rate=4e-4,
        decoder_rate=0.25,
        final_learning_rate=1e-6,
        warmup_steps=20,
        clip_norm=1.0,
        ema_decay=0.98,
        views=1000,
        checkpoint_every=50,
    )


def efficientvit_sam_b0_stage3() -> TrainConfig:
    """Stage 2 again on other prompts, clicks above all: one click is what the first pass leaves weakest."""
    return replace(efficientvit_sam_b0_stage2(), steps=400, seed=1, box_share=0.3)


RECIPES: dict[str, Recipe] = {
    "efficientvit_sam_b0_stage1": efficientvit_sam_b0_stage1,
    "efficientvit_sam_b0_stage2": efficientvit_sam_b0_stage2,
    "efficientvit_sam_b0_stage3": efficientvit_sam_b0_stage3,
}


def get_recipe(name: str, stage: str, **changes: Any) -> TrainConfig:
    """The named recipe's config with those of `changes` that are not None; TrainingError for an unknown name."""
    if name not in RECIPES:
        raise TrainingError(f'there is no recipe "{name}": use {", ".join(RECIPES)}.')
    config = replace(RECIPES[name](), **{key: value for key, value in changes.items() if value is not None})
    if config.stage != stage:
        raise TrainingError(f'"{name}" is a recipe for {config.stage}, not for {stage}.')
    return config
