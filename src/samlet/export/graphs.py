"""The three graphs of an artifact as torch modules, and their translation to ONNX.

The cut between them is the lazy decoder's: encoder once an image, decoder once a prompt, upscaler for kept masks.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from samlet.errors import ExportError
from samlet.export.simplify import resize_by_products
from samlet.models import Sam
from samlet.models.sam import token_bias
from samlet.nn.fusion import fuse
from samlet.prompts import HINT_SIZE
from samlet.runtime.artifact import DECODER, ENCODER, UPSCALER

OPSET = 20  # the first one with Gelu; ONNX Runtime has read it since 1.17


class DecoderGraph(nn.Module):
    """`Sam.decode_tokens` for one image and at most one hint.

    Image and hint keep a batch of 1 up to the first attention, so that their keys are projected once for all prompts.
    """

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.mask_decoder = model.mask_decoder

    def forward(
        self, image_embeddings: Tensor, points_xy: Tensor, labels: Tensor, mask_hint: Tensor, has_mask_hint: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[1, 256, 64, 64], [P, T, 2], [P, T], [1, 256, 256], [1] (1 or 0) → iou, mask_tokens, keys."""
        hinted, unhinted = self.prompt_encoder.embed_mask(mask_hint[:, None]), self.prompt_encoder.no_mask(1)
        dense = has_mask_hint * hinted + (1 - has_mask_hint) * unhinted
        sparse = self.prompt_encoder.embed_tokens(points_xy, labels)
        return self.mask_decoder.decode_tokens(
            image_embeddings + dense, self.prompt_encoder.get_dense_pe(), sparse, token_bias(labels, sparse.dtype)
        )


class UpscalerGraph(nn.Module):
    """`Sam.upscale`: mask tokens [P, 4, 256] and keys [P, 4096, 256] → logits [P, 4, 256, 256]."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.mask_decoder = model.mask_decoder

    def forward(self, mask_tokens: Tensor, keys: Tensor) -> Tensor:
        """All four masks: they share the upscaled image, which is nearly all the work."""
        return self.mask_decoder.upscale(mask_tokens, keys)


@dataclass(frozen=True)
class GraphPlan:
    """A module, example inputs by name with their dynamic axes, and the names of the outputs."""

    module: nn.Module
    inputs: dict[str, tuple[Tensor, dict[int, Dim]]]
    outputs: tuple[str, ...]


def plan_graphs(model: Sam) -> dict[str, GraphPlan]:
    """What to translate for each graph file of the artifact. `model` is on the CPU in eval mode and stays as it is."""
    return {ENCODER: _encoder_plan(model), DECODER: _decoder_plan(model), UPSCALER: _upscaler_plan(model)}


def write_graph(plan: GraphPlan, path: Path) -> None:
    """Translate a module to ONNX and write it as one file; ExportError if the exporter cannot."""
    tensors = tuple(tensor for tensor, _ in plan.inputs.values())
    # With gradients on, attention is traced as another kernel, with strides that the exporter cannot reshape.
    with _quiet_exporter(), torch.no_grad():
        try:
            program = torch.onnx.export(
                plan.module,
                tensors,
                dynamo=True,
                opset_version=OPSET,
                input_names=list(plan.inputs),
                output_names=list(plan.outputs),
                dynamic_shapes=tuple(axes for _, axes in plan.inputs.values()),
                verbose=False,
            )
        except torch.onnx.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().partition("\n")[0]
            raise ExportError(f"torch cannot translate {path.name} to ONNX: {reason}") from error
    if program is None:
        raise ExportError(f"torch made no ONNX graph for {path.name}: install the version of torch that samlet names.")
    program.save(path, external_data=False)
    if path.with_name(f"{path.name}.data").exists():
        raise ExportError(f"{path.name} would be over 2 GB, the limit of an ONNX file: export a smaller model.")


def _encoder_plan(model: Sam) -> GraphPlan:
    encoder = deepcopy(model.image_encoder)
    side = model.spec.image.canvas
    pixels = torch.zeros(2, 3, side, side)
    fuse(encoder)
    with torch.no_grad():
        resize_by_products(encoder, pixels[:1])
    return GraphPlan(encoder, {"pixels": (pixels, {0: Dim("images")})}, ("image_embeddings",))


def _decoder_plan(model: Sam) -> GraphPlan:
    prompts, tokens = Dim("prompts"), Dim("tokens")
    inputs = {
        "image_embeddings": (torch.zeros(1, 256, 64, 64), {}),
        "points_xy": (torch.zeros(2, 3, 2), {0: prompts, 1: tokens}),
        "labels": (torch.ones(2, 3, dtype=torch.int64), {0: prompts, 1: tokens}),
        "mask_hint": (torch.zeros(1, HINT_SIZE, HINT_SIZE), {}),
        "has_mask_hint": (torch.zeros(1), {}),
    }
    return GraphPlan(DecoderGraph(model), inputs, ("iou", "mask_tokens", "keys"))


def _upscaler_plan(model: Sam) -> GraphPlan:
    prompts = Dim("prompts")
    inputs = {
        "mask_tokens": (torch.zeros(2, 4, 256), {0: prompts}),
        "keys": (torch.zeros(2, 64 * 64, 256), {0: prompts}),
    }
    return GraphPlan(UpscalerGraph(model), inputs, ("logits",))


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter reports on optional packages and on its own deprecated calls: nothing a user could act on."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
