"""samlet: promptable segmentation, fast and practical on the hardware people have.

    model = samlet.load()
    masks = model.segment("photo.jpg", points=[[500, 375]])

Names are resolved when first used, so that `import samlet` costs nothing and needs neither torch nor onnxruntime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samlet import errors, models, sam_api
    from samlet.backend import Backend, Embedding, MaskLogits
    from samlet.errors import SamletError
    from samlet.everything import MaskGenerator
    from samlet.loading import load
    from samlet.masks import Mask, MaskSet
    from samlet.predictor import Predictor
    from samlet.prompts import PointLabel, Prompts
    from samlet.spec import ImageSpec, ModelSpec

from samlet.renamed import find_renamed_modules

__version__ = "0.1.0"

find_renamed_modules()

__all__ = [
    "Backend",
    "Embedding",
    "ImageSpec",
    "Mask",
    "MaskGenerator",
    "MaskLogits",
    "MaskSet",
    "ModelSpec",
    "PointLabel",
    "Predictor",
    "Prompts",
    "SamletError",
    "__version__",
    "errors",
    "load",
    "models",
    "sam_api",
]

_HOME_OF = {
    "Backend": "samlet.backend",
    "Embedding": "samlet.backend",
    "ImageSpec": "samlet.spec",
    "Mask": "samlet.masks",
    "MaskGenerator": "samlet.everything",
    "MaskLogits": "samlet.backend",
    "MaskSet": "samlet.masks",
    "ModelSpec": "samlet.spec",
    "PointLabel": "samlet.prompts",
    "Predictor": "samlet.predictor",
    "Prompts": "samlet.prompts",
    "SamletError": "samlet.errors",
    "load": "samlet.loading",
}
_MODULES = ("errors", "models", "sam_api")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOME_OF:
        value = getattr(import_module(_HOME_OF[name]), name)
        globals()[name] = value  # the next use is an ordinary attribute
        return value
    if name in _MODULES:
        return import_module(f"samlet.{name}")
    raise AttributeError(f"module 'samlet' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
