"""The models: a room for each family, its spec free of torch, its network in torch; `create` builds any by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samlet.models.checkpoints import load_checkpoint
    from samlet.models.creation import create
    from samlet.nn.sam import Sam

__all__ = ["Sam", "create", "load_checkpoint"]

_HOME_OF = {
    "Sam": "samlet.nn.sam",
    "create": "samlet.models.creation",
    "load_checkpoint": "samlet.models.checkpoints",
}


def __getattr__(name: str) -> Any:
    # Resolved when first used: the registry lies in this package too, and listing models needs no torch.
    if name not in _HOME_OF:
        raise AttributeError(f"module 'samlet.models' has no attribute {name!r}")
    from samlet.extras import import_with_extra

    value = getattr(import_with_extra(_HOME_OF[name], "torch", f"samlet.models.{name}"), name)
    globals()[name] = value
    return value
