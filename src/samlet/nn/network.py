"""What every network of samlet has, whatever its task: the spec it was built from, and where it lies."""

from __future__ import annotations

import torch
from torch import nn

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


class LogitsNetwork(Network):
    """A network whose `forward` makes logits of normalized pixels, for classification or semantic segmentation.

    pixels [N, 3, H, W] → [N, K] or, for segmentation, [N, K, H / stride, W / stride]; K = the classes of its spec.
    """
