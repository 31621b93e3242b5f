from __future__ import annotations

import pytest
from tests.training.toy_stage import config

from samlet.errors import TrainingError
from samlet.training.config import FinetuneConfig, TrainConfig
from samlet.training.recipes import RECIPES, get_recipe


@pytest.mark.parametrize(
    ("step", "canvas"),
    [(0, 128), (5, 128), (6, 256), (11, 256)],
)
def test_the_canvas_grows_at_its_share_of_the_run(step, canvas):
    assert config(steps=12, canvases=((0.5, 128), (1.0, 256))).canvas_at(step) == canvas


@pytest.mark.parametrize("name", ["steps", "batch_size", "views", "checkpoint_every"])
def test_counts_below_one_are_refused_by_name(name):
    with pytest.raises(TrainingError, match=name):
        config(**{name: 0})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),  # no generator takes it
        ("images", -5),  # would mean nearly all
        ("batch_size", 10**9),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("ema_decay", 1.5),
        ("min_crop", -0.1),
    ],
)
def test_numbers_out_of_bounds_are_refused_by_name(name, value):
    with pytest.raises(TrainingError, match=f"{name} is "):
        config(**{name: value})


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_takes_changes_and_leaves_the_rest(name):
    recipe = RECIPES[name]()
    changed = get_recipe(name, type(recipe), steps=3, seed=None)
    assert (changed.steps, changed.seed, changed.learning_rate) == (3, recipe.seed, recipe.learning_rate)


def test_unknown_recipes_and_recipes_of_another_stage_are_refused():
    with pytest.raises(TrainingError, match="no recipe"):
        get_recipe("nothing", FinetuneConfig)
    with pytest.raises(TrainingError, match="not for finetune"):
        get_recipe("efficientvit_sam_b0_stage1", FinetuneConfig)


def test_configs_saved_under_old_names_are_read():
    record = config(grad_accum_steps=2, no_weight_decay="by-name", precision="bfloat16").to_json()
    old = {"grad_accum_steps": "accumulate", "no_weight_decay": "undecayed", "fsdp": "sharded"}
    saved = {old.get(name, name): value for name, value in record.items()} | {"precision": "bf16"}
    assert {"accumulate", "undecayed", "sharded"} <= set(saved)
    assert TrainConfig.from_json(saved).to_json() == record


def test_a_config_from_before_there_were_precisions_is_float32():
    record = config().to_json()
    del record["precision"]
    assert TrainConfig.from_json(record) == config()
