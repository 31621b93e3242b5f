"""An EdgeSAM with proposals whose encoder has one block a stage, on a canvas of 128 pixels."""

from __future__ import annotations

from dataclasses import replace

import torch
from tests import filler
from torch import Tensor

from samlet.geometry.box_prior import BOXES, SCORES
from samlet.models.edge_sam.network import EdgeSamEncoder
from samlet.models.edge_sam.rpn import EdgeSamRpn, Head
from samlet.models.registry import get_spec
from samlet.nn.repvit import RepViTConfig
from samlet.spec import ImageSpec

IMAGE = ImageSpec(canvas=128)


class GridEncoder(EdgeSamEncoder):
    """The decoder wants 64 cells a side, which a canvas of 128 has at stride 2."""

    def embed(self, maps):
        return torch.nn.functional.interpolate(super().embed(maps), (64, 64))


def small_rpn(head: Head = "efficient_det") -> EdgeSamRpn:
    """Random weights, always the same, in eval mode."""
    torch.manual_seed(0)
    encoder = GridEncoder(RepViTConfig((8, 96, 192, 384), (1, 1, 1, 1)))
    return EdgeSamRpn(replace(get_spec("edge-sam-rpn"), name="small-rpn", image=IMAGE), encoder, head).eval()


def checked_features(model: EdgeSamRpn) -> tuple[Tensor, dict[str, Tensor]]:
    """Two images, and their features: the embedding, and a score for each box."""
    pixels = torch.from_numpy(filler.array("small", 2, 3, IMAGE.canvas, IMAGE.canvas))
    features = model.features(pixels)
    assert tuple(features) == model.feature_names
    assert torch.equal(features["image_embeddings"], model.encode(pixels))
    assert features[BOXES].shape == (*features[SCORES].shape, 4)
    return pixels, features
