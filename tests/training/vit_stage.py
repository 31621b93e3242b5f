"""SAM's ViT, a fortieth as wide, fine-tuned for a few steps: a network whose blocks are cut one by one."""

from __future__ import annotations

import json
from contextlib import suppress

from tests.training.small_sam import CHANNELS, small_sam
from tests.training.stages.test_finetune import SAMPLES
from tests.training.toy_stage import config
from torch import nn

from samlet.models.sam.network import ViT, VitConfig
from samlet.nn.layers import LayerNorm2d, ToGrid
from samlet.training.batches.masks import MaskBatches
from samlet.training.loop.checkpoint import save_student
from samlet.training.loop.processes import rank
from samlet.training.loop.trainer import Trainer
from samlet.training.stages.finetune import Finetune
from samlet.training.stages.lora import merge

HELD = "held-{}.json"
EPS = (
    1e-4  # Adam's own would make signs of gradients that are nothing but rounding, which differ with the order of sums
)
SETTINGS = {
    "steps": 4,
    "batch_size": 4,
    "grad_accum_steps": 2,
    "checkpoint_every": 1,
    "canvases": ((1.0, 64),),
    "masks_per_image": 2,
    "rounds": 2,
    "clip_norm": 0.1,
    "clip_value": 0.02,
    "layer_decay": 0.8,
    "ema_decay": 0.8,
}


def vit_sam():
    """Random weights from a seed; windows that need padding, and a block that attends to the whole map."""
    model = small_sam()
    vit = ViT(VitConfig(CHANNELS, 3, 2, (1,)), model.spec.image.canvas)
    vit.neck = LayerNorm2d(CHANNELS)
    model.image_encoder = nn.Sequential(vit, ToGrid())
    return model


def train(folder, changes, stop_at=0, resume=False):
    """Fine-tune it, with a validation; leave at step `stop_at` or the next after it, or end and write the student.

    How many numbers this process holds of weights, average and moments is written to HELD.
    """
    changes = {name: tuple(value) if isinstance(value, list) else value for name, value in changes.items()}
    chosen = config(**{**SETTINGS, **changes})
    student = vit_sam()
    trainer = Trainer(Finetune(student, chosen), chosen, folder, resume)
    for group in trainer.optimizer.param_groups:
        group["eps"] = EPS

    def stop(step, values):
        (folder / HELD.format(rank())).write_text(json.dumps(held(trainer)))
        if stop_at and step >= stop_at:
            raise ZeroDivisionError

    with suppress(ZeroDivisionError):
        stream = MaskBatches(SAMPLES, student.spec.image, chosen).stream
        held_out = MaskBatches(SAMPLES, student.spec.image, config(**{**SETTINGS, "steps": 2, "seed": 1})).stream
        trainer.run(stream, stop, held_out)
        merge(student)
        save_student(folder, student)


def held(trainer):
    moments = [value for values in trainer.optimizer.state.values() for value in values.values() if value.ndim]
    kinds = {"weights": trainer.stage.parameters(), "average": trainer.ema.state.values(), "moments": moments}
    return {kind: sum(_numel(value) for value in values) for kind, values in kinds.items()}


def _numel(value):
    return (value.to_local() if hasattr(value, "to_local") else value).numel()
