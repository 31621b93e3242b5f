"""Masks: what a model answers. Kept as COCO run-length codes, a few kilobytes each, and made arrays on demand."""

from __future__ import annotations

from samlet.masks.mask import Mask
from samlet.masks.mask_set import MaskSet

__all__ = ["Mask", "MaskSet"]
