"""A raster as a scene: which bands are its colors, how their values become 8 bits, where it shows nothing and lies.

Values of 8 bits are taken as they are. Others, and those of 8 bits if asked, are stretched band by band between two
percentiles of a sample. Nothing is ever decoded but the blocks under a window.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.errors import ImageError, InputError
from samlet.extras import import_with_extra
from samlet.geometry.windows import Window
from samlet.reading import reading
from samlet.scenes import View

PERCENTILES = (2.0, 98.0)
# Of GDAL's two hundred formats those that scenes come in. The others open data bases, addresses and scripts.
_DRIVERS = ("GTiff", "VRT", "JP2OpenJPEG", "PNG", "JPEG", "HFA", "ENVI")
_OPTIONS = {
    "GDAL_CACHEMAX": 256 << 20,  # bytes; of itself GDAL takes 5 % of the memory
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".none",  # what a VRT is made of lies here, not behind an address
}
_SAMPLES_PER_SIDE, _SAMPLE_PX = 8, 256  # the windows that percentiles are measured on: 4 megapixels at most


@dataclass(frozen=True)
class Georeference:
    """Where a raster lies: `crs_wkt` (None: nobody says), and (x, y) = (a, d) * column + (b, e) * row + (c, f).

    `transform` is (a, b, c, d, e, f); that of a raster without coordinates gives its pixels.
    """

    crs_wkt: str | None
    transform: tuple[float, float, float, float, float, float]

    @property
    def is_known(self) -> bool:
        """Whether the raster has map coordinates."""
        return self.crs_wkt is not None and self.transform != (1, 0, 0, 0, 1, 0)

    def to_map(self, points_xy: ArrayLike) -> NDArray[np.float64]:
        """Pixels [..., 2] (x, y from the upper left corner) as map coordinates."""
        a, b, c, d, e, f = self.transform
        return np.asarray(points_xy, np.float64) @ np.array([[a, d], [b, e]]) + (c, f)

    def to_pixels(self, points_xy: ArrayLike) -> NDArray[np.float64]:
        """Map coordinates [..., 2] as pixels."""
        a, b, c, d, e, f = self.transform
        return (np.asarray(points_xy, np.float64) - (c, f)) @ np.linalg.inv(np.array([[a, d], [b, e]]))


class RasterScene:
    """A raster file that is read by windows; close it, or use it in a `with`.

    `bands` (one or three, counted from 1; none: red, green and blue, or the first) are its colors; `percentiles` (low,
    high) stretch 8-bit values too. ImageError if the file cannot be read, InputError for bands that it has not.
    """

    def __init__(self, path: Path, bands: Sequence[int] = (), percentiles: tuple[float, float] | None = None) -> None:
        self._rasterio = import_with_extra("rasterio", "raster", "Reading a raster")
        self.path = path
        with self._reading():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", self._rasterio.errors.NotGeoreferencedWarning)
                self._dataset = self._rasterio.io.DatasetReader(str(path), driver=list(_DRIVERS))
            self.bands: tuple[int, ...] = self._chosen(tuple(bands))
            self.georeference = self._located()
            self._colors = self._palette()
            self._ranges = self._stretch(percentiles)

    def __enter__(self) -> RasterScene:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._dataset.close()

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self._dataset.height, self._dataset.width

    def read(self, window: Window, step: int = 1) -> View:
        """As `samlet.scenes.Scene.read`; with a step every step-th pixel. ImageError if the file is damaged there."""
        with self._reading():
            values, valid = self._values(window, step)
        if valid is not None and not valid.any():  # most of a mosaic: nothing is worked on
            return View(np.zeros((*valid.shape, 3), np.uint8), valid)
        if self._colors is not None:
            return View(self._colors[values[0]], valid)
        levels = [_to_8_bit(band, *limits) for band, limits in zip(values, self._ranges, strict=True)]
        pixels = np.stack(levels * 3 if len(levels) == 1 else levels, axis=-1)
        if valid is not None:
            pixels[~valid] = 0
        return View(pixels, valid)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with reading(self.path, "a raster", ImageError), self._rasterio.Env(**_OPTIONS):
            yield

    def _values(self, window: Window, step: int = 1) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """The stored values [bands, h, w], and where there are any; None: everywhere."""
        height, width = window.size_hw
        whole_hw = max(height // step, 1), max(width // step, 1)  # in whole squares of `step`; the rest is repeated
        part = self._rasterio.windows.Window(
            window.left, window.top, min(whole_hw[1] * step, width), min(whole_hw[0] * step, height)
        )
        values = self._dataset.read(self.bands, window=part, out_shape=(len(self.bands), *whole_hw))
        valid = np.isfinite(values).any(axis=0) if values.dtype.kind == "f" else None
        if any(
            "all_valid" not in {flag.name for flag in self._dataset.mask_flag_enums[band - 1]} for band in self.bands
        ):
            stored = self._dataset.read_masks(self.bands, window=part, out_shape=values.shape).any(axis=0)
            valid = stored if valid is None else valid & stored
        missing = ceil(height / step) - whole_hw[0], ceil(width / step) - whole_hw[1]
        if any(missing):
            values = np.pad(values, ((0, 0), (0, missing[0]), (0, missing[1])), mode="edge")
            valid = None if valid is None else np.pad(valid, ((0, missing[0]), (0, missing[1])), mode="edge")
        return values, valid

    def _chosen(self, bands: tuple[int, ...]) -> tuple[int, ...]:
        count = self._dataset.count
        if bands:
            if len(bands) not in (1, 3) or not all(1 <= band <= count for band in bands):
                raise InputError(
                    f"The bands are {', '.join(map(str, bands))}: give one or three of the {count} of {self.path}."
                )
            return bands
        if any(kind.startswith("complex") for kind in self._dataset.dtypes):
            raise ImageError(f"{self.path} holds complex numbers: convert it to amplitudes.")
        meanings = [color.name for color in self._dataset.colorinterp]
        if {"red", "green", "blue"} <= {*meanings}:
            return tuple(meanings.index(color) + 1 for color in ("red", "green", "blue"))
        return (1, 2, 3) if count >= 3 else (1,)

    def _located(self) -> Georeference:
        crs, (a, b, c, d, e, f, *_) = self._dataset.crs, self._dataset.transform
        return Georeference(crs.to_wkt() if crs else None, (a, b, c, d, e, f))

    def _palette(self) -> NDArray[np.uint8] | None:
        """The color of each value [256, 3] of a raster that has a palette."""
        first, *others = self.bands
        if others or self._dataset.colorinterp[first - 1].name != "palette":
            return None
        colors = np.zeros((256, 3), np.uint8)
        for value, color in self._dataset.colormap(first).items():
            colors[value] = color[:3]
        return colors

    def _stretch(self, percentiles: tuple[float, float] | None) -> list[tuple[float, float]]:
        """The values of each band that become 0 and 255."""
        if percentiles is not None and not 0 <= percentiles[0] < percentiles[1] <= 100:
            raise InputError(
                f"The stretch is {percentiles[0]:g} to {percentiles[1]:g}: give two percentiles, 0 to 100."
            )
        if percentiles is None and all(self._dataset.dtypes[band - 1] == "uint8" for band in self.bands):
            return [(0.0, 255.0)] * len(self.bands)
        sample = [values[:, valid] for values, valid in map(self._sampled, self._sample_windows())]
        seen = np.concatenate(sample, axis=1)
        if not seen.size:
            raise ImageError(f"{self.path} holds no value in any of the {len(sample)} places where it was looked at.")
        low, high = np.percentile(seen.astype(np.float64), percentiles or PERCENTILES, axis=1)
        return list(zip(low.tolist(), np.where(high > low, high, low + 1).tolist(), strict=True))

    def _sampled(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        values, valid = self._values(window)
        valid = np.ones(values.shape[1:], bool) if valid is None else valid
        return values, valid & (np.isfinite(values).all(axis=0) if values.dtype.kind == "f" else True)

    def _sample_windows(self) -> list[Window]:
        """Windows spread over the raster, the same each time."""
        (lefts, rights), (tops, bottoms) = (_spread(length) for length in reversed(self.size_hw))
        return [
            Window(left, top, right, bottom)
            for top, bottom in zip(tops, bottoms, strict=True)
            for left, right in zip(lefts, rights, strict=True)
        ]


def _spread(length: int) -> tuple[list[int], list[int]]:
    side = min(_SAMPLE_PX, ceil(length / _SAMPLES_PER_SIDE))
    starts = sorted({*np.linspace(0, length - side, _SAMPLES_PER_SIDE).astype(int).tolist()})
    return starts, [start + side for start in starts]


def _to_8_bit(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    if values.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return values
    scaled = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.rint(np.nan_to_num(scaled, nan=0.0).clip(0, 255)).astype(np.uint8)
