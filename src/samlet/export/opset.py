"""Graphs for runtimes older than those they are made for: the version of the operators, and of the file itself.

torch translates to opset 18 or later. What the operators of our graphs gained in 18 is taken back here for 17: axes of
a reduction are an attribute again, and a split into equal parts needs no count.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import helper, numpy_helper

from samlet.errors import ExportError

OPSET = 20  # the first one with Gelu; ONNX Runtime has read it since 1.17
# The oldest version of the file format that may hold an opset: with 8, ONNX Runtime has read 17 since 1.12.
IR_VERSIONS = {17: 8, 18: 8, 19: 9, OPSET: 9}
OLDEST_OF_TORCH = 18
_REDUCTIONS = {"ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd"}


def lower_opset(path: Path, opset: int) -> None:
    """Rewrite a graph file, made for `opset` or the lowest that torch knows, so that it is of `opset`; checked by onnx.

    ExportError if the graph holds something that `opset` cannot say.
    """
    model = onnx.load(path)
    if opset < OLDEST_OF_TORCH:
        _as_of_17(model.graph, path.name)
    for used in model.opset_import:
        if used.domain in ("", "ai.onnx"):
            used.version = min(used.version, opset)
    model.ir_version = IR_VERSIONS[opset]
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise ExportError(f"{path.name} cannot be written with --opset {opset}: {reason}") from error
    onnx.save(model, path)


def _as_of_17(graph: onnx.GraphProto, name: str) -> None:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    constants |= {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    for node in graph.node:
        if node.op_type in _REDUCTIONS and len(node.input) > 1:
            if node.input[1] not in constants:
                raise ExportError(f"{name} computes the axes of {node.op_type}, which --opset 17 cannot say.")
            axes = numpy_helper.to_array(constants[node.input[1]])
            del node.input[1:]
            _drop(node, "noop_with_empty_axes")
            node.attribute.append(helper.make_attribute("axes", [int(axis) for axis in axes.reshape(-1)]))
        elif node.op_type == "Split":
            _drop(node, "num_outputs")


def _drop(node: onnx.NodeProto, attribute: str) -> None:
    kept = [each for each in node.attribute if each.name != attribute]
    del node.attribute[:]
    node.attribute.extend(kept)
