"""What a raster would take, before it is begun: some of its windows are segmented here, and nothing is kept."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any

from samlet.errors import InputError
from samlet.everything import MaskGenerator
from samlet.geometry.seams import Grid
from samlet.labeling.rasters.label import RasterOrder
from samlet.labeling.rasters.scene import RasterScene
from samlet.tiling import pieces_of

SAMPLE = 20


@dataclass(frozen=True)
class RasterEstimate:
    """A raster in numbers; what is per window was measured on `sample` windows spread over it.

    `empty` of them show nothing, which takes no time. Masks are counted before those of borders are joined.
    """

    width_px: int
    height_px: int
    windows: int
    sample: int
    empty: int
    masks_per_window: float
    read_s: float
    segment_s: float

    @property
    def hours(self) -> float:
        """For all windows, on this machine."""
        return self.windows * (self.read_s + self.segment_s) / 3600

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self) | {"hours": self.hours}

    def rows(self) -> list[tuple[str, str]]:
        """All of it, as a table of two columns."""
        return [
            ("raster", f"{self.width_px:,} x {self.height_px:,} pixels"),
            ("windows", f"{self.windows:,}"),
            ("measured", f"{self.sample} windows, {self.empty} of them without data"),
            ("masks", f"{self.masks_per_window:.1f} a window"),
            ("read", f"{self.read_s * 1e3:,.1f} ms a window"),
            ("segment", f"{self.segment_s * 1e3:,.1f} ms a window"),
            ("here", f"{self.hours:,.2f} hours"),
        ]


def estimate(order: RasterOrder, sample: int = SAMPLE) -> RasterEstimate:
    """Segment up to `sample` windows; errors as `label_raster`, InputError for an order with prompts."""
    if order.prompts is not None:
        raise InputError("--dry-run measures windows of everything mode; with --point or --box there are none.")
    with RasterScene(order.scene, order.bands, order.percentiles) as scene:
        grid = Grid(scene.size_hw, order.window_px, order.overlap_px)
        generator = MaskGenerator(order.predictor, **order.settings, memory_budget=order.memory_budget)
        across, count = len(grid.lefts), min(sample, len(grid))
        numbers = [place * len(grid) // count for place in range(count)]
        masks = empty = 0
        read_s = segment_s = 0.0
        for number in numbers:
            window = grid.row(number // across)[number % across]
            start = time.perf_counter()
            view = scene.read(window)
            read = time.perf_counter()
            empty += view.valid is not None and not view.valid.any()
            masks += len(pieces_of(generator, view, window, scene.size_hw))
            read_s, segment_s = read_s + read - start, segment_s + time.perf_counter() - read
    height, width = grid.size_hw
    return RasterEstimate(width, height, len(grid), count, empty, masks / count, read_s / count, segment_s / count)
