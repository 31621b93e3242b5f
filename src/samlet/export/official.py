"""The files other programs know: Meta's decoder in one ONNX graph, beside the encoder.

    encoder.onnx    pixels → image_embeddings, as in samlet's own layout
    decoder.onnx    image_embeddings, point_coords, point_labels, mask_input, has_mask_input, orig_im_size
                    → masks, iou_predictions, low_res_masks
    manifest.json   the ModelSpec and the sha256 of both graphs
    parity.json     how far the graphs are from the torch model

Source of the contract: `SamOnnxModel` of segment_anything (`utils/onnx.py`) with its default of four masks; the number
of prompts in a call, which share the image and `mask_input`, is free here. Coordinates
are in the frame of the prompt canvas; a prompt without a box ends with a padding point (0, 0) of label -1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor, nn
from torch.export import Dim

from samlet.backend import ArrayMaskLogits
from samlet.errors import ExportError
from samlet.export.graphs import GraphPlan, example_embedding, write_graph
from samlet.export.opset import OPSET
from samlet.models import Sam
from samlet.prompts import ABSENT_LABEL
from samlet.runtime.artifact import DECODER, ENCODER
from samlet.runtime.sessions import onnxruntime
from samlet.spec import ModelSpec
from samlet.tokens import PromptTokens

# Linear, half-pixel centers, no antialiasing: what torch calls bilinear with align_corners=False.
RESIZING = """
resizing (float[2] orig_im_size, float[num_prompts, {masks}, {side}, {side}] low_res_masks)
    => (float[num_prompts, {masks}, height, width] masks) {{
    canvas = Constant <value = float[1] {{{canvas}.0}}> ()
    half = Constant <value = float[1] {{0.5}}> ()
    longest = ReduceMax (orig_im_size)
    scale = Div (canvas, longest)
    scaled = Mul (scale, orig_im_size)
    raised = Add (scaled, half)
    rounded = Floor (raised)
    one = Constant <value = float[1] {{1.0}}> ()
    at_least_one = Max (rounded, one)
    content_hw = Cast <to = 7> (at_least_one)
    orig_hw = Cast <to = 7> (orig_im_size)
    masks_of_prompts = Shape <start = 0, end = 2> (low_res_masks)
    origin = Constant <value = int64[2] {{0, 0}}> ()
    axes = Constant <value = int64[2] {{2, 3}}> ()
    canvas_hw = Constant <value = int64[2] {{{canvas}, {canvas}}}> ()
    canvas_sizes = Concat <axis = 0> (masks_of_prompts, canvas_hw)
    orig_sizes = Concat <axis = 0> (masks_of_prompts, orig_hw)
    on_canvas = Resize <mode = "linear"> (low_res_masks, , , canvas_sizes)
    content = Slice (on_canvas, origin, content_hw, axes)
    masks = Resize <mode = "linear"> (content, , , orig_sizes)
}}
"""


class OfficialDecoder(nn.Module):
    """Prompt encoder and mask decoder for B prompts of N points about one image, up to the low-resolution masks."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.mask_decoder = model.mask_decoder

    def forward(
        self, image_embeddings: Tensor, point_coords: Tensor, point_labels: Tensor, mask_input: Tensor, has_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """[1, C, G, G], [B, N, 2], [B, N], [1, 1, L, L], [1] → IoU [B, M], masks [B, M, L, L]."""
        hinted, unhinted = self.prompt_encoder.embed_mask(mask_input), self.prompt_encoder.no_mask(1)
        image = image_embeddings + has_mask * hinted + (1 - has_mask) * unhinted
        image = image.expand(point_coords.shape[0], -1, -1, -1)
        sparse = self.prompt_encoder.embed_tokens(point_coords, point_labels)
        iou, tokens, keys = self.mask_decoder.decode_tokens(image, self.prompt_encoder.get_dense_pe(), sparse)
        return iou, self.mask_decoder.upscale(tokens, keys)


def write_official_decoder(model: Sam, path: Path, opset: int = OPSET) -> None:
    """Write Meta's decoder of a model, which is on the CPU in eval mode, as one ONNX file; ExportError as there."""
    image = model.spec.image
    if image.fit != "pad":
        raise ExportError(
            f"{model.spec.name} stretches images, clients of Meta's decoder pad them: export it in samlet's own layout."
        )
    prompts, points = Dim("num_prompts"), Dim("num_points")
    inputs = {
        "image_embeddings": (example_embedding(model), {}),
        "point_coords": (torch.zeros(2, 3, 2), {0: prompts, 1: points}),
        "point_labels": (torch.ones(2, 3), {0: prompts, 1: points}),
        "mask_input": (torch.zeros(1, 1, image.low_res, image.low_res), {}),
        "has_mask_input": (torch.zeros(1), {}),
    }
    write_graph(GraphPlan(OfficialDecoder(model), inputs, ("iou_predictions", "low_res_masks")), path, opset)
    decoder = onnx.load(path)
    _append_resizing(decoder.graph, model.spec)
    onnx.checker.check_model(decoder, full_check=True)
    onnx.save(decoder, path)


def _append_resizing(graph: onnx.GraphProto, spec: ModelSpec) -> None:
    """Masks in image pixels: sizes that depend on the values of an input are beyond torch's translation."""
    resizing = onnx.parser.parse_graph(
        RESIZING.format(canvas=spec.image.prompt_canvas, side=spec.image.low_res, masks=spec.mask_tokens)
    )
    graph.node.extend(resizing.node)
    graph.input.append(helper.make_tensor_value_info("orig_im_size", TensorProto.FLOAT, [2]))
    outputs = {output.name: output for output in (*graph.output, *resizing.output)}
    del graph.output[:]
    graph.output.extend(outputs[name] for name in ("masks", "iou_predictions", "low_res_masks"))


class OfficialBackend:
    """Backend over such a folder, a prompt at a time: it shows that the files give the masks of the model."""

    name = "onnx"

    def __init__(self, folder: Path, spec: ModelSpec) -> None:
        self.spec: ModelSpec = spec
        self._encoder, self._decoder = (
            onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
            for name in (ENCODER, DECODER)
        )

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """See `samlet.backend.Backend`."""
        names = [output.name for output in self._encoder.get_outputs()]
        arrays: Sequence[Any] = self._encoder.run(names, {"pixels": pixels})
        return dict(zip(names, arrays, strict=True))

    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> ArrayMaskLogits:
        """See `samlet.backend.Backend`; of the tokens of a row, those that exist."""
        side, masks = self.spec.image.low_res, self.spec.mask_tokens
        iou = np.empty((len(tokens), masks), np.float32)
        logits = np.empty((len(tokens), masks, side, side), np.float32)
        no_hint = np.zeros((1, 1, side, side), np.float32)
        for row, (image, given) in enumerate(zip(tokens.images, tokens.labels != ABSENT_LABEL, strict=True)):
            inputs = {
                "image_embeddings": features["image_embeddings"][image : image + 1],
                "point_coords": tokens.points_xy[row, given][None],
                "point_labels": tokens.labels[row, given][None].astype(np.float32),
                "mask_input": no_hint if tokens.mask_hint is None else tokens.mask_hint[row][None, None],
                "has_mask_input": np.full(1, tokens.mask_hint is not None, np.float32),
                "orig_im_size": np.full(2, self.spec.image.prompt_canvas, np.float32),
            }
            parts: Sequence[Any] = self._decoder.run(["iou_predictions", "low_res_masks"], inputs)
            iou[row], logits[row] = (part[0] for part in parts)
        return ArrayMaskLogits(iou, lambda rows, columns: logits[rows, columns], side)
