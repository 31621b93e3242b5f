"""The precisions of an artifact; here weights stored at half the size, the arithmetic stays float32.

An encoder that computes in float16 is made before it is translated: `samlet.models.half`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Precision = Literal["float32", "float16-weights", "float16", "int8"]

# Biases, norms and the Fourier matrix of the positions are small, and the last one is worth its digits.
SMALLEST_STORED_AS_FLOAT16 = 1024


def store_weights_as_float16(path: Path) -> None:
    """Rewrite an ONNX file so that large float32 constants are float16 followed by a cast, which runtimes fold on load.

    A constant with a value beyond float16's range stays as it is.
    """
    model = onnx.load(path)
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_STORED_AS_FLOAT16:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}_float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, path)
