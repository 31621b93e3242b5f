"""What can be timed: a model, what runs it, and in which precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from samlet.errors import InputError, UnknownBackendError, UnknownModelError
from samlet.extras import import_with_extra
from samlet.loading import BACKENDS, load, load_module
from samlet.models.registry import get_spec, shipped_folder
from samlet.predictor import Predictor
from samlet.runtime.artifact import precision_of
from samlet.runtime.choice import COMPOSED, choose

# What a backend can compute float weights in besides the precision they are stored in.
COMPUTES_IN = {"openvino": ("bfloat16",), "openvino+onnx": ("bfloat16",), "torch": ("bfloat16", "float16")}
WITHOUT_BEING_NAMED = ("onnx", "openvino")  # of the backends of artifacts: any machine may have them


@dataclass(frozen=True)
class Target:
    """One row of a benchmark; `precision` is that of the stored weights, or one of `COMPUTES_IN`.

    `checkpoint` and `random_weights` are for torch, `device` too.
    """

    model: str
    backend: str
    precision: str = "float32"
    checkpoint: Path | None = None
    random_weights: bool = False
    device: str | None = None
    threads: int | None = None

    @property
    def name(self) -> str:
        """MODEL/BACKEND/PRECISION, with the last part of a folder's path for the model."""
        return f"{Path(self.model).name}/{self.backend}/{self.precision}"

    def load_options(self) -> dict[str, Any]:
        """The named arguments of `samlet.load`; torch is told its threads by the environment."""
        options = {
            "backend": self.backend,
            "checkpoint": None if self.checkpoint is None else str(self.checkpoint),
            "device": self.device,
            "threads": None if self.backend == "torch" else self.threads,
            # torch is always told: left alone it chooses by device.
            "precision": self.precision if self.precision in self._can_be_told() else None,
        }
        return {name: value for name, value in options.items() if value is not None}

    def _can_be_told(self) -> tuple[str, ...]:
        return COMPUTES_IN.get(self.backend, ()) + (("float32",) if self.backend == "torch" else ())


def find_targets(
    models: Sequence[str],
    backends: Sequence[str] | None = None,
    precisions: Sequence[str] | None = None,
    *,
    checkpoint: Path | None = None,
    random_weights: bool = False,
    device: str | None = None,
    threads: int | None = None,
) -> list[Target]:
    """Models (names, artifact folders) × backends × precisions; None takes all that make sense for a model.

    Whether a target can be opened on this machine shows when it is. Raises UnknownBackendError, UnknownModelError,
    BackendError (a folder that is no artifact), InputError if nothing is left or two targets have one name.
    """
    _check_backends(backends)
    targets = []
    for model in models:
        artifact = artifact_of(model)
        for backend in backends or _backends_of(artifact, model, device):
            torch = backend == "torch"
            targets += [
                Target(
                    model, backend, precision, checkpoint if torch else None, torch and random_weights, device, threads
                )
                for precision in _precisions_of(artifact, backend, device, precisions)
                if precisions is None or precision in precisions
            ]
    if not targets:
        raise InputError(f"Nothing here runs in {', '.join(precisions or ())}: `samlet export` makes other precisions.")
    _check_names([target.name for target in targets])
    if checkpoint is not None:
        _check_checkpoint(checkpoint, targets, len(models))
    return targets


def best_target(
    model: str, backend: str = "auto", *, checkpoint: Path | None = None, threads: int | None = None
) -> Target:
    """What `samlet.load` would run, with the backend it would choose. Errors of `find_targets`."""
    if backend == "auto":
        artifact = artifact_of(model)
        choice = None if artifact is None else choose(artifact)
        backend = "torch" if choice is None else choice.name
        threads = threads or (choice.decoder_threads if choice else None)
    torch_weights = checkpoint if backend == "torch" else None
    return find_targets([model], [backend], checkpoint=torch_weights, threads=threads)[0]


@cache
def opened(target: Target) -> Predictor:
    """The target's model, loaded once in a process; errors of `samlet.load`."""
    if not target.random_weights:
        return load(target.model, **target.load_options())
    runtime, fusion = (
        import_with_extra(f"samlet.{module}", "torch", "The torch backend") for module in ("runtime.torch", "nn.fusion")
    )
    module = load_module(target.model, task="promptable")
    fusion.fuse(module)
    return Predictor(runtime.TorchBackend(module, module.spec, target.device or "cpu", target.precision))


def artifact_of(model: str) -> Path | None:
    """The artifact that `samlet.load(model)` may run, if any; a name of the registry is never a folder.

    UnknownModelError if it is neither.
    """
    try:
        return shipped_folder(get_spec(model).name)
    except UnknownModelError:
        if not Path(model).is_dir():
            raise
        return Path(model)


def _check_backends(backends: Sequence[str] | None) -> None:
    for backend in backends or ():
        if backend not in (*BACKENDS[1:], *COMPOSED):
            raise UnknownBackendError(f'There is no backend "{backend}": use {", ".join(BACKENDS)}.')


def _check_names(names: Sequence[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"Two things to time are called {twice}: give each once, or rename a folder.")


def _check_checkpoint(checkpoint: Path, targets: Sequence[Target], models: int) -> None:
    if models != 1:
        raise InputError(f"The checkpoint {checkpoint} belongs to one model, but {models} are given.")
    if all(target.checkpoint is None or target.random_weights for target in targets):
        raise InputError(f"The checkpoint {checkpoint} is for torch with its own weights, which is not among the rest.")


def _backends_of(artifact: Path | None, model: str, device: str | None) -> tuple[str, ...]:
    if artifact is None or device not in (None, "cpu"):
        return ("torch",)
    return WITHOUT_BEING_NAMED if artifact == Path(model) else (*WITHOUT_BEING_NAMED, "torch")


def _precisions_of(
    artifact: Path | None, backend: str, device: str | None, wanted: Sequence[str] | None
) -> tuple[str, ...]:
    """All that make sense; half precision in torch on a CPU, slow where the CPU has none, only if it is wanted."""
    if backend == "torch":
        half = COMPUTES_IN["torch"]
        return ("float32", *(each for each in half if device not in (None, "cpu") or each in (wanted or ())))
    if artifact is None:
        return ("float32",)
    stored = precision_of(artifact)
    return (stored,) if stored in ("int8", "float16") else (stored, *COMPUTES_IN.get(backend, ()))
