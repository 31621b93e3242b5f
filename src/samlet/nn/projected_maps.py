"""A backbone as SAM's image encoder: its maps projected to one width, resized to the grid and summed.

The sum of projections is the top of EfficientViT-SAM's neck (arXiv 2402.05008) without the blocks after it.
"""

from __future__ import annotations

from torch import Tensor, nn

from samlet.nn.layers import LayerNorm2d, ToGrid

CHANNELS = 256
FINEST = 8  # stride of the finest map that is used; finer ones cost more than they tell about a cell of the grid


class ProjectedMaps(nn.Module):
    """Backbone, a 1x1 projection of each map, their sum and a channel norm: [N, 3, S, S] -> [N, 256, 64, 64].

    `backbone` gives a list of maps [N, C, H, W]; `channels` are their C by their place in it, for those that are used.
    """

    def __init__(self, backbone: nn.Module, channels: dict[int, int], grid: int = 64) -> None:
        super().__init__()
        self.backbone = backbone
        self.used = tuple(channels)
        self.projections = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(count, CHANNELS, 1), ToGrid(grid)) for count in channels.values()]
        )
        self.norm = LayerNorm2d(CHANNELS)

    def forward(self, pixels: Tensor) -> Tensor:
        maps = self.backbone(pixels)
        first, *others = (project(maps[i]) for i, project in zip(self.used, self.projections, strict=True))
        return self.norm(sum(others, start=first))


def used_maps(channels: list[int], strides: list[int]) -> dict[int, int]:
    """Channels of the maps at stride 8 or more, or of the coarsest if all are finer, by their place among the maps."""
    used = [i for i, stride in enumerate(strides) if stride >= FINEST] or [len(strides) - 1]
    return {i: channels[i] for i in used}
