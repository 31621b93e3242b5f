"""Every recipe for classes runs for two steps: its settings on small networks and pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from tests.data.class_sets import write_classes, write_maps
from tests.training.small_networks import small_network

from samlet.training.batches.sources import open_class_source
from samlet.training.class_configs import ClassifyConfig
from samlet.training.recipes.classes import RECIPES
from samlet.training.runs import Run, train
from samlet.training.stages import class_students


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.__name__)
def test_a_recipe_runs_for_two_steps(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(class_students, "create", small_network)
    config = recipe()
    assert config.steps > config.warmup_steps
    assert recipe.__doc__
    changes = {"steps": 2, "batch_size": 4, "canvases": ((1.0, 32),), "warmup_steps": min(1, config.warmup_steps)}
    if isinstance(config, ClassifyConfig):
        changes |= {"sizes": (24, 32) if config.sizes else (), "mesa_from": 0.0}
        data = open_class_source([write_classes(tmp_path / "set", each=2)], "classes")
    else:
        data = open_class_source([write_maps(tmp_path / "set")], "class maps")
    seen = []
    weights = train(
        replace(config, **changes), Run(tmp_path / "run", progress=lambda *step: seen.append(step)), data=data
    )
    assert weights.is_file()
    assert all(math.isfinite(values["loss"]) for _, values in seen)
    assert ("mesa" in seen[-1][1]) == bool(getattr(config, "mesa", 0))
