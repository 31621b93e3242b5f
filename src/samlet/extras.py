"""Optional dependencies: imported when they are first needed, and named in the error when they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from samlet.errors import MissingExtraError

# What each extra of pyproject.toml brings that samlet itself imports.
PACKAGES_OF_EXTRA: dict[str, frozenset[str]] = {
    "torch": frozenset({"torch", "safetensors"}),
    "train": frozenset({"torch", "safetensors", "matplotlib", "tensorboard"}),
    "timm": frozenset({"timm", "torchvision"}),
    "eval": frozenset({"hotcoco"}),
    "supervision": frozenset({"supervision"}),
    "openvino": frozenset({"openvino"}),
    "export": frozenset({"torch", "safetensors", "onnx", "onnxscript"}),
    "label": frozenset({"pyarrow", "fsspec"}),
    "cloud": frozenset({"s3fs", "gcsfs", "aiohttp"}),
    "raster": frozenset({"rasterio", "pyogrio", "shapely", "pyproj"}),
    "ray": frozenset({"ray", "pandas"}),
    "web": frozenset({"fastapi", "starlette", "pydantic", "uvicorn", "prometheus_client"}),
    "cvat": frozenset({"cvat_sdk"}),
    "fiftyone": frozenset({"fiftyone"}),
    "napari": frozenset({"napari", "magicgui"}),
    "quantize": frozenset({"torch", "safetensors", "onnx", "onnxscript", "nncf"}),
}


def import_with_extra(module: str, extra: str, purpose: str) -> ModuleType:
    """Import `module`; MissingExtraError, which names the `pip install`, if a package of `extra` is not installed.

    `purpose` opens that sentence: "The torch backend" (needs an optional part …).
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        # A missing module of our own, or of another extra, is not what this extra would cure.
        if (error.name or "").partition(".")[0] not in PACKAGES_OF_EXTRA[extra]:
            raise
        raise MissingExtraError(extra, purpose) from error
