from __future__ import annotations

import pytest

from samlet.training import runs
from samlet.training.recipes import RECIPES
from samlet.training.stages.registry import STAGES, configs, stage_of
from samlet.training.stages.stage import Stage


@pytest.mark.parametrize("entry", STAGES, ids=lambda entry: entry.name)
def test_a_line_of_the_registry_names_a_stage_and_a_recipe_for_it(entry):
    assert issubclass(entry.load(), Stage)
    recipe = RECIPES[entry.recipe]()
    assert stage_of(recipe) is entry
    assert configs()[entry.name] is type(recipe)


def test_the_old_name_of_a_run_still_works():
    with pytest.warns(DeprecationWarning, match="run_finetune is now `train`"):
        assert runs.run_finetune is runs.train
    with pytest.warns(DeprecationWarning, match="plan is now `dry_run`"):
        assert runs.plan is runs.dry_run
    with pytest.raises(AttributeError, match="run_nothing"):
        _ = runs.run_nothing
