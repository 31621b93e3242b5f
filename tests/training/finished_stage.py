"""What a stage of the default model leaves, made without training: its config, its log and a student."""

from __future__ import annotations

import json

import torch
from safetensors.torch import save_file

from samlet.training.recipes import RECIPES


def finish(stage):
    """Leave that in the folder of a `StageRun`; returns the config."""
    stage.output.mkdir(parents=True)
    config = RECIPES[stage.name]()
    (stage.output / "config.json").write_text(json.dumps(config.to_json()))
    rows = [{"step": step, "loss": loss, "seconds": 36.0} for step, loss in ((10, 3.0), (20, 1.0))]
    rows.append({"step": 20, "validation": 2.5})
    (stage.output / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_file({"weight": torch.ones(2), "count": torch.tensor(3)}, stage.student)
    return config
