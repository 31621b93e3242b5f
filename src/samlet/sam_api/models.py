"""The models these names accept and make: samlet's predictors and torch modules alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from samlet.errors import InputError
from samlet.extras import import_with_extra
from samlet.loading import cached_weights, load_module
from samlet.models.registry import MODELS, get_spec
from samlet.predictor import Predictor

Module: TypeAlias = Any  # what samlet.models.create returns: this module must import without torch


def predictor_of(model: Predictor | Module) -> Predictor:
    """The predictor itself, or one that runs a torch module where it is; InputError for anything else."""
    if isinstance(model, Predictor):
        return model
    runtime = import_with_extra("samlet.runtime.torch", "torch", "A torch model")
    if not isinstance(model, import_with_extra("samlet.nn.sam", "torch", "A torch model").Sam):
        raise InputError(
            f"A model is what samlet.load() or samlet.models.create() returns, not {type(model).__name__}."
        )
    return Predictor(runtime.TorchBackend(model, model.spec, model.device))


def create_efficientvit_sam_model(name: str, pretrained: bool = True, weight_url: str | None = None) -> Module:
    """A torch EfficientViT-SAM ("efficientvit-sam-l0" … "-xl1") in eval mode, as the official function of this name.

    `weight_url` is the path of a file, as there; without it, `pretrained` takes the cached weights (WeightsError names
    the command that fetches them), and False gives random ones.
    """
    spec = get_spec(name)
    if spec.family != "efficientvit-sam":
        raise InputError(f"{spec.name} is not an EfficientViT-SAM: use samlet.models.create.")
    if pretrained and weight_url is None:
        return load_module(spec.name, cached_weights(spec), task="promptable")
    return load_module(spec.name, weight_url if pretrained else None, task="promptable")


def _build_sam(name: str, checkpoint: str | os.PathLike[str] | None = None) -> Module:
    return load_module(name, checkpoint, task="promptable")


sam_model_registry: dict[str, Callable[..., Module]] = {
    "default": partial(_build_sam, "sam-vit-h"),
    **{alias: partial(_build_sam, spec.name) for spec in MODELS if spec.task == "promptable" for alias in spec.aliases},
}
"""Name → function(checkpoint=None): the torch model in eval mode, with random weights where no checkpoint is given."""
