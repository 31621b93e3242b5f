"""Manifests: a table with a row for each image, as Parquet, CSV or JSON lines; read row by row, whatever its length.

Columns: `path` (or `url`; from the manifest's folder, absolute, or a URL) and, as far as they are there, `image_id`,
`boxes_xyxy` [[x0, y0, x1, y1], …], `points_xy` [[x, y], …] of one object or a list of those for each, `point_labels`
in the same form, `label` (one for all objects, or a list), `size_bytes`, `version`. In CSV lists are written as JSON.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from samlet.data.fields import is_box, is_number
from samlet.errors import DataError
from samlet.extras import import_with_extra
from samlet.files import sha256_of
from samlet.labeling.items import Item, ItemPrompts, ObjectPrompt
from samlet.labeling.sources.reading import ReadsItems
from samlet.labeling.sources.stores import Entry, canonical, find, folder_of, is_url, joined, look, opened
from samlet.reading import decoding, reading, shown

Row = dict[str, Any]

_PATHS = ("path", "url")
_LISTS = ("boxes_xyxy", "points_xy", "point_labels")
_COLUMNS = (*_PATHS, "image_id", *_LISTS, "label", "size_bytes", "version")
_ROWS_AT_ONCE = 10_000


@dataclass(frozen=True)
class ManifestSource(ReadsItems):
    """The images that a manifest lists; an image's id is its `image_id`, else its path as written.

    Relative paths are seen from `images` if that is given, else from the manifest's folder. DataError for a manifest
    without `path` or `url`, an empty one and rows that make no sense.
    """

    name: str
    images: str = ""

    def items(self) -> Iterator[Item]:
        """Row by row."""
        root = canonical(self.images or folder_of(self.name))
        number = 0
        with opened(self.name) as (file, _):
            for number, row in enumerate(_rows(file, self.name), start=1):
                where = f"{self.name}, row {number}"
                with decoding(where, "an image of a manifest"):
                    item = _item(row, root, where)
                yield item
        if not number:
            raise DataError(f"{self.name} lists no image.")

    def state(self) -> str | None:
        """The manifest's own: whether an image has changed that it lists, is not looked at."""
        if not is_url(self.name):
            with reading(self.name, "a manifest"):
                return sha256_of(Path(self.name))
        found = find(self.name)
        return found.version if found is not None and found.version else None


def is_manifest(name: str) -> bool:
    """Whether a file is a manifest by its name."""
    return _suffix(name) in _READERS


def _rows(file: BinaryIO, name: str) -> Iterator[Row]:
    """The rows, of which some thousand are read at a time."""
    rows = _READERS[_suffix(name)](file, name)
    while True:
        with decoding(name, "a manifest"):
            some = list(islice(rows, _ROWS_AT_ONCE))
        if not some:
            return
        yield from some


