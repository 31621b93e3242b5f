"""Recipes: functions that return the config of a run. What ships was trained with the ones named after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from samlet.errors import TrainingError
from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig, TrainConfig
from samlet.training.recipes import classes as class_recipes
from samlet.training.recipes import default
from samlet.training.recipes import papers as paper_recipes

Recipe = Callable[[], TrainConfig]
Config = TypeVar("Config", bound=TrainConfig)


def efficientvit_sam_b0_stage1() -> DistillEncoderConfig:
    """Encoder distillation of a B0 from random weights, made for an hour of two CPU cores."""
    return DistillEncoderConfig(
        student="efficientvit-sam-b0",
        steps=1500,
        batch_size=4,
        learning_rate=2e-3,
        canvases=((0.6, 384), (1.0, 512)),
        images=800,
    )


def efficientvit_sam_b0_stage2() -> FinetuneConfig:
    """Fine-tuning of the B0 on ground-truth masks."""
    return FinetuneConfig(
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


def efficientvit_sam_b0_stage3() -> FinetuneConfig:
    """Stage 2 again on other prompts, clicks above all: one click is what the first pass leaves weakest."""
    return replace(efficientvit_sam_b0_stage2(), steps=400, seed=1, box_share=0.3)


def efficientvit_sam_b0_stage4() -> DistillPromptedConfig:
    """The B0 with its teacher in the prompt loop, on photos with and without masks."""
    return DistillPromptedConfig(
        student="efficientvit-sam-b0",
        steps=1000,
        batch_size=2,
        images=1280,
        masks_per_image=3,
        learning_rate=4e-4,
        decoder_rate=0.25,
        final_learning_rate=1e-6,
        warmup_steps=20,
        clip_norm=1.0,
        ema_decay=0.98,
        bce_weight=5.0,
        dice_weight=5.0,
        checkpoint_every=50,
    )


def efficientvit_sam_b0_stage5() -> FinetuneConfig:
    """Last, masks of people again: what an object is to them, and a single click on its middle."""
    return replace(
        efficientvit_sam_b0_stage2(),
        steps=500,
        seed=2,
        learning_rate=3e-4,
        box_share=0.4,
        max_clicks=2,
        center_share=0.7,
    )


def efficientvit_sam_b0_stage6() -> FinetuneConfig:
    """Stage 5 on a larger canvas, whose finer grid thin parts need, and with boxes drawn with more care."""
    return replace(
        efficientvit_sam_b0_stage5(), steps=450, seed=3, canvases=((1.0, 640),), box_share=0.6, box_jitter=0.03
    )


def efficientvit_sam_b0_stage7() -> FinetuneConfig:
    """Stage 6 for longer, with boxes that teach all three masks: the best of them was better than the one chosen."""
    return replace(
        efficientvit_sam_b0_stage6(),
        steps=1500,
        batch_size=4,
        seed=4,
        learning_rate=4e-4,
        boxes_teach_all=True,
        checkpoint_every=100,
        ema_decay=0.995,
    )


def mobile_sam_slim_finetune() -> FinetuneConfig:
    """The default model on the masks of your photos: short, and gentle to what it knows."""
    return replace(efficientvit_sam_b0_stage2(), student=default.STUDENT, canvases=((1.0, 448),), learning_rate=2e-4)


def ablation_encoder() -> DistillEncoderConfig:
    """What benchmarks/ablation.md compares: encoder distillation on few photos, for minutes of one CPU core."""
    return DistillEncoderConfig(
        student="efficientvit-sam-b0",
        steps=600,
        batch_size=2,
        learning_rate=2e-3,
        canvases=((1.0, 384),),
        images=180,
    )


def ablation_prompted() -> DistillPromptedConfig:
    """The other side of that comparison: prompts in the loop, on the same photos at the same canvas."""
    return replace(
        efficientvit_sam_b0_stage4(), steps=50, images=180, masks_per_image=2, canvases=((1.0, 384),), ema_decay=0.98
    )


RECIPES: dict[str, Recipe] = {
    recipe.__name__: recipe
    for recipe in (
        efficientvit_sam_b0_stage1,
        mobile_sam_slim_finetune,
        efficientvit_sam_b0_stage2,
        efficientvit_sam_b0_stage3,
        efficientvit_sam_b0_stage4,
        efficientvit_sam_b0_stage5,
        efficientvit_sam_b0_stage6,
        efficientvit_sam_b0_stage7,
        *default.STAGES,
        ablation_encoder,
        ablation_prompted,
        paper_recipes.efficientvit_sam_l0_stage1,
        paper_recipes.efficientvit_sam_l0_stage2,
        paper_recipes.edge_sam_stage1,
        paper_recipes.edge_sam_stage2,
        paper_recipes.edge_sam_stage3,
        paper_recipes.mobile_sam,
        *class_recipes.RECIPES,
    )
}


def get_recipe(name: str, kind: type[Config], **changes: Any) -> Config:
    """The named recipe's config with those of `changes` that are not None.

    Raises TrainingError for an unknown name, or one whose config is not of the stage's `kind`.
    """
    if name not in RECIPES:
        raise TrainingError(f'there is no recipe "{name}": use {", ".join(RECIPES)}.')
    recipe = RECIPES[name]()
    if not isinstance(recipe, kind):
        raise TrainingError(f'"{name}" is a recipe for {recipe.stage}, not for {kind.stage}.')
    return replace(recipe, **{key: value for key, value in changes.items() if value is not None})
