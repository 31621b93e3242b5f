"""From a name of the zoo to a torch module, with weights or without any memory behind them."""

from __future__ import annotations

from pkgutil import resolve_name

import torch

from samlet.models.sam import Sam
from samlet.spec import ModelSpec
from samlet.zoo import get_spec


def create(name: str) -> Sam:
    """The named model in eval mode with random weights and the official parameter names.

    Raises UnknownModelError for a name the zoo does not hold.
    """
    return build(get_spec(name))


def build(spec: ModelSpec) -> Sam:
    """The model that a spec describes, in eval mode with random weights."""
    return resolve_name(spec.builder)(spec, **spec.options).eval()


def skeleton(name: str) -> Sam:
    """The named model on the meta device: names, shapes and costs, but no weights. Takes no memory and 0.1 s.

    Raises UnknownModelError as `create` does.
    """
    with torch.device("meta"):
        return create(name)
