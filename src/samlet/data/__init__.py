"""Readers: folders on disk → `Sample`, one per image, in a fixed order. No torch here."""

from __future__ import annotations

from samlet.data.image_folder import open_folders
from samlet.data.sample import Annotation, Sample

__all__ = ["Annotation", "Sample", "open_folders"]
