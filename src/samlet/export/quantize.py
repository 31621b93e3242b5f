"""An encoder in 8-bit integers: post-training quantization by NNCF, calibrated on photographs.

The result is an ordinary ONNX graph with QuantizeLinear and DequantizeLinear, which every runtime reads.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from numpy.typing import NDArray

from samlet.images import read_image
from samlet.preprocess import to_pixels
from samlet.runtime.telemetry import import_without_telemetry
from samlet.spec import ImageSpec

if TYPE_CHECKING:
    import nncf
else:
    nncf = import_without_telemetry("nncf")

LAYERS = ("Conv", "Gemm", "MatMul")
CALIBRATION_PHOTOS = 64  # at most; 16, 32 and 128 gave B0 the same masks, within 0.1 points of mIoU
FLOAT32 = ("Mul", "Pow", "ReduceMean")  # norms and gates: no work to save, and the embedding itself to lose


def quantize_encoder(
    path: Path, spec: ImageSpec, photos: Sequence[Path], progress: Callable[[str], None] = lambda _: None
) -> None:
    """Rewrite an encoder's float32 graph in int8; ImageError if a photo cannot be read. `progress` is told each photo.

    Ranges are measured on at most `CALIBRATION_PHOTOS` of the photos, spread evenly. Convolutions and linear layers
    become integers; float32 stay norms, gates, resizes, products of two activations (attention) and the layers that
    read what attention reads. Those are a few percent of the work. Rounding for them would round attention as well: the
    divisors of linear attention lose their meaning at 8 bits, and B0's embedding in OpenVINO was 3.4 times as far from
    float32.
    """
    quantize(path, lambda photo: to_pixels(read_image(photo), spec)[0], photos, progress)


def quantize(
    path: Path,
    pixels_of: Callable[[Path], NDArray[np.float32]],
    photos: Sequence[Path],
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """The same for any graph whose input is `pixels`, made of a photo by `pixels_of`: float32 [3, H, W]."""
    model = onnx.load(path)
    count = min(len(photos), CALIBRATION_PHOTOS)
    chosen = [photos[index * len(photos) // count] for index in range(count)]

    def inputs(numbered: tuple[int, Path]) -> dict[str, NDArray[np.float32]]:
        number, photo = numbered
        progress(f"calibrating on photo {number} of {len(chosen)}")
        return {"pixels": pixels_of(photo)[None]}

    names = _in_float32(model.graph)
    with _quiet():
        quantized = nncf.quantize(
            model,
            nncf.Dataset(list(enumerate(chosen, start=1)), inputs),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(chosen),
            ignored_scope=nncf.IgnoredScope(names=names, types=list(FLOAT32), validate=False),
            # Before VNNI, x86 adds two 8-bit products in 16 bits, which overflow: one bit less for weights.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
        )
    onnx.save(quantized, path)


def _in_float32(graph: onnx.GraphProto) -> list[str]:
    """Names of products of two activations, of the layers that share an input with one, and of resizes."""
    constants = {tensor.name for tensor in graph.initializer}
    products = [node for node in graph.node if node.op_type == "MatMul" and constants.isdisjoint(node.input)]
    layers = [node for node in graph.node if node.op_type in LAYERS and node not in products]
    attended = _read_by(products, graph, {node.output[0] for node in layers} | constants)
    sharing = [node for node in layers if not attended.isdisjoint(node.input)]
    return [node.name for node in [*products, *sharing, *_resizes(graph, constants)]]


def _read_by(products: Sequence[onnx.NodeProto], graph: onnx.GraphProto, ends: Set[str]) -> set[str]:
    """The activations that products are made from, back to the outputs of layers (in `ends`), which count."""
    makers = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    waiting = [name for node in products for name in node.input]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            if name not in ends and name in makers:
                waiting += makers[name].input
    return found


def _resizes(graph: onnx.GraphProto, constants: Set[str]) -> list[onnx.NodeProto]:
    """Both products of each `samlet.export.simplify.ResizeByProducts`: the first has its constant on the left."""
    first = [node for node in graph.node if node.op_type == "MatMul" and node.input[0] in constants]
    made = {node.output[0] for node in first}
    return first + [node for node in graph.node if node.op_type == "MatMul" and node.input[0] in made]


@contextmanager
def _quiet() -> Iterator[None]:
    """NNCF warns about its own use of NumPy and onnx, and draws a bar of its own: nothing a user could act on."""
    level = nncf.common.logging.logger.nncf_logger.level
    nncf.set_log_level(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        nncf.set_log_level(level)
