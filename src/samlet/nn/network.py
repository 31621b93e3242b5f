"""What every network of samlet has, whatever its task: the spec it was built from, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from samlet.errors import ModelError
from samlet.spec import ModelSpec


class Network(nn.Module):
    """A module built from a `ModelSpec`, under the parameter names of official files, so that those load strictly.

    `unused`: prefixes of parameters that official files may hold but no forward pass reads.
    """

    def __init__(self, spec: ModelSpec, unused: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.spec = spec
        self.unused = unused

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return next(self.parameters()).device

    def adapted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a file by this network's names and in its shapes, where the room of its family knows how."""
        return dict(state)


@dataclass(frozen=True)
class BackboneMaps:
    """The backbone of a classifier: a module from pixels to a list of maps, and each map's channels and stride."""

    module: nn.Module
    channels: list[int]
    strides: list[int]


class LogitsNetwork(Network):
    """A network whose `forward` makes logits of normalized pixels, for classification or semantic segmentation.

    pixels [N, 3, H, W] → [N, K] or, for segmentation, [N, K, H / stride, W / stride]; K = the classes of its spec.
    """

    stride: int = 1

    def backbone_maps(self) -> BackboneMaps:
        """Its backbone, by itself, for a student's encoder. ModelError where a network has none."""
        raise ModelError(f"{self.spec.name} has no backbone that could encode images for SAM.")
