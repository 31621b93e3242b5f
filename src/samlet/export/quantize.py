"""An encoder in 8-bit integers: post-training quantization by NNCF, calibrated on photographs.

The result is an ordinary ONNX graph with QuantizeLinear and DequantizeLinear, which every runtime reads.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import nncf
import onnx
from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

from samlet.images import read_image
from samlet.preprocess import to_pixels
from samlet.spec import ImageSpec


def quantize_encoder(path: Path, spec: ImageSpec, photos: Sequence[Path]) -> None:
    """Rewrite an encoder's float32 graph in int8, its ranges measured on `photos`; ImageError if one cannot be read.

    Convolutions and linear layers become integers. Products of two activations (attention) stay float32: they are a
    few percent of the work, and the divisors of linear attention lose their meaning at 8 bits.
    """
    model = onnx.load(path)
    pixels = nncf.Dataset(photos, lambda photo: {"pixels": to_pixels(read_image(photo), spec)[0][None]})
    level = nncf.common.logging.logger.nncf_logger.level
    nncf.set_log_level(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about NNCF's own use of NumPy and onnx: nothing a user could act on
        try:
            quantized = nncf.quantize(
                model,
                pixels,
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(photos),
                ignored_scope=nncf.IgnoredScope(names=_products_of_activations(model)),
                # Before VNNI, x86 adds two 8-bit products in 16 bits, which overflow: one bit less for weights.
                advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
            )
        finally:
            nncf.set_log_level(level)
    onnx.save(quantized, path)


def _products_of_activations(model: onnx.ModelProto) -> list[str]:
    """Names of the MatMul nodes without a constant."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return [node.name for node in model.graph.node if node.op_type == "MatMul" and constants.isdisjoint(node.input)]
