"""Any feature extractor of timm as the encoder of a student: its maps at 1/8 and coarser, summed on SAM's grid."""

from __future__ import annotations

from difflib import get_close_matches
from types import ModuleType
from typing import Any

import torch
from torch import nn

from samlet.errors import ModelError, UnknownModelError
from samlet.extras import import_with_extra
from samlet.nn.projected_maps import ProjectedMaps, used_maps
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec


class TimmEncoder(ProjectedMaps):
    """`ProjectedMaps` over a feature extractor of timm, whose parts it finds by timm's conventions."""

    def ordered_blocks(self) -> list[nn.Module]:
        """The parts of timm's stages, each of which multiplies; see `samlet.nn.parts`."""
        stages = getattr(self.backbone, "model", self.backbone).children()
        parts = [part for stage in stages for part in (stage if isinstance(stage, nn.Sequential) else [stage])]
        return [part for part in parts if any(parameter.ndim > 1 for parameter in part.parameters())]

    def attention_projections(self) -> list[nn.Module]:
        """Where timm attends with one layer for queries, keys and values, as nearly all of its transformers do."""
        layers = [(getattr(part, "qkv", None), getattr(part, "proj", None)) for part in self.backbone.modules()]
        return [layer for pair in layers if all(map(_is_matrix, pair)) for layer in pair if layer is not None]


def build(spec: ModelSpec, backbone: str) -> Sam:
    """SAM with timm's `backbone` as its encoder, with random weights: nothing is downloaded.

    Raises MissingExtraError without timm, UnknownModelError if timm has no such model, ModelError if that model gives
    no feature maps of images of the spec's canvas.
    """
    timm = _import_timm()
    if not timm.is_model(backbone):
        close = get_close_matches(backbone, timm.list_models(), n=3)
        remedy = f"did you mean {', '.join(close)}?" if close else "`timm.list_models()` lists the names."
        raise UnknownModelError(f'timm has no model "{backbone}": {remedy}')
    channels = _used_channels(timm, backbone, spec.image.canvas)
    return Sam(spec, TimmEncoder(_extractor(timm, backbone), channels, spec.image.grid))


def _is_matrix(layer: object) -> bool:
    if isinstance(layer, nn.Conv2d):
        return layer.kernel_size == (1, 1) and layer.groups == 1
    return isinstance(layer, nn.Linear)


def _import_timm() -> ModuleType:
    try:
        return import_with_extra("timm", "timm", "An encoder of timm")
    except (ImportError, RuntimeError) as error:
        raise ModelError(
            f"timm is installed but cannot be imported ({error}): install the torchvision that belongs to torch "
            f"{torch.__version__}."
        ) from error


def _extractor(timm: ModuleType, backbone: str) -> Any:
    """A module with timm's `feature_info` beside it."""
    return timm.create_model(backbone, features_only=True, pretrained=False)


def _used_channels(timm: ModuleType, backbone: str, canvas: int) -> dict[int, int]:
    """Channels of the maps at stride 8 or more, or of the coarsest if all are finer, by their place among the maps.

    Tried on the meta device, which costs no memory: many of timm's transformers take images of one size only.
    """
    try:
        with torch.device("meta"), torch.no_grad():
            extractor = _extractor(timm, backbone).eval()
            maps = [tuple(features.shape) for features in extractor(torch.empty(1, 3, canvas, canvas))]
        strides, counts = extractor.feature_info.reduction(), extractor.feature_info.channels()
        if [shape[1] for shape in maps] != list(counts):
            raise ValueError("its maps are not ordered channels, height, width")
    except Exception as error:  # each of timm's families has its own way of saying no
        reason = str(error).rstrip(".") or type(error).__name__
        raise ModelError(
            f"timm's {backbone} cannot encode images of {canvas} pixels ({reason}): choose one that gives feature maps "
            "of images of any size, as resnet18 does."
        ) from error
    return used_maps(list(counts), list(strides))
