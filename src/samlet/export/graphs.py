"""The five graphs of an artifact as torch modules, and their translation to ONNX.

The cuts between them: encoder and projector once an image, decoder once a prompt, upscaler for kept masks. A prompt
that has an image to itself takes the lone decoder instead of projector and decoder.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.export import Dim

from samlet.errors import ExportError
from samlet.export.opset import OLDEST_OF_TORCH, OPSET
from samlet.export.simplify import norm_by_squares, resize_before_mixing, resize_by_products
from samlet.models import Sam
from samlet.models.edge_sam.rpn import EdgeSamRpn
from samlet.models.edge_sam.rpn_head import RpnHead
from samlet.models.half import half_encoder
from samlet.nn.fusion import fuse
from samlet.nn.lone_decoder import LoneDecoder
from samlet.nn.mask_upscaler import MaskUpscaler
from samlet.nn.prompt_decoder import ImageProjector, ImageSide, Mixture, PromptDecoder
from samlet.nn.prompt_encoder import PromptEncoder
from samlet.nn.sam import token_bias
from samlet.runtime.artifact import DECODER, ENCODER, LONE, PROJECTOR, UPSCALED, UPSCALER


class EncoderGraph(nn.Module):
    """`Sam.features`: pixels [N, 3, S, S] → the tensors [N, …] named in `feature_names`, in that order."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """All that inference keeps of an image."""
        features = self.model.features(pixels)
        found = tuple(features[name] for name in self.model.feature_names)
        return tuple(tensor if tensor.dtype == torch.float32 else tensor.float() for tensor in found)


class ProjectorGraph(nn.Module):
    """`ImageProjector` for one image and at most one hint."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.projector = ImageProjector(model.mask_decoder, model.prompt_encoder)

    def forward(self, image_embeddings: Tensor, mask_hint: Tensor, has_mask_hint: Tensor) -> ImageSide:
        """[1, C, G, G], [1, L, L], [1] (1 or 0) → what all prompts of the image share."""
        return self.projector(image_embeddings + _dense(self.prompt_encoder, mask_hint, has_mask_hint))


class LoneGraph(nn.Module):
    """`LoneDecoder` from an embedding, at most one hint, points and labels."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.decoder = LoneDecoder(model.mask_decoder)

    def forward(
        self, image_embeddings: Tensor, mask_hint: Tensor, has_mask_hint: Tensor, points_xy: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[1, C, G, G], [1, L, L], [1] (1 or 0), [1, T, 2], [1, T] → iou, mask_tokens, upscaled."""
        image = image_embeddings + _dense(self.prompt_encoder, mask_hint, has_mask_hint)
        sparse = self.prompt_encoder.embed_tokens(points_xy, labels)
        bias = token_bias(labels, sparse.dtype, self.decoder.decoder)
        return self.decoder(image, self.prompt_encoder.get_dense_pe(), sparse, bias)


def _dense(prompt_encoder: PromptEncoder, mask_hint: Tensor, has_mask_hint: Tensor) -> Tensor:
    """The dense prompt [1, C, G, G] of a hint that is there or not."""
    hinted, unhinted = prompt_encoder.embed_mask(mask_hint[:, None]), prompt_encoder.no_mask(1)
    return has_mask_hint * hinted + (1 - has_mask_hint) * unhinted


class DecoderGraph(nn.Module):
    """`PromptDecoder` from points and labels."""

    def __init__(self, model: Sam) -> None:
        super().__init__()
        self.prompt_encoder = model.prompt_encoder
        self.decoder = PromptDecoder(model.mask_decoder)

    def forward(self, points_xy: Tensor, labels: Tensor, image: ImageSide) -> tuple[Tensor, Tensor, Mixture]:
        """[P, T, 2], [P, T] and the arrays of `ImageSide` → iou, mask_tokens, weights, vectors, scale."""
        sparse = self.prompt_encoder.embed_tokens(points_xy, labels)
        return self.decoder(image, sparse, token_bias(labels, sparse.dtype, self.decoder.decoder))


@dataclass(frozen=True)
class GraphPlan:
    """A module; by name, example inputs with their dynamic axes; the names of the outputs.

    An input that is a NamedTuple of tensors becomes one input for each of its fields; its axes are such a tuple too.
    """

    module: nn.Module
    inputs: dict[str, tuple[Any, Any]]
    outputs: tuple[str, ...]

    @property
    def input_names(self) -> list[str]:
        """The inputs of the graph, in order."""
        return [field for name, (value, _) in self.inputs.items() for field in getattr(value, "_fields", (name,))]


def plan_graphs(model: Sam, dtype: torch.dtype = torch.float32) -> dict[str, GraphPlan]:
    """What to translate for each graph file of the artifact. `model` is on the CPU in eval mode and stays as it is.

    `dtype`: what the encoder computes in where that is safe (`samlet.models.half`). ExportError for EdgeSAM's head
    `rpn`.
    """
    return {
        ENCODER: _encoder_plan(model, dtype),
        PROJECTOR: _projector_plan(model),
        DECODER: _decoder_plan(model),
        UPSCALER: _upscaler_plan(model),
        LONE: _lone_plan(model),
    }


