"""Wiring: a model's name, a backend's name and perhaps a file become a Predictor. Nothing is downloaded here.

Backends are imported when they are chosen, so torch is needed only by those who use it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from samlet.errors import (
    BackendError,
    CheckpointError,
    InputError,
    UnknownBackendError,
    UnknownModelError,
    WeightsError,
)
from samlet.extras import import_with_extra
from samlet.predictor import Predictor
from samlet.spec import ModelSpec
from samlet.zoo import DEFAULT_MODEL, get_spec, shipped_folder, weights

if TYPE_CHECKING:
    from samlet.models import Sam

BACKENDS = ("auto", "onnx", "torch")


def load(
    name: str | os.PathLike[str] | None = None,
    *,
    backend: str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | None = None,
    threads: int | None = None,
) -> Predictor:
    """Make a ready model; without arguments the one that ships with samlet, offline.

    `name`: a model of the zoo, or the folder of an exported artifact. `checkpoint`: such a folder, or weights (.pt,
    .pth, .safetensors) for torch. `backend`: "auto", "onnx" or "torch". `device` ("cpu", "cuda", "mps") is for torch,
    `threads` for onnx. Raises UnknownModelError, WeightsError, CheckpointError, UnknownBackendError, MissingExtraError.
    """
    if backend not in BACKENDS:
        raise UnknownBackendError(f'There is no backend "{backend}": use {", ".join(BACKENDS)}.')
    folder = _artifact_folder(name, checkpoint)
    if folder is not None:
        return _load_artifact(folder, name if checkpoint is not None else None, backend, device, threads)
    spec = get_spec(DEFAULT_MODEL if name is None else os.fspath(name))
    if checkpoint is not None:
        return _load_torch(spec, Path(checkpoint), backend, device, threads)
    return _load_named(spec, backend, device, threads)


def load_module(name: str, checkpoint: str | os.PathLike[str] | None = None) -> Sam:
    """The torch module of a zoo model, in eval mode, with the weights of `checkpoint` (None: random ones).

    Raises UnknownModelError, CheckpointError, MissingExtraError.
    """
    models = import_with_extra("samlet.models", "torch", "A torch model")
    module = models.create(name)
    if checkpoint is not None:
        models.load_checkpoint(module, checkpoint)
    return module


def cached_weights(spec: ModelSpec) -> Path:
    """The cached weights file of a model; WeightsError, which says how to get it, if it is not here."""
    file = weights.find(spec)
    if file is not None:
        return file
    if spec.checkpoint is None:
        raise WeightsError(f"{spec.name} has no published weights: give a checkpoint of your own.")
    size = f"{spec.checkpoint.size_bytes / 1e6:.0f} MB" if spec.checkpoint.size_bytes else "size unknown"
    raise WeightsError(
        f"The weights of {spec.name} are not here: run `samlet models pull {spec.name}` "
        f"({size}, licence {spec.checkpoint.licence}), or give a checkpoint."
    )


def _artifact_folder(name: str | os.PathLike[str] | None, checkpoint: str | os.PathLike[str] | None) -> Path | None:
    """The artifact folder that the caller means, if any. A zoo name is never a folder, whatever lies around."""
    if checkpoint is not None:
        return Path(checkpoint) if Path(checkpoint).is_dir() else None
    if name is None or not Path(name).is_dir():
        return None
    try:
        get_spec(os.fspath(name))
    except UnknownModelError:
        return Path(name)
    return None


def _load_artifact(
    folder: Path, name: str | os.PathLike[str] | None, backend: str, device: str | None, threads: int | None
) -> Predictor:
    if backend == "torch":
        raise InputError(f'{folder} is an exported artifact, which torch cannot run: use backend "onnx".')
    predictor = _load_onnx(folder, device, threads)
    if name is not None and get_spec(os.fspath(name)).name != predictor.spec.name:
        raise CheckpointError(f"{folder} holds the model {predictor.spec.name}, not {os.fspath(name)}.")
    return predictor


def _load_named(spec: ModelSpec, backend: str, device: str | None, threads: int | None) -> Predictor:
    """The artifact that ships with samlet if it can do what is asked, else cached weights in torch."""
    shipped = shipped_folder(spec.name)
    if shipped is not None and (backend == "onnx" or (backend == "auto" and device in (None, "cpu"))):
        return _load_onnx(shipped, device, threads)
    if backend == "onnx":
        raise WeightsError(
            f"No exported artifact of {spec.name} ships with samlet: run `samlet export {spec.name} --to onnx` "
            "and load the folder it writes."
        )
    return _load_torch(spec, cached_weights(spec), backend, device, threads)


def _load_onnx(folder: Path, device: str | None, threads: int | None) -> Predictor:
    if device not in (None, "cpu"):
        raise BackendError(f'The device "{device}" can only be chosen with backend "torch", not with an onnx artifact.')
    from samlet.runtime.onnx import OnnxBackend

    return Predictor(OnnxBackend.from_folder(folder, threads=threads))


def _load_torch(spec: ModelSpec, file: Path, backend: str, device: str | None, threads: int | None) -> Predictor:
    if backend == "onnx":
        raise InputError(f"{file} is a torch checkpoint: run `samlet export {spec.name} --to onnx`, or use torch.")
    if threads is not None:
        raise InputError("threads is for the onnx backend: with torch, set OMP_NUM_THREADS before starting Python.")
    runtime = import_with_extra("samlet.runtime.torch", "torch", "The torch backend")
    return Predictor(runtime.TorchBackend(load_module(spec.name, file), spec, device or "cpu"))
