"""segment_anything's names, shapes and rules over samlet's predictor: client code changes one import.

    from samlet.sam_api import SamPredictor, SamAutomaticMaskGenerator, sam_model_registry

Unlike the rest of samlet, a `SamPredictor` remembers its image, so it serves one thread. As in segment_anything, points
and boxes may lie outside the image; what cannot be meant (shapes, counts, labels, NaN) is a PromptError.
"""

from __future__ import annotations

from samlet.sam_api.generator import SamAutomaticMaskGenerator
from samlet.sam_api.models import create_efficientvit_sam_model, sam_model_registry
from samlet.sam_api.predictor import SamPredictor
from samlet.sam_api.transform import ResizeLongestSide

__all__ = [
    "ResizeLongestSide",
    "SamAutomaticMaskGenerator",
    "SamPredictor",
    "create_efficientvit_sam_model",
    "sam_model_registry",
]
