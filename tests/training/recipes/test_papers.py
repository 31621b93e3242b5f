"""Every recipe of a paper runs for a few steps: its settings on small models and pictures."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.small_rpn import small_rpn
from tests.training.pictures import write_pictures
from tests.training.small_sam import small_sam

from samlet.data import open_folders
from samlet.models.registry import get_spec
from samlet.runtime.torch import TorchBackend
from samlet.training.batches.masks import MaskBatches
from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig, RpnConfig
from samlet.training.loop.trainer import Trainer
from samlet.training.recipes import papers as paper_recipes
from samlet.training.stages.distill_encoder import DistillEncoder, EmbeddingBatches
from samlet.training.stages.distill_prompted import DistillPrompted, PromptedBatches
from samlet.training.stages.finetune import Finetune
from samlet.training.stages.losses import spots_needed
from samlet.training.stages.rpn import BoxBatches, TrainRpn
from samlet.training.stages.teacher import Teacher

NAMES = [
    "efficientvit_sam_l0_stage1",
    "efficientvit_sam_l0_stage2",
    "edge_sam_stage1",
    "edge_sam_stage2",
    "edge_sam_stage3",
    "mobile_sam",
]


def small(config):
    canvas = 128 if isinstance(config, RpnConfig) else 64
    changes = {"steps": 2, "batch_size": 2, "canvases": ((1.0, canvas),), "warmup_steps": min(1, config.warmup_steps)}
    if isinstance(config, (DistillPromptedConfig, FinetuneConfig)):
        changes["masks_per_image"] = 2
    return replace(config, **changes)


def prepared(config, tmp_path):
    """The stage of a config and its batches."""
    samples = open_folders([write_pictures(tmp_path / "images")])
    model = small_rpn() if isinstance(config, RpnConfig) else small_sam(1)
    image = model.spec.image
    if isinstance(config, RpnConfig):
        return TrainRpn(model), BoxBatches(samples, image, config)
    if isinstance(config, FinetuneConfig):
        return Finetune(model, config), MaskBatches(samples, image, config, spots_needed(config.points))
    master = small_sam(2)
    teacher = Teacher(TorchBackend(master, master.spec), tmp_path / "cache", "0" * 64)
    if isinstance(config, DistillEncoderConfig):
        batches = EmbeddingBatches(samples, teacher, image, config)
        stage = DistillEncoder(model, config, teacher)
        stage.begin(batches)
        return stage, batches
    return DistillPrompted(model, master, config), PromptedBatches(samples, teacher, image, config)


@pytest.mark.parametrize("name", NAMES)
def test_a_papers_recipe_runs(name, tmp_path):
    recipe = getattr(paper_recipes, name)()
    assert recipe.canvases[-1][1] == get_spec(recipe.student).image.canvas
    config = small(recipe)
    stage, batches = prepared(config, tmp_path)
    Trainer(stage, config, tmp_path / "run").run(batches.stream)
    last = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert last["step"] == 2
    assert last["loss"] > 0
