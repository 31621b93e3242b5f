"""From a name of the registry to a torch module, with weights or without any memory behind them."""

from __future__ import annotations

from pkgutil import resolve_name

import torch

from samlet.models.registry import get_spec
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

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


def create(model: str | ModelSpec) -> Sam:
    """The model of a name or a spec, in eval mode with random weights and official parameter names.

    Raises UnknownModelError for a name the registry does not hold.
    """
    return build(model if isinstance(model, ModelSpec) else get_spec(model))


def build(spec: ModelSpec) -> Sam:
    """The model that a spec describes, in eval mode with random weights."""
    return resolve_name(BUILDERS_OF_OLD_MANIFESTS.get(spec.builder, spec.builder))(spec, **spec.options).eval()


def skeleton(name: str) -> Sam:
    """The named model on the meta device: names, shapes and costs, but no weights. Takes no memory and 0.1 s.

    Raises UnknownModelError as `create` does.
    """
    with torch.device("meta"):
        return create(name)
