"""A classifier or segmenter to an ONNX artifact of one graph, which appears only once it has been shown to agree.

Logits, the surest class and label maps are compared with the model in torch, on views of real photos.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from samlet import __version__
from samlet.errors import ExportError
from samlet.export.artifact import folder_aside
from samlet.export.graphs import GraphPlan, write_graph
from samlet.export.opset import IR_VERSIONS, OPSET, lower_opset
from samlet.export.parity import PHOTOS
from samlet.export.precision import Precision, store_weights_as_float16
from samlet.extras import import_with_extra
from samlet.geometry.label_logits import bicubic_weights, labels_of
from samlet.images import read_image
from samlet.marks import MARK
from samlet.models.half import half_network
from samlet.nn.fusion import fuse
from samlet.nn.layers import upsample_bicubic
from samlet.nn.network import LogitsNetwork
from samlet.preprocess import fitted, normalized
from samlet.runtime.artifact import MANIFEST, NETWORK, PARITY, manifest_record
from samlet.runtime.onnx import OnnxBackend
from samlet.runtime.torch_network import TorchNetwork
from samlet.spec import ModelSpec

SMALLEST_SIDES = 2  # of a segmenter's input, in units of `size_multiple`


@dataclass(frozen=True)
class NetworkTolerance:
    """The largest difference of logits, in their standard deviation; the smallest shares that agree.

    `top1`: of views with the same surest class, for classifiers; `pixels`: the same of pixels, for segmenters. Of a
    million pixels some lie on a border where two classes are equal up to the last digit.
    """

    logits: float
    top1: float
    pixels: float
    miou: float


TOLERANCES: dict[Precision, NetworkTolerance] = {
    "float32": NetworkTolerance(1e-3, 1.0, 0.9999, 0.999),
    "float16-weights": NetworkTolerance(0.1, 0.95, 0.95, 0.98),
    "float16": NetworkTolerance(0.1, 0.95, 0.95, 0.98),
    # Rounding to 8 bits moves single values far; what counts is what is said in the end.
    "int8": NetworkTolerance(3.0, 0.8, 0.8, 0.8),
}


@dataclass
class NetworkParity:
    """Over all views: largest difference of logits, share with the same surest class, IoU of label maps.

    `top1`: of views, or of pixels for a segmenter. `miou`: mean over the classes that either says; None without maps.
    """

    photos: list[str] = field(default_factory=list)
    logits: float = 0.0
    top1s: list[float] = field(default_factory=list)
    mious: list[float] = field(default_factory=list)

    @property
    def top1(self) -> float:
        """Mean share of agreement."""
        return float(np.mean(self.top1s))

    @property
    def miou(self) -> float | None:
        """Mean IoU of the label maps."""
        return float(np.mean(self.mious)) if self.mious else None

    def add(self, reference: NDArray[np.float32], candidate: NDArray[np.float32], size_hw: tuple[int, int]) -> None:
        """Count the logits [K] or [K, h, w] of one view of `size_hw` pixels.

        A candidate that enlarges them is compared at its own size: the reference is enlarged by the definition.
        """
        deviation = max(float(reference.std()), 1e-12)
        if reference.shape != candidate.shape:
            size_hw = candidate.shape[1], candidate.shape[2]
            rows, columns = (bicubic_weights(side, to) for side, to in zip(reference.shape[1:], size_hw, strict=True))
            reference = rows @ reference @ columns.T
        apart = reference - candidate
        largest = max(float(apart.max()), float(-apart.min())) / deviation
        self.logits = float(np.maximum(self.logits, largest))  # not a number stays one
        if reference.ndim == 1:
            self.top1s.append(float(reference.argmax() == candidate.argmax()))
            return
        ours, theirs = labels_of(reference, size_hw), labels_of(candidate, size_hw)
        self.top1s.append(float(np.mean(ours == theirs)))
        self.mious.append(_miou(ours, theirs))

    def violations(self, tolerance: NetworkTolerance) -> list[str]:
        """One phrase for each measure that is beyond its tolerance, or not a number."""
        phrases = []
        if not self.logits <= tolerance.logits:
            phrases.append(f"logits differ by {self.logits:.2g} where {tolerance.logits:.2g} is allowed")
        needed = tolerance.top1 if self.miou is None else tolerance.pixels
        if not self.top1 >= needed:
            of = "views" if self.miou is None else "pixels"
            phrases.append(f"the surest class agrees in {self.top1:.3%} of {of} where {needed:.2%} is needed")
        if self.miou is not None and not self.miou >= tolerance.miou:
            phrases.append(f"the mean IoU of label maps is {self.miou:.4f} where {tolerance.miou} is needed")
        return phrases

    def to_json(self, tolerance: NetworkTolerance) -> dict[str, Any]:
        """The content of parity.json."""
        return {
            "photos": self.photos,
            "views": len(self.top1s),
            "logits_max_difference_in_std": self.logits,
            "top1_agreement": self.top1,
            "miou": self.miou,
            "tolerance": asdict(tolerance),
        }


class NetworkGraph(nn.Module):
    """pixels [N, 3, H, W] → logits float32, for a segmenter at the size of the pixels if `full_size`."""

    def __init__(self, network: LogitsNetwork, full_size: bool) -> None:
        super().__init__()
        self.network = network
        self.factor = network.stride if full_size else 1

    def forward(self, pixels: Tensor) -> Tensor:
        """The logits, enlarged if asked."""
        logits = self.network(pixels).float()
        return logits if self.factor == 1 else upsample_bicubic(logits, self.factor)


def export_network(
    model: LogitsNetwork,
    folder: Path,
    *,
    precision: Precision = "float32",
    opset: int = OPSET,
    calibration: Sequence[Path] = (),
    photos: Sequence[Path] = PHOTOS,
    full_size: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> NetworkParity:
    """Write the artifact of a classifier or segmenter and return how near it is to the model in torch.

    `full_size`: a segmenter's graph ends at the size of its input instead of at stride 8. `precision`, `opset`,
    `calibration`, `photos` and errors as for `samlet.export.onnx.export_onnx`.
    """
    _check(model.spec, precision, opset, calibration, photos, full_size)
    model = deepcopy(model).cpu().eval()
    with folder_aside(folder) as aside:
        progress(f"translating {NETWORK}")
        write_graph(
            plan_network(model, torch.float16 if precision == "float16" else torch.float32, full_size),
            aside / NETWORK,
            opset,
        )
        if precision == "int8":
            quantization = import_with_extra("samlet.export.quantize", "quantize", "int8")
            quantization.quantize(aside / NETWORK, lambda photo: _pixels(photo, model.spec), calibration, progress)
        elif precision == "float16-weights":
            store_weights_as_float16(aside / NETWORK)
        lower_opset(aside / NETWORK, opset)
        _write(aside / MANIFEST, {MARK: __version__} | manifest_record(aside, model.spec, precision))
        progress(f"comparing answers on {len(photos)} photos")
        parity = compare(TorchNetwork(model, model.spec), OnnxBackend.from_folder(aside, device="cpu"), photos)
        violations = parity.violations(TOLERANCES[precision])
        if violations:
            raise ExportError(
                f"The exported {model.spec.name} does not match the model in torch: {'; '.join(violations)}. Nothing "
                "was written; use another precision, or report this if it is float32."
            )
        nodes = {NETWORK: len(onnx.load(aside / NETWORK).graph.node)}
        _write(aside / PARITY, parity.to_json(TOLERANCES[precision]) | {"nodes": nodes})
    return parity


def plan_network(model: LogitsNetwork, dtype: torch.dtype, full_size: bool) -> GraphPlan:
    """What to translate: batch norms folded; images of any number, for a segmenter of any size too."""
    network = deepcopy(model)
    fuse(network)
    if dtype != torch.float32:
        network = half_network(network, dtype)
    image = model.spec.image
    axes: dict[int, Any] = {0: Dim("images")}
    if model.spec.task == "semantic_segmentation":
        axes |= {2 + i: image.size_multiple * Dim(name, min=SMALLEST_SIDES, max=512) for i, name in enumerate("hw")}
    pixels = torch.zeros(2, 3, image.canvas, image.canvas + (image.size_multiple if len(axes) > 1 else 0))
    return GraphPlan(NetworkGraph(network, full_size), {"pixels": (pixels, axes)}, ("logits",))


def compare(reference: TorchNetwork, candidate: OnnxBackend, photos: Sequence[Path]) -> NetworkParity:
    """Ask both for views of every photo: the whole, its quarters, all of them mirrored. ImageError if unreadable."""
    parity = NetworkParity()
    for photo in photos:
        parity.photos.append(photo.name)
        for view in _views(read_image(photo)):
            pixels = normalized(fitted(view, reference.spec.image), reference.spec.image)[None]
            answers = (np.asarray(each.logits(pixels))[0] for each in (reference, candidate))
            parity.add(*answers, size_hw=(view.shape[0], view.shape[1]))
    return parity


def _views(image: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    y, x = image.shape[0] // 2, image.shape[1] // 2
    views = [image] if min(y, x) == 0 else [image, image[:y, :x], image[:y, x:], image[y:, :x], image[y:, x:]]
    return [np.ascontiguousarray(turned) for view in views for turned in (view, view[:, ::-1])]


def _pixels(photo: Path, spec: ModelSpec) -> NDArray[np.float32]:
    return normalized(fitted(read_image(photo), spec.image), spec.image)


def _miou(ours: NDArray[np.uint16], theirs: NDArray[np.uint16]) -> float:
    classes = np.union1d(ours, theirs)
    return float(np.mean([_iou(ours == label, theirs == label) for label in classes]))


def _iou(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> float:
    return np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs)


def _check(
    spec: ModelSpec, precision: Precision, opset: int, calibration: Sequence[Path], photos: Sequence[Path], full: bool
) -> None:
    if opset not in IR_VERSIONS:
        raise ExportError(f"There is no opset {opset} here: use one of {', '.join(map(str, IR_VERSIONS))}.")
    if not photos:
        raise ExportError("Nothing to compare answers on: give at least one photo.")
    if (precision == "int8") is not bool(calibration):
        raise ExportError("int8 is calibrated on photos of the kind the model will see, and no other precision is.")
    if full and spec.task != "semantic_segmentation":
        raise ExportError(f"{spec.name} is a classifier, whose answer has no size: leave full_size out.")


def _write(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
