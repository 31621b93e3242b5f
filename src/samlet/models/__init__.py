"""Torch architectures, one file per family; `create` builds any of them by its zoo name."""

from __future__ import annotations

from samlet.models.checkpoints import load_checkpoint
from samlet.models.creation import create
from samlet.models.sam import Sam

__all__ = ["Sam", "create", "load_checkpoint"]
