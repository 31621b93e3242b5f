"""A slim TinyViT for CPUs: fewer hidden units, a small canvas, and a neck that brings finer maps to SAM's grid.

Ours. On a canvas of 448 pixels no attention window needs padding (112, 56 and 28 cells are whole windows of 7 and 14),
and the coarsest map has 28 x 28 cells where TinyViT's has 64 x 64: so outlines come from the maps before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from samlet.models.mobile_sam.network import WIDTHS, PatchEmbed, Stage, make_stage
from samlet.nn.layers import LayerNorm2d, ToGrid
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

CHANNELS = 256


class FineNeck(nn.Module):
    """SAM's neck on the coarsest map, joined on the grid by the maps at strides 4 and 8 before the last norm.

    `coarse` holds the first three layers of SAM's neck and `norm` its last. `fine` and `middle` add nothing at first,
    so that a pruned TinyViT starts with what it knows.
    """

    def __init__(self, widths: Sequence[int], grid: int) -> None:
        super().__init__()
        fine, middle, coarse = widths[0], widths[1], widths[-1]
        self.coarse = nn.Sequential(
            nn.Conv2d(coarse, CHANNELS, 1, bias=False),
            LayerNorm2d(CHANNELS),
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False),
        )
        self.fine = nn.Sequential(
            nn.Conv2d(fine, 2 * fine, 2, stride=2, bias=False),
            nn.BatchNorm2d(2 * fine),
            nn.GELU(),
            nn.Conv2d(2 * fine, CHANNELS, 1),
        )
        self.middle = nn.Conv2d(middle, CHANNELS, 1)
        for last in (self.fine[-1], self.middle):
            assert isinstance(last, nn.Conv2d)
            assert last.bias is not None
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
        self.coarse_to_grid, self.details_to_grid = ToGrid(grid), ToGrid(grid)
        self.norm = LayerNorm2d(CHANNELS)

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        """Maps [N, C, S/4, S/4], [N, C, S/8, S/8], [N, C, S/16, S/16] -> [N, 256, grid, grid]."""
        details = self.details_to_grid(self.fine(fine) + self.middle(middle))
        return self.norm(self.coarse_to_grid(self.coarse(coarse)) + details)


class SlimTinyViT(nn.Module):
    """The image encoder: [N, 3, S, S] -> [N, 256, 64, 64]. `hidden`: units in the blocks of each of the four stages."""

    def __init__(self, hidden: Sequence[int], grid: int = 64) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed(WIDTHS[0])
        self.layers = nn.ModuleList([make_stage(i, units) for i, units in enumerate(hidden)])
        self.neck = FineNeck(WIDTHS, grid)

    def forward(self, pixels: Tensor) -> Tensor:
        x = self.patch_embed(pixels)
        maps = []
        for stage in self.layers:
            assert isinstance(stage, Stage)
            maps.append(stage.run_blocks(x))
            x = maps[-1] if stage.downsample is None else stage.downsample(maps[-1])
        return self.neck(maps[0], maps[1], maps[-1])

    def ordered_blocks(self) -> list[nn.Module]:
        """See `samlet.nn.parts`."""
        return [block for stage in self.layers for block in stage.get_submodule("blocks").children()]


def build(spec: ModelSpec, hidden: Sequence[int]) -> Sam:
    """The model with random weights."""
    return Sam(spec, SlimTinyViT(hidden, spec.image.grid))