def write_graph(plan: GraphPlan, path: Path, opset: int = OPSET) -> None:
    """Translate a module to ONNX and write it as one file; ExportError if the exporter cannot.

    `opset`: of `samlet.export.opset`, which lowers the file further where torch cannot.
    """
    tensors = tuple(tensor for tensor, _ in plan.inputs.values())
    # With gradients on, attention is traced as another kernel, with strides that the exporter cannot reshape.
    with _quiet_exporter(), torch.no_grad():
        try:
            program = torch.onnx.export(
                plan.module,
                tensors,
                dynamo=True,
                opset_version=max(opset, OLDEST_OF_TORCH),
                input_names=plan.input_names,
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
    model = onnx.load(path)
    forget_origin(model.graph)
    onnx.save(model, path)


def forget_origin(graph: onnx.GraphProto) -> None:
    """Drop, in place, what the exporter notes of where each node comes from: paths of this machine among it."""
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]


def _encoder_plan(model: Sam, dtype: torch.dtype) -> GraphPlan:
    if isinstance(model, EdgeSamRpn) and isinstance(model.rpn_head, RpnHead):
        raise ExportError(
            f"{model.spec.name} drops overlapping proposals in a loop, which samlet does not export: run it with torch."
        )
    encoder = EncoderGraph(deepcopy(model))
    side = model.spec.image.canvas
    pixels = torch.zeros(2, 3, side, side)
    fuse(encoder)
    with torch.no_grad():
        resize_by_products(encoder, pixels[:1])
        norm_by_squares(encoder, pixels[:1])
    resize_before_mixing(encoder)
    if dtype != torch.float32:
        encoder.model = half_encoder(encoder.model, dtype)
    return GraphPlan(encoder, {"pixels": (pixels, {0: Dim("images")})}, model.feature_names)


def _projector_plan(model: Sam) -> GraphPlan:
    return GraphPlan(ProjectorGraph(model), _example_of_image(model), ImageSide._fields)


def _lone_plan(model: Sam) -> GraphPlan:
    tokens = Dim("tokens")
    prompt = {
        "points_xy": (torch.zeros(1, 3, 2), {1: tokens}),
        "labels": (torch.ones(1, 3, dtype=torch.int64), {1: tokens}),
    }
    return GraphPlan(LoneGraph(model), _example_of_image(model) | prompt, ("iou", "mask_tokens", UPSCALED))


def _example_of_image(model: Sam) -> dict[str, tuple[Any, Any]]:
    side = model.spec.image.low_res
    return {
        "image_embeddings": (example_embedding(model), {}),
        "mask_hint": (torch.zeros(1, side, side), {}),
        "has_mask_hint": (torch.zeros(1), {}),
    }


def _decoder_plan(model: Sam) -> GraphPlan:
    prompts, tokens = Dim("prompts"), Dim("tokens")
    inputs = {
        "points_xy": (torch.zeros(2, 3, 2), {0: prompts, 1: tokens}),
        "labels": (torch.ones(2, 3, dtype=torch.int64), {0: prompts, 1: tokens}),
        "image": (_example_image(model), ImageSide(*[{}] * len(ImageSide._fields))),  # type: ignore[list-item]
    }
    return GraphPlan(DecoderGraph(model), inputs, ("iou", "mask_tokens", *Mixture._fields))


def _upscaler_plan(model: Sam) -> GraphPlan:
    prompts, rank = Dim("prompts"), Dim("rank")
    upscaled, masks = _example_image(model).upscaled, model.mask_decoder.masks
    cells, channels = len(upscaled), model.spec.image.channels
    mixture = Mixture(torch.zeros(2, 112, cells), torch.zeros(2, 112, channels), torch.ones(2, 1, cells))
    inputs = {
        "upscaled": (torch.zeros_like(upscaled), {}),
        "mixture": (mixture, Mixture({0: prompts, 1: rank}, {0: prompts, 1: rank}, {0: prompts})),  # type: ignore[arg-type]
        "mask_tokens": (torch.zeros(2, masks, channels), {0: prompts}),
        "columns": (torch.arange(3) % masks, {0: Dim("columns")}),
    }
    return GraphPlan(MaskUpscaler(model.mask_decoder), inputs, ("logits",))


@torch.no_grad()
def _example_image(model: Sam) -> ImageSide:
    return ImageProjector(model.mask_decoder, model.prompt_encoder)(example_embedding(model))


def example_embedding(model: Sam) -> Tensor:
    """An image embedding of a model's size, all zeros: [1, C, G, G]."""
    image = model.spec.image
    return torch.zeros(1, image.channels, image.grid, image.grid)


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
