"""What a measurement depends on besides the data: weights, versions and machine. Names no host and no path."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from samlet.errors import InputError, UnknownModelError
from samlet.files import sha256_of
from samlet.hub import weights
from samlet.loading import Model
from samlet.models.registry import DEFAULT_MODEL, get_spec, shipped_folder

_PACKAGES = (
    "samlet",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "pycocotools",
    "hotcoco",
    "onnxruntime",
    "openvino",
    "torch",
)


def weights_hash(predictor: Model, model: str | None = None, checkpoint: Path | None = None) -> str | None:
    """sha256 of the weights behind `predictor = load(model, checkpoint=checkpoint)`; None if they are no file.

    For an artifact folder, the sha256 over the names and hashes of its files. InputError if they cannot be read.
    """
    path = checkpoint or _place_of(predictor, model)
    try:
        return path and (_folder_hash(path) if path.is_dir() else sha256_of(path))
    except OSError as error:
        raise InputError(f"The weights {path} cannot be read: {error.strerror or error}.") from error


def versions() -> dict[str, str]:
    """Versions of Python and of the packages whose arithmetic is in the numbers, as far as they are installed."""
    installed = {distribution.name.lower(): distribution.version for distribution in metadata.distributions()}
    return {"python": platform.python_version()} | {name: installed[name] for name in _PACKAGES if name in installed}


def machine() -> dict[str, str | int | None]:
    """Operating system, processor and number of cores."""
    return {
        "system": platform.system(),
        "processor": _processor(),
        "cores": os.cpu_count(),
    }


def _place_of(predictor: Model, model: str | None) -> Path | None:
    try:
        spec = get_spec(model or DEFAULT_MODEL)
    except UnknownModelError:
        return Path(str(model))
    return weights.find(spec) if predictor.backend.name == "torch" else shipped_folder(spec.name)


def _folder_hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.iterdir() if file.is_file()):
        digest.update(f"{file.name} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def _processor() -> str:
    cpu_info = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpu_info.exists():
        for line in cpu_info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