def _suffix(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[2].lower()


def _parquet(file: BinaryIO, name: str) -> Iterator[Row]:
    parquet = import_with_extra("pyarrow.parquet", "label", "Reading Parquet")
    table = parquet.ParquetFile(file)
    columns = table.schema_arrow.names
    _check_columns(columns, name)
    for batch in table.iter_batches(_ROWS_AT_ONCE, columns=[column for column in _COLUMNS if column in columns]):
        yield from batch.to_pylist()


def _csv(file: BinaryIO, name: str) -> Iterator[Row]:
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    try:
        rows = csv.DictReader(text)
        _check_columns(rows.fieldnames or (), name)
        for number, row in enumerate(rows, start=1):
            yield _from_text(row, f"{name}, row {number}")
    finally:
        text.detach()  # else it closes the file, which is not its own


def _from_text(row: Row, where: str) -> Row:
    """A row of CSV, its lists read; an empty cell is none at all, but an empty list of boxes says there is nothing."""
    lists = {key: _json(row[key], f"{where}, {key}") for key in _LISTS if row.get(key)}
    if (row.get("label") or "").startswith("["):
        lists["label"] = _json(row["label"], f"{where}, label")
    return {key: value for key, value in row.items() if value != "" or key in _LISTS} | lists


def _json_lines(file: BinaryIO, name: str) -> Iterator[Row]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            row = _json(line.decode("utf-8-sig"), f"{name}, line {number}")
            if not isinstance(row, dict):
                raise DataError(f"{name}, line {number} is {shown(row)}; it must be a record with 'path' or 'url'.")
            if number == 1:
                _check_columns(tuple(row), name)
            yield row


_READERS: dict[str, Callable[[BinaryIO, str], Iterator[Row]]] = {
    "parquet": _parquet,
    "csv": _csv,
    "jsonl": _json_lines,
    "ndjson": _json_lines,
}


def _check_columns(columns: Sequence[str], name: str) -> None:
    if not any(column in columns for column in _PATHS):
        raise DataError(f"{name} has no column 'path' or 'url'; it has {', '.join(map(shown, columns)) or 'none'}.")


def _item(row: Mapping[str, Any], root: str, where: str) -> Item:
    written = next((row[key] for key in _PATHS if row.get(key)), None)
    if not isinstance(written, str):
        raise DataError(f"{where} has the path {shown(written)}; it must be a path or a URL.")
    path = joined(root, written)
    size, version = row.get("size_bytes"), row.get("version")
    found = Entry(path) if is_url(path) else look(path)
    return Item(
        str(row.get("image_id") or written),
        path,
        int(size) if size not in (None, "") else found.size_bytes,
        str(version) if version not in (None, "") else found.version,
        _prompts(row, where),
    )


def _prompts(row: Mapping[str, Any], where: str) -> ItemPrompts | None:
    """None if the manifest has no column of prompts: where it has one, an empty cell asks for nothing."""
    if "boxes_xyxy" not in row and "points_xy" not in row:
        return None
    boxes = [_box(box, where) for box in row.get("boxes_xyxy") or ()]
    points = _by_object(row.get("points_xy") or (), where)
    labels = _labels(row.get("point_labels"), points, where)
    count = len(boxes) or len(points)
    if points and len(points) != count:
        raise DataError(f"{where} has {len(boxes)} boxes and points for {len(points)}: give each box its points.")
    names = _names(row.get("label"), count, where)
    each = range(count)
    return tuple(
        ObjectPrompt(
            boxes[index] if boxes else None,
            points[index] if points else (),
            labels[index] if points else (),
            label=names[index],
        )
        for index in each
    )


def _box(box: Any, where: str) -> tuple[float, float, float, float]:
    if not is_box(box):
        raise DataError(f"{where} has the box {shown(box)}; boxes_xyxy is a list of [x0, y0, x1, y1] in pixels.")
    x0, y0, x1, y1 = map(float, box)
    if not (x0 < x1 and y0 < y1):
        raise DataError(f"{where} has the box {shown(box)}, which is empty; boxes_xyxy are [x0, y0, x1, y1] in pixels.")
    return x0, y0, x1, y1


def _by_object(points: Any, where: str) -> list[tuple[tuple[float, float], ...]]:
    """Points of each object; [[x, y], …] are those of one."""
    objects = [points] if points and isinstance(points[0], list) and not isinstance(points[0][0], list) else points
    return [tuple(_point(point, where) for point in each) for each in objects]


def _point(point: Any, where: str) -> tuple[float, float]:
    if not (isinstance(point, list) and len(point) == 2 and all(map(is_number, point))):
        raise DataError(f"{where} has the point {shown(point)}; points_xy is a list of [x, y] in pixels.")
    return float(point[0]), float(point[1])


def _labels(labels: Any, points: Sequence[Sequence[Any]], where: str) -> list[tuple[int, ...]]:
    if labels in (None, "", []):
        return [(1,) * len(each) for each in points]
    nested = labels if isinstance(labels[0], list) else [labels]
    if [len(each) for each in nested] != [len(each) for each in points] or any(
        label not in (0, 1) for each in nested for label in each
    ):
        raise DataError(f"{where} has the point_labels {shown(labels)}; give 1 or 0 for each point of points_xy.")
    return [tuple(map(int, each)) for each in nested]


def _names(label: Any, count: int, where: str) -> list[str | None]:
    if label is None or isinstance(label, str):
        return [label or None] * count
    if not isinstance(label, list) or len(label) != count:
        raise DataError(f"{where} has the label {shown(label)}; give one name, or a list of one for each object.")
    return [None if name is None else str(name) for name in label]


def _json(text: Any, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where} cannot be read as JSON ({error}).") from error
