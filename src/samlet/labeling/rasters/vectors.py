"""Polygons of a raster's masks as a file of a geographic information system: GeoPackage or GeoJSON, row by row."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np

from samlet.data.geojson import feature
from samlet.errors import InputError, OutputError, SamletError
from samlet.extras import import_with_extra
from samlet.files import aside_path, forget, output_error
from samlet.reading import in_short

VectorFormat = Literal["gpkg", "geojson"]
LAYER = "masks"
_ROWS_AT_ONCE = 1000
# GeoPackage notes when it was written; the same masks are to be the same bytes.
_NO_DATE = "2000-01-01T00:00:00.000Z"
_AUTHORITY = re.compile(r"[A-Z]+")


@dataclass(frozen=True)
class MaskRow:
    """One mask in the table: its number in the label raster, its polygon (shapely), and what is known of it."""

    label: int
    geometry: Any
    name: str
    predicted_iou: float | None
    stability: float | None
    area_px: int
    area_m2: float | None


class VectorWriter(Protocol):
    """Takes the rows of a file that is being written."""

    def add(self, row: MaskRow) -> None:
        """One more row."""
        ...

    def finish(self) -> None:
        """There are no more."""
        ...


@contextmanager
def vector_file(path: Path, form: VectorFormat, crs_wkt: str | None) -> Iterator[VectorWriter]:
    """A file that rows are added to in the block, and that is there when it ends well; OutputError if it cannot be.

    InputError if the form cannot say what the coordinates are.
    """
    aside = aside_path(path)
    try:
        writer: VectorWriter = (
            _GeoPackage(aside, crs_wkt) if form == "gpkg" else _GeoJson(aside.open("w"), crs_name(crs_wkt))
        )
        yield writer
        writer.finish()
        aside.replace(path)
    except SamletError:
        raise
    except OSError as error:
        raise output_error(path, error) from error
    except RuntimeError as error:  # what pyogrio's errors are
        raise OutputError(f'Cannot write "{path}": {in_short(error)}.') from error
    finally:
        forget(aside)


def crs_name(crs_wkt: str | None) -> str | None:
    """A CRS as GeoJSON of before RFC 7946 names it; None for none. InputError if no authority knows it."""
    if crs_wkt is None:
        return None
    pyproj = import_with_extra("pyproj", "raster", "Writing GeoJSON")
    known = pyproj.CRS.from_wkt(crs_wkt).to_authority()
    if known is None or not _AUTHORITY.fullmatch(known[0]):
        raise InputError("The raster's CRS is of no authority, so GeoJSON cannot name it: write a GeoPackage.")
    return f"urn:ogc:def:crs:{known[0]}::{known[1]}"


@dataclass
class _GeoPackage:
    """GDAL's file, through pyogrio."""

    path: Path
    crs_wkt: str | None
    _rows: list[MaskRow] = field(default_factory=list)
    _written: bool = False

    def add(self, row: MaskRow) -> None:
        """See `VectorWriter`."""
        self._rows.append(row)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._flush()

    def finish(self) -> None:
        """See `VectorWriter`."""
        if self._rows or not self._written:
            self._flush()

    def _flush(self) -> None:
        pyogrio = import_with_extra("pyogrio", "raster", "Writing a GeoPackage")
        shapely = import_with_extra("shapely", "raster", "Writing a GeoPackage")
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _NO_DATE})
        columns = {
            "label": np.array([row.label for row in self._rows], np.int64),
            "name": np.array([row.name for row in self._rows], object),
            "predicted_iou": _numbers([row.predicted_iou for row in self._rows]),
            "stability": _numbers([row.stability for row in self._rows]),
            "area_px": np.array([row.area_px for row in self._rows], np.int64),
            "area_m2": _numbers([row.area_m2 for row in self._rows]),
        }
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")  # the raster has none
            pyogrio.raw.write(
                self.path,
                np.array([shapely.to_wkb(row.geometry) for row in self._rows], object),
                list(columns.values()),
                list(columns),
                layer=LAYER,
                driver="GPKG",
                geometry_type="MultiPolygon",
                crs=self.crs_wkt,
                append=self._written,
            )
        self._written = True
        self._rows.clear()


@dataclass
class _GeoJson:
    """A FeatureCollection, a feature a line."""

    file: IO[str]
    crs: str | None
    _count: int = 0

    def add(self, row: MaskRow) -> None:
        """See `VectorWriter`."""
        shapely = import_with_extra("shapely", "raster", "Writing GeoJSON")
        geometry = json.loads(shapely.to_geojson(row.geometry))
        known = {
            "area_px": row.area_px,
            "area_m2": row.area_m2,
            "predicted_iou": row.predicted_iou,
            "stability_score": row.stability,
        }
        self._write(json.dumps(feature(row.label, geometry, row.name, known), separators=(",", ":")))

    def finish(self) -> None:
        """See `VectorWriter`."""
        if not self._count:
            self._write("")
        self.file.write("\n]}\n")
        self.file.close()

    def _write(self, text: str) -> None:
        if not self._count:
            crs = {"crs": {"type": "name", "properties": {"name": self.crs}}} if self.crs else {}
            start = json.dumps({"type": "FeatureCollection", **crs, "features": []})
            self.file.write(start.removesuffix("]}"))
        self.file.write((",\n" if self._count else "\n") + text)
        self._count += 1


def _numbers(values: list[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], np.float64)
