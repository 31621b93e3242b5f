"""The masks of a raster as a raster of labels in its grid: a cloud-optimized GeoTIFF, 0 where no mask is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.errors import OutputError
from samlet.extras import import_with_extra
from samlet.files import aside_path, forget, output_error
from samlet.geometry.windows import Window
from samlet.labeling.rasters.scene import Georeference
from samlet.labeling.rasters.spool import MaskSpool
from samlet.reading import decoding, in_short

_BLOCK_PX = 512
_TILE_PX = 16 * _BLOCK_PX  # of the width of what is painted at once: 17 MB of labels
_CACHE = {"GDAL_CACHEMAX": 128 << 20}


def write_label_raster(path: Path, masks: MaskSpool, size_hw: tuple[int, int], georeference: Georeference) -> None:
    """Write the labels of all masks; where they overlap the smallest lies on top. OutputError if that is impossible.

    16 bits for up to 65,535 masks, else 32; tiles that are empty take no room. A second file of its size is needed
    beside it meanwhile.
    """
    rasterio = import_with_extra("rasterio", "raster", "Writing a label raster")
    rasterio_shutil = import_with_extra("rasterio.shutil", "raster", "Writing a label raster")
    painted, aside = aside_path(path), aside_path(path)
    try:
        with decoding(str(path), "a raster", OutputError), rasterio.Env(**_CACHE):
            _paint(rasterio, painted, masks, size_hw, georeference)
            rasterio_shutil.copy(
                painted, aside, driver="COG", compress="DEFLATE", overview_resampling="NEAREST", sparse_ok=True,
                blocksize=_BLOCK_PX, bigtiff="IF_SAFER",
            )  # fmt: skip
        aside.replace(path)
    except OutputError as error:
        raise OutputError(f'Cannot write "{path}": {in_short(error.__cause__ or error)}.') from error
    except OSError as error:
        raise output_error(path, error) from error
    finally:
        for made in (painted, aside):
            forget(made)


def _paint(rasterio: Any, path: Path, masks: MaskSpool, size_hw: tuple[int, int], georeference: Georeference) -> None:
    height, width = size_hw
    with rasterio.open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype=_dtype(masks), nodata=0,
        crs=georeference.crs_wkt, transform=rasterio.Affine(*georeference.transform), tiled=True, blockxsize=_BLOCK_PX,
        blockysize=_BLOCK_PX, compress="DEFLATE", sparse_ok=True, bigtiff="IF_SAFER",
    ) as file:  # fmt: skip
        for top in range(0, height, _BLOCK_PX):
            for left in range(0, width, _TILE_PX):
                tile = Window(left, top, min(left + _TILE_PX, width), min(top + _BLOCK_PX, height))
                labels = _labels(masks, tile)
                if labels is not None:
                    rows, columns = tile.size_hw
                    file.write(labels, 1, window=rasterio.windows.Window(tile.left, tile.top, columns, rows))


def _labels(masks: MaskSpool, tile: Window) -> NDArray[np.unsignedinteger] | None:
    """The labels of a tile, None if it is empty."""
    labels = None
    for number, runs in masks.in_window(tile):
        left, top, right, bottom = runs.box_xyxy
        box = (max(left, tile.left), max(top, tile.top), min(right, tile.right), min(bottom, tile.bottom))
        part = slice(box[1] - tile.top, box[3] - tile.top), slice(box[0] - tile.left, box[2] - tile.left)
        labels = np.zeros(tile.size_hw, _dtype(masks)) if labels is None else labels
        labels[part][runs.window(box)] = number
    return labels


def _dtype(masks: MaskSpool) -> type[np.unsignedinteger]:
    return np.uint16 if len(masks) <= np.iinfo(np.uint16).max else np.uint32
