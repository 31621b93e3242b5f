"""What every network of samlet has, whatever its task: the spec it was built from, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

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


class LogitsNetwork(Network):
    """A network whose `forward` makes logits of normalized pixels, for classification or semantic segmentation.

    pixels [N, 3, H, W] → [N, K] or, for segmentation, [N, K, H / stride, W / stride]; K = the classes of its spec.
    """
