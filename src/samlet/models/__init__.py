"""Torch architectures, one file per family; `create` builds any of them by its zoo name."""

from __future__ import annotations

from pkgutil import resolve_name

from samlet.models.checkpoints import load_checkpoint
from samlet.models.sam import Sam
from samlet.zoo import get_spec

__all__ = ["Sam", "create", "load_checkpoint"]


def create(name: str) -> Sam:
    """The named model in eval mode with random weights and the official parameter names.

    Raises UnknownModelError for a name the zoo does not hold.
    """
    spec = get_spec(name)
    return resolve_name(spec.builder)(spec, **spec.options).eval()
