"""Readers and writers of formats: folders, annotation files and shards → `Sample`, one per image, in a fixed order. No torch here."""

from __future__ import annotations

from samlet.data.broken import Broken
from samlet.data.image_folder import open_folders
from samlet.data.opening import open_data
from samlet.data.sample import Annotation, Detection, Opened, Sample

__all__ = ["Annotation", "Broken", "Detection", "Opened", "Sample", "open_data", "open_folders"]
