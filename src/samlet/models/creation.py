"""From a name of the registry to a torch module, with weights or without any memory behind them."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any, Literal, overload

import torch

from samlet.models.registry import get_spec
from samlet.nn.network import LogitsNetwork, Network
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec, Task

BUILDERS_OF_OLD_MANIFESTS = {
    f"samlet.models.{old}:build": f"samlet.models.{new}:build"
    for old, new in (
        ("edge_sam", "edge_sam.network"),
        ("edge_sam_rpn", "edge_sam.rpn"),
        ("efficientvit_sam", "efficientvit_sam.network"),
        ("mobile_sam", "mobile_sam.network"),
        ("repvit_sam", "repvit_sam.network"),
        ("sam_vit", "sam.network"),
        ("timm_student", "timm_student.network"),
    )
}


@overload
def create(model: str | ModelSpec, task: Literal["promptable"]) -> Sam: ...
@overload
def create(model: str | ModelSpec, task: Literal["classification", "semantic_segmentation"]) -> LogitsNetwork: ...
@overload
def create(model: str | ModelSpec, task: None = None) -> Any: ...
def create(model: str | ModelSpec, task: Task | None = None) -> Network:
    """The model of a name or a spec, in eval mode with random weights and official parameter names.

    A `Sam` for promptable models, else a `LogitsNetwork`; `task` insists on one, and tells type checkers which.
    Raises UnknownModelError for a name the registry does not hold, ModelError for a model of another task.
    """
    spec = model if isinstance(model, ModelSpec) else get_spec(model)
    if task is not None:
        spec.check_task(task)
    return build(spec)


def build(spec: ModelSpec) -> Any:
    """The model that a spec describes, in eval mode with random weights; see `create`."""
    return resolve_name(BUILDERS_OF_OLD_MANIFESTS.get(spec.builder, spec.builder))(spec, **spec.options).eval()


def skeleton(model: str | ModelSpec) -> Any:
    """The model on the meta device: names, shapes and costs, but no weights. Takes no memory and 0.1 s.

    Raises UnknownModelError as `create` does.
    """
    with torch.device("meta"):
        return create(model)
