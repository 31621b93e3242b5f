"""Masks of a raster as polygons with holes: along the edges of pixels, simplified, valid; in map coordinates; in m²."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from samlet.extras import import_with_extra
from samlet.geometry.runs import Runs
from samlet.labeling.rasters.scene import Georeference

TOLERANCE_PX = 1.0
SMALLEST_SHARE = 0.05  # of the root of a mask's area: a pixel more would make a triangle of a small square
_TILE_PX = 4096  # of the side of what is traced at once: 17 MB of pixels


@dataclass(frozen=True)
class Outlines:
    """Outlines of masks in the coordinates of a raster, as shapely geometries.

    `tolerance_px` is how far from the edges of pixels they may run (Douglas and Peucker, topology kept), less for small
    masks; with 0 they follow them.
    """

    georeference: Georeference
    tolerance_px: float = TOLERANCE_PX

    def of(self, runs: Runs) -> Any:
        """The MultiPolygon of a mask: pixels that touch along an edge are one part; it is valid, and not empty."""
        shapely = self._shapely
        parts = shapely.union_all(list(self._parts(runs)))
        tolerance = min(self.tolerance_px, SMALLEST_SHARE * runs.area_px**0.5)
        simple = shapely.simplify(parts, tolerance, preserve_topology=True) if tolerance else parts
        if simple.is_empty or not simple.is_valid:
            simple = parts
        placed = shapely.transform(simple, self.georeference.to_map)
        polygons = [placed] if placed.geom_type == "Polygon" else list(placed.geoms)
        return shapely.orient_polygons(shapely.MultiPolygon(polygons))

    def area_m2(self, geometry: Any) -> float | None:
        """The area on the ellipsoid of the CRS in m²; None without a CRS, or with one that is not of the earth."""
        if self._geodesic is None:
            return None
        geod, to_degrees = self._geodesic
        on_earth = self._shapely.transform(
            geometry, lambda points_xy: np.stack(to_degrees.transform(*points_xy.T), axis=1)
        )
        area, _ = geod.geometry_area_perimeter(self._shapely.orient_polygons(on_earth))
        return abs(float(area)) if np.isfinite(area) else None

    def _parts(self, runs: Runs) -> Iterator[Any]:
        """Polygons of a mask in pixels, cut where tiles meet."""
        features = import_with_extra("rasterio.features", "raster", "Writing polygons")
        left, top, right, bottom = runs.box_xyxy
        for y in range(top, bottom, _TILE_PX):
            for x in range(left, right, _TILE_PX):
                tile = (x, y, min(x + _TILE_PX, right), min(y + _TILE_PX, bottom))
                mask = runs.window(tile)
                if mask.any():
                    for shape, _ in features.shapes(mask.view(np.uint8), mask=mask, connectivity=4):
                        outer, *holes = (np.add(ring, (x, y)) for ring in shape["coordinates"])
                        yield self._shapely.Polygon(outer, holes)

    @cached_property
    def _shapely(self) -> Any:
        return import_with_extra("shapely", "raster", "Writing polygons")

    @cached_property
    def _geodesic(self) -> tuple[Any, Any] | None:
        """The ellipsoid, and the way from map coordinates to degrees (longitude, latitude) on it."""
        if not self.georeference.is_known:
            return None
        pyproj = import_with_extra("pyproj", "raster", "Measuring areas")
        crs = pyproj.CRS.from_wkt(self.georeference.crs_wkt)
        geod, degrees = crs.get_geod(), crs.geodetic_crs
        if geod is None or degrees is None:
            return None
        return geod, pyproj.Transformer.from_crs(crs, degrees, always_xy=True)
