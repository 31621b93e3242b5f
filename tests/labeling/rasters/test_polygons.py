"""Masks as polygons."""

import numpy as np
import pytest

from samlet.geometry.rle import encode
from samlet.geometry.runs import Runs
from samlet.labeling.rasters import polygons as module
from samlet.labeling.rasters.polygons import Outlines
from samlet.labeling.rasters.scene import Georeference

features = pytest.importorskip("rasterio.features", reason='needs ".[raster]"')
shapely = pytest.importorskip("shapely", reason='needs ".[raster]"')

PIXELS = Georeference(None, (1, 0, 0, 0, 1, 0))


def _runs(mask, corner_xy=(0, 0)):
    return Runs.of(encode(np.asarray(mask, bool)), corner_xy)


def _filled(polygon, size_hw):
    return features.geometry_mask([polygon], size_hw, (1, 0, 0, 0, 1, 0), invert=True)


def _blobs(seed, size_hw=(60, 80)):
    rough = np.random.default_rng(seed).random((size_hw[0] // 4, size_hw[1] // 4)) < 0.5
    return rough.repeat(4, axis=0).repeat(4, axis=1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tile_px", [4096, 16])
def test_filled_again_they_are_the_mask_whatever_tiles_it_is_traced_in(seed, tile_px, monkeypatch):
    monkeypatch.setattr(module, "_TILE_PX", tile_px)
    mask = _blobs(seed)
    polygon = Outlines(PIXELS, 0.0).of(_runs(mask))
    assert polygon.is_valid
    assert polygon.geom_type == "MultiPolygon"
    assert polygon.area == mask.sum()
    assert np.array_equal(_filled(polygon, mask.shape), mask)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tolerance_px", [1.0, 3.0, 50.0])
def test_simplified_they_are_valid_and_near(seed, tolerance_px):
    mask = _blobs(seed)
    polygon, exact = (Outlines(PIXELS, tolerance).of(_runs(mask)) for tolerance in (tolerance_px, 0.0))
    assert polygon.is_valid
    assert not polygon.is_empty
    assert polygon.hausdorff_distance(exact) <= max(tolerance_px, 4) + 1e-9 or tolerance_px > 10
    assert shapely.get_num_coordinates(polygon) <= shapely.get_num_coordinates(exact)


def test_pixels_that_touch_at_a_corner_are_two_parts():
    polygon = Outlines(PIXELS, 0.0).of(_runs([[1, 0], [0, 1]]))
    assert polygon.is_valid
    assert len(polygon.geoms) == 2


def test_one_pixel_far_from_the_corner_is_a_square_on_the_map():
    place = Georeference("", (2, 0, 1000, 0, -2, 9000))
    polygon = Outlines(place).of(_runs([[1]], (50_000, 70_000)))
    assert polygon.bounds == (101_000, 9000 - 140_002, 101_002, 9000 - 140_000)
    assert polygon.area == 4
    assert polygon.geoms[0].exterior.is_ccw


def test_without_a_crs_there_is_no_area():
    outlines = Outlines(PIXELS)
    assert outlines.area_m2(outlines.of(_runs([[1]]))) is None
