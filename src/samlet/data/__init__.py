"""Formats of annotated data: readers yield a `Sample` for each image, in a fixed order; writers. No torch here."""

from __future__ import annotations

from samlet.data.broken import Broken
from samlet.data.image_folder import open_folders
from samlet.data.opening import open_data
from samlet.data.sample import Annotation, Detection, Opened, Sample

__all__ = ["Annotation", "Broken", "Detection", "Opened", "Sample", "open_data", "open_folders"]
