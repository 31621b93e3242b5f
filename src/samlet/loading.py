"""Wiring: a model's name, a backend's name and perhaps a file become a ready model. Nothing is downloaded here.

Backends are imported when they are chosen, so torch is needed only by those who use it.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from samlet.backend import Backend
from samlet.classes import ClassList, read_class_list
from samlet.classifying import Classifier
from samlet.errors import (
    BackendError,
    CheckpointError,
    InputError,
    MissingWeightsError,
    UnknownBackendError,
    UnknownModelError,
    WeightsError,
)
from samlet.extras import import_with_extra
from samlet.files import sha256_of
from samlet.hub import weights
from samlet.models.registry import DEFAULT_MODEL, get_spec, shipped_folder
from samlet.models.trained import trained_spec
from samlet.parsing import SemanticSegmenter
from samlet.predictor import Predictor
from samlet.runtime.artifact import read_manifest, weights_of
from samlet.runtime.choice import COMPOSED, choose, parts_of
from samlet.runtime.composed import ComposedBackend
from samlet.runtime.shared import IMAGES_KEPT
from samlet.spec import ModelSpec, Task

if TYPE_CHECKING:
    from samlet.models import Sam

Model: TypeAlias = Predictor | Classifier | SemanticSegmenter
_Name: TypeAlias = "str | os.PathLike[str] | None"

LOADABLE: tuple[Task, ...] = ("promptable", "classification", "semantic_segmentation")
BACKENDS = ("auto", "onnx", "openvino", "tensorrt", "torch")
ARTIFACT_BACKENDS = ("onnx", "openvino", "tensorrt", *COMPOSED)
WITH_PRECISION = ("auto", "openvino", "torch", "openvino+onnx")
DEVICES = ("cpu", "cuda", "mps")
DEVICES_MEANT = {"gpu": "cuda", "nvidia": "cuda", "metal": "mps"}
MOST_THREADS = 1024


@overload
def load(
    name: None = None,
    *,
    backend: str = "auto",
    checkpoint: None = None,
    device: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    images_kept: int = IMAGES_KEPT,
    task: None = None,
) -> Predictor: ...
@overload
def load(name: _Name = None, *, task: Literal["promptable"], **options: Any) -> Predictor: ...
@overload
def load(name: _Name = None, *, task: Literal["classification"], **options: Any) -> Classifier: ...
@overload
def load(name: _Name = None, *, task: Literal["semantic_segmentation"], **options: Any) -> SemanticSegmenter: ...
@overload
def load(name: _Name = None, *, task: Task | None = None, **options: Any) -> Any: ...
def load(  # pyright: ignore[reportInconsistentOverload] - `options` are those below
    name: _Name = None,
    *,
    backend: str = "auto",
    checkpoint: str | os.PathLike[str] | None = None,
    device: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    images_kept: int = IMAGES_KEPT,
    task: Task | None = None,
    classes: ClassList | str | os.PathLike[str] | None = None,
) -> Model:
    """Make a ready model; without arguments the one that ships with samlet, offline.

    A Predictor, Classifier or SemanticSegmenter, by the task of the model; `task` insists on one (ModelError for a
    model of another), and tells type checkers which.
    `name`: a name from `samlet models`, `timm:NAME`, your own spec as `module:SPEC`, or the folder of an artifact.
    `checkpoint`: such a folder, or weights (.pt, .pth, .safetensors) for torch. `backend`: one of `BACKENDS`, or
    "openvino+onnx" (encoder + decoder). `device`: "cpu", "cuda" or (torch) "mps". `threads`: not for torch. `precision`
    of the encoder: "float32", "bfloat16" or (torch) "float16". `images_kept`: for how many images what all prompts
    share waits for more prompts (31 MB each in SAM's sizes). `classes`: those of a `checkpoint` that are not the
    model's own, a ClassList or a text file with a class a line; weights that samlet trained say them themselves. Raises
    BackendError (UnknownBackendError, MissingExtraError), UnknownModelError, ModelError, WeightsError, CheckpointError,
    InputError.
    """
    wish = _Wish(backend, device, threads, precision, images_kept)
    wish.check()
    folder = _artifact_folder(name, checkpoint)
    if folder is not None:
        if classes is not None:
            raise InputError(f"{folder} is an exported artifact, which brings its classes: leave classes out.")
        model = _load_artifact(folder, name if checkpoint is not None else None, wish, task)
        name, checkpoint = None if checkpoint is None else name, folder.resolve()
    else:
        spec = described(name, checkpoint)
        if classes is not None:
            spec = spec.with_classes(classes if isinstance(classes, ClassList) else read_class_list(Path(classes)))
        _check_task(spec, task)
        checkpoint = None if checkpoint is None else Path(checkpoint).resolve()
        model = _load_named(spec, wish) if checkpoint is None else _load_torch(spec, wish, checkpoint)
    again: Any = partial(load, name, checkpoint=checkpoint, classes=classes, **asdict(wish))
    return model.reloaded_by(again)


def spec_of(name: str | os.PathLike[str] | None = None, checkpoint: str | os.PathLike[str] | None = None) -> ModelSpec:
    """The description of the model that `load` would make ready: nothing is loaded. Errors as there."""
    folder = _artifact_folder(name, checkpoint)
    if folder is not None:
        return ModelSpec.from_json(read_manifest(folder))
    return described(name, checkpoint)


def described(name: str | os.PathLike[str] | None, checkpoint: str | os.PathLike[str] | None) -> ModelSpec:
    """The spec of a name (None: the default's), or of weights with classes of their own, which hold it.

    Raises UnknownModelError, and CheckpointError if the weights are of another model than `name`.
    """
    own = None if checkpoint is None else trained_spec(Path(checkpoint))
    if own is None:
        return get_spec(DEFAULT_MODEL if name is None else os.fspath(name))
    if name is not None and (named := get_spec(os.fspath(name)).name) != own.name:
        raise CheckpointError(f"{os.fspath(checkpoint or '')} holds the model {own.name}, not {named}.")
    return own


@overload
def load_module(
    model: str | ModelSpec, checkpoint: str | os.PathLike[str] | None = None, *, task: Literal["promptable"]
) -> Sam: ...
@overload
def load_module(
    model: str | ModelSpec, checkpoint: str | os.PathLike[str] | None = None, *, task: None = None
) -> Any: ...
def load_module(
    model: str | ModelSpec, checkpoint: str | os.PathLike[str] | None = None, *, task: Task | None = None
) -> Any:
    """The torch module of a name or a spec, in eval mode, with the weights of `checkpoint` (None: random ones).

    `task`: as for `load`. Raises UnknownModelError, ModelError, CheckpointError, MissingExtraError.
    """
    creation, checkpoints = (
        import_with_extra(f"samlet.models.{module}", "torch", "A torch model") for module in ("creation", "checkpoints")
    )
    module = creation.create(model, task)
    if checkpoint is not None:
        checkpoints.load_checkpoint(module, checkpoint)
    return module


def cached_weights(spec: ModelSpec) -> Path:
    """The cached weights file of a model. If it is not here, MissingWeightsError or WeightsError says how to get it."""
    file = weights.find_checked(spec)
    if file is not None:
        return file
    if spec.checkpoint is None and shipped_folder(spec.name) is not None:
        raise WeightsError(
            f"{spec.name} came with samlet for ONNX Runtime and OpenVINO on the CPU: for torch give --checkpoint "
            f"(checkpoint=…) checkpoints/{spec.name}.safetensors, a file of samlet's source repository, or import it "
            f"once with `samlet models import FILE --model {spec.name}`."
        )
    if spec.checkpoint is None:
        raise WeightsError(f"{spec.name} has no published weights: give a checkpoint of your own.")
    size = f"{spec.checkpoint.size_bytes / 1e6:.0f} MB" if spec.checkpoint.size_bytes else "size unknown"
    raise MissingWeightsError(
        f"The weights of {spec.name} are not here: run `samlet models pull {spec.name}` "
        f"({size}, license {spec.checkpoint.license}), or give a checkpoint.",
        spec.name,
    )


def _artifact_folder(name: str | os.PathLike[str] | None, checkpoint: str | os.PathLike[str] | None) -> Path | None:
    """The artifact folder that the caller means, if any. A known name is never a folder, whatever lies around."""
    if checkpoint is not None:
        return Path(checkpoint) if Path(checkpoint).is_dir() else None
    if name is None or not Path(name).is_dir():
        return None
    try:
        get_spec(os.fspath(name))
    except UnknownModelError:
        return Path(name)
    return None


@dataclass(frozen=True)
class _Wish:
    """How the caller wants a model to be run; None leaves it to the backend."""

    backend: str
    device: str | None
    threads: int | None
    precision: str | None
    images_kept: int

    def check(self) -> None:
        """InputError, BackendError or UnknownBackendError for what no machine could do."""
        if self.backend not in (*BACKENDS, *COMPOSED):
            raise UnknownBackendError(f'There is no backend "{self.backend}": use {", ".join(BACKENDS)}.')
        if self.precision is not None and self.backend not in WITH_PRECISION:
            raise InputError('precision can only be chosen with backend "auto", "openvino" or "torch".')
        self._check_threads()
        self._check_device()

    def _check_threads(self) -> None:
        whole = isinstance(self.threads, Integral) and not isinstance(self.threads, bool)
        if self.threads is not None and not (whole and 1 <= self.threads <= MOST_THREADS):
            raise InputError(f"threads is {self.threads!r}: it must be a whole number from 1 to {MOST_THREADS}.")

    def _check_device(self) -> None:
        if self.device is None:
            return
        if not isinstance(self.device, str):
            raise InputError(f'device is {self.device!r}: it must be a name like "cpu" or "cuda:1".')
        kind = self.device.partition(":")[0]
        meant = DEVICES_MEANT.get(kind.lower(), kind.lower())
        if meant in DEVICES and kind != meant:
            raise BackendError(f'There is no device "{self.device}": use "{meant}".')
        if kind not in DEVICES and self.backend != "torch":  # torch knows more kinds, and says itself which it has
            raise BackendError(f'There is no device "{self.device}": use "cpu", "cuda" or (torch) "mps".')


def _load_artifact(folder: Path, name: _Name, wish: _Wish, task: Task | None) -> Model:
    if wish.backend == "torch":
        raise InputError(f'{folder} is an exported artifact, which torch cannot run: use backend "onnx".')
    model = _open_artifact(folder, wish)
    if name is not None and get_spec(os.fspath(name)).name != model.spec.name:
        raise CheckpointError(f"{folder} holds the model {model.spec.name}, not {os.fspath(name)}.")
    _check_task(model.spec, task)
    return model


def _check_task(spec: ModelSpec, task: Task | None) -> None:
    """ModelError unless a model is for `task`, or for any that can be loaded."""
    if task is not None or spec.task not in LOADABLE:
        spec.check_task(task or LOADABLE[0])


def _wrapped(backend: Any, weights: str | None) -> Model:
    """What users ask of a backend, by the task of its model."""
    match backend.spec.task:
        case "classification":
            return Classifier(backend, weights)
        case "semantic_segmentation":
            return SemanticSegmenter(backend, weights)
        case _:
            return Predictor(backend, weights)


def _load_named(spec: ModelSpec, wish: _Wish) -> Model:
    """The artifact that ships with samlet if it can do what is asked, else cached weights in torch."""
    shipped = shipped_folder(spec.name)
    for_artifact = wish.backend in ARTIFACT_BACKENDS
    if shipped is not None and (for_artifact or (wish.backend == "auto" and wish.device in (None, "cpu"))):
        return _open_artifact(shipped, wish)
    if for_artifact:
        raise WeightsError(
            f"No exported artifact of {spec.name} ships with samlet: run `samlet export {spec.name} --to onnx` "
            "and load the folder it writes."
        )
    return _load_torch(spec, wish)


def _open_artifact(folder: Path, wish: _Wish) -> Model:
    """The artifact in the runtimes that are wished for, or in those that are best here."""
    threads: tuple[int | None, int | None] = (wish.threads, wish.threads)
    encoder, decoder = parts_of(wish.backend)
    if wish.backend == "auto" and wish.device in (None, "cpu"):
        choice = choose(folder, wish.precision or "float32")
        encoder, decoder = choice.encoder, choice.decoder
        threads = wish.threads or choice.encoder_threads, wish.threads or choice.decoder_threads
    elif wish.backend == "auto":
        encoder = decoder = "onnx"
    opened = _open_in(encoder, folder, wish, threads[0])
    if opened.spec.task == "promptable" and (encoder, threads[0]) != (decoder, threads[1]):  # else it is one graph
        opened = ComposedBackend(opened, _open_in(decoder, folder, replace(wish, precision=None), threads[1]))
    return _wrapped(opened, weights_of(folder))


def _open_in(runtime: str, folder: Path, wish: _Wish, threads: int | None) -> Backend:
    """The artifact in one runtime, on as many threads."""
    kept = wish.images_kept
    if runtime == "onnx":
        if wish.precision == "bfloat16":
            raise BackendError('ONNX Runtime does not compute in bfloat16: use backend "auto" or "openvino".')
        from samlet.runtime.onnx import OnnxBackend

        return OnnxBackend.from_folder(folder, threads, wish.device, images_kept=kept)
    if runtime == "tensorrt":
        _check_device(wish.device, "tensorrt", "cuda")
        from samlet.runtime.tensorrt import TensorRtBackend

        return TensorRtBackend.from_folder(folder, threads, images_kept=kept)
    _check_device(wish.device, "openvino", "cpu")
    module = import_with_extra("samlet.runtime.openvino", "openvino", "The openvino backend")
    return module.OpenVinoBackend.from_folder(folder, threads, wish.precision or "float32", images_kept=kept)


def _check_device(device: str | None, backend: str, only: str) -> None:
    if device not in (None, only):
        raise BackendError(f'The backend {backend} runs on the device "{only}", not on "{device}".')


def _load_torch(spec: ModelSpec, wish: _Wish, file: Path | None = None) -> Model:
    """The model in torch, with the weights of `file` or cached ones, which are the last thing that may be missing."""
    if file is not None and wish.backend in ARTIFACT_BACKENDS:
        raise InputError(f"{file} is a torch checkpoint: run `samlet export {spec.name} --to onnx`, or use torch.")
    if wish.threads is not None:
        raise InputError("threads is for exported artifacts: with torch, set OMP_NUM_THREADS before starting Python.")
    runtime, fusion = (
        import_with_extra(f"samlet.{module}", "torch", "The torch backend") for module in ("runtime.torch", "nn.fusion")
    )
    device = runtime.usable_device(wish.device or "cpu")
    precision = runtime.known_precision(wish.precision or runtime.default_precision(device))
    weights = cached_weights(spec) if file is None else file
    module = load_module(spec, weights)
    fusion.fuse(module)
    if spec.task != "promptable":
        networks = import_with_extra("samlet.runtime.torch_network", "torch", "The torch backend")
        return _wrapped(networks.TorchNetwork(module, spec, device, precision), sha256_of(weights))
    return Predictor(runtime.TorchBackend(module, spec, device, precision, wish.images_kept), sha256_of(weights))
