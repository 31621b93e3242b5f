"""labelme annotations: one JSON file per image, its shapes drawn by hand.

Layout from labelme's own files (5.x): `shapes` of `{label, points, shape_type, group_id}`, `imagePath` from the file's
folder, `imageHeight` and `imageWidth` of the upright image. Shapes of one label and one `group_id` are parts of one
object. Points and lines enclose nothing, so they are no masks.
"""

from __future__ import annotations

import math
from pathlib import Path, PureWindowsPath
from typing import Any

from samlet.data.fields import is_number, parse_size_hw
from samlet.data.sample import Annotation, Opened, Sample, source_of
from samlet.errors import DataError
from samlet.geometry.outlines import as_one_ring
from samlet.geometry.rle import area, from_polygons, to_box
from samlet.masks import MaskSet

_WITHOUT_AREA = frozenset({"point", "points", "line", "linestrip"})
_CIRCLE_CORNERS = 128  # of a radius of 500 px no point of the rim is off by more than 0.2 px
_WRITTEN_VERSION = "5.5.0"  # of the layout: labelme reads files of its own and of earlier versions

Polygon = list[float]


def is_labelme(content: Any) -> bool:
    """Whether a decoded file is labelme's."""
    return isinstance(content, dict) and "shapes" in content


def read_beside(content: Any, path: Path) -> Opened:
    """The image that a decoded labelme file names, looked for from the file's folder, with its masks."""
    named = content.get("imagePath")
    if not isinstance(named, str) or not named:
        raise DataError(f"{path} has imagePath {named!r}; it must name the image.")
    # labelme on Windows writes backslashes; a file that was moved together with its image keeps an old folder.
    places = [path.parent / PureWindowsPath(named).as_posix(), path.parent / PureWindowsPath(named).name]
    image = next((place for place in places if place.is_file()), None)
    if image is None:
        return Opened([], [named])
    return Opened([parse_record(content, path.stem, image, str(path))], [])


def parse_record(content: Any, name: str, image: Path, where: str) -> Sample:
    """A decoded labelme file as a Sample of that image; errors call the file `where` and name the shape."""
    shapes = content["shapes"]
    if not isinstance(shapes, list):
        raise DataError(f"{where} has 'shapes' that are no list: it is not a labelme file.")
    stated = {"height": content.get("imageHeight"), "width": content.get("imageWidth")}
    size_hw = parse_size_hw(stated, where)
    objects: dict[Any, list[Polygon]] = {}
    for index, shape in enumerate(shapes):
        polygon = _polygon(shape, f"{where}, shape {index}")
        if polygon is not None:
            group = shape.get("group_id")
            key = index if group is None else (str(shape.get("label")), str(group))
            objects.setdefault(key, []).append(polygon)
    labels = {key: shapes[key].get("label") if isinstance(key, int) else key[0] for key in objects}
    annotations = tuple(
        _annotation(number, parts, labels[key], size_hw, where) for number, (key, parts) in enumerate(objects.items())
    )
    return Sample(name, source_of(name), image, size_hw, annotations)


def _annotation(number: int, parts: list[Polygon], label: Any, size_hw: tuple[int, int], where: str) -> Annotation:
    try:
        rle = from_polygons(parts, size_hw)
    except DataError as error:
        raise DataError(f"{where}, object {number} ({label!r}): {error}") from error
    left, top, width, height = to_box(rle)
    return Annotation(number, rle, (left, top, width, height), float(area(rle)), None if label is None else str(label))


def _polygon(shape: Any, where: str) -> Polygon | None:
    """A shape's rim [x0, y0, x1, y1, …] in pixels; None if it encloses nothing by its kind."""
    if not isinstance(shape, dict):
        raise DataError(f"{where} is {shape!r}; it must be a record with points and a shape_type.")
    kind = shape.get("shape_type") or "polygon"  # files before version 4 know polygons only
    if kind in _WITHOUT_AREA:
        return None
    if kind not in ("polygon", "rectangle", "circle"):
        raise DataError(f"{where} has shape_type {kind!r}; samlet reads polygons, rectangles and circles.")
    points = _points(shape.get("points"), where)
    if kind == "polygon":
        if len(points) < 3:
            raise DataError(f"{where} is a polygon of {len(points)} points; it needs 3 or more.")
        return [coordinate for point in points for coordinate in point]
    if len(points) != 2:
        raise DataError(f"{where} is a {kind} of {len(points)} points; it has 2.")
    return _rectangle(*points) if kind == "rectangle" else _circle(*points)


def _points(points: Any, where: str) -> list[tuple[float, float]]:
    if not isinstance(points, list):
        raise DataError(f"{where} has points {points!r}; they must be a list of [x, y].")
    for point in points:
        if not (isinstance(point, list) and len(point) == 2 and all(map(is_number, point))):
            raise DataError(f"{where} has point {point!r}; it must be [x, y] in pixels.")
    return [(float(x), float(y)) for x, y in points]


def _rectangle(corner: tuple[float, float], opposite: tuple[float, float]) -> Polygon:
    (x0, y0), (x1, y1) = corner, opposite
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def _circle(center: tuple[float, float], rim: tuple[float, float]) -> Polygon:
    radius = math.dist(center, rim)
    angles = [2 * math.pi * i / _CIRCLE_CORNERS for i in range(_CIRCLE_CORNERS)]
    return [c for a in angles for c in (center[0] + radius * math.cos(a), center[1] + radius * math.sin(a))]


def to_record(masks: MaskSet, image_path: str, label: str, tolerance_px: float = 1.0) -> dict[str, Any]:
    """A labelme file, ready for `json.dump`: a polygon for each connected part, those of one mask in one group.

    `image_path` is the image's place as seen from the file's folder. labelme knows no holes: each is reached over a
    bridge of no width. Empty masks have no shape.
    """
    height, width = masks.size_hw
    shapes = []
    for number, mask in enumerate(masks):
        polygons = mask.polygons(tolerance_px)
        group = number if len(polygons) > 1 else None
        shapes += [_shape(as_one_ring(polygon).tolist(), label, group) for polygon in polygons]
    return {
        "version": _WRITTEN_VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }


def _shape(points: list[list[float]], label: str, group: int | None) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": group, "shape_type": "polygon", "flags": {}}
