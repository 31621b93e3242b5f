"""labelme annotations: one JSON file per image, its shapes drawn by hand.

Layout from labelme's own files (5.x): `shapes` of `{label, points, shape_type, group_id}`, `imagePath` from the file's
folder, `imageHeight` and `imageWidth` of the upright image. Shapes of one label and one `group_id` are parts of one
object. Points and lines enclose nothing, so they are no masks. Shapes of models hold a PNG of their box (`mask`), and
X-AnyLabeling writes rectangles of four corners. A file may hold its image (`imageData`), which counts where the image
that it names is gone.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.data.fields import is_number, load_json, parse_size_hw
from samlet.data.sample import Annotation, Opened, Sample, Stored, source_of
from samlet.errors import DataError, ImageError
from samlet.geometry.outlines import as_one_ring
from samlet.geometry.rle import Rle, area, encode_window, from_polygons, to_box, union
from samlet.images import decode_image, decode_levels
from samlet.masks import MaskSet
from samlet.reading import decoding, is_file, shown

_WITHOUT_AREA = frozenset({"point", "points", "line", "linestrip"})
_RECTANGLES = frozenset({"rectangle", "rotation", "oriented_rectangle"})  # 2 corners, or all 4 where it may be turned
_CIRCLE_CORNERS = 128  # of a radius of 500 px no point of the rim is off by more than 0.2 px
_WRITTEN_VERSION = "5.5.0"  # of the layout: labelme reads files of its own and of earlier versions

Polygon = list[float]


@dataclass(frozen=True)
class EmbeddedImage:
    """The image inside a labelme file (`imageData`), read when it is asked for; `name` is what the file calls it."""

    record: Path
    name: str

    @property
    def place(self) -> PurePath:
        """The labelme file, as a folder that holds the image."""
        return self.record / PureWindowsPath(self.name).name

    def __call__(self) -> NDArray[np.uint8]:
        """The image as uint8 RGB [H, W, 3]; DataError or ImageError if it is damaged."""
        content = load_json(self.record)
        coded = content.get("imageData") if isinstance(content, dict) else None
        return decode_image(_from_base64(coded, str(self)), str(self))

    def __str__(self) -> str:
        return f"{self.record}, imageData"


def is_labelme(content: Any) -> bool:
    """Whether a decoded file is labelme's."""
    return isinstance(content, dict) and "shapes" in content


def read_beside(content: Any, path: Path) -> Opened:
    """The image that a decoded labelme file names, looked for from the file's folder, with its masks."""
    named = content.get("imagePath")
    if not isinstance(named, str) or not named:
        raise DataError(f"{path} has imagePath {shown(named)}; it must name the image.")
    # labelme on Windows writes backslashes; a file that was moved together with its image keeps an old folder.
    places = [path.parent / PureWindowsPath(named).as_posix(), path.parent / PureWindowsPath(named).name]
    image = next((place for place in places if is_file(place)), None)
    if image is None:
        if not content.get("imageData"):
            return Opened([], [named])
        image = EmbeddedImage(path, named)
    return Opened([parse_record(content, path.stem, image, str(path))], [])


def parse_record(content: Any, name: str, image: Path | Stored, where: str) -> Sample:
    """A decoded labelme file as a Sample of that image; errors call the file `where` and name the shape."""
    shapes = content["shapes"]
    if not isinstance(shapes, list):
        raise DataError(f"{where} has 'shapes' that are no list: it is not a labelme file.")
    stated = {"height": content.get("imageHeight"), "width": content.get("imageWidth")}
    size_hw = parse_size_hw(stated, where)
    objects: dict[Any, list[Rle]] = {}
    for index, shape in enumerate(shapes):
        rle = _rle(shape, size_hw, f"{where}, shape {index}")
        if rle is not None:
            group = shape.get("group_id")
            key = index if group is None else (str(shape.get("label")), str(group))
            objects.setdefault(key, []).append(rle)
    labels = {key: shapes[key].get("label") if isinstance(key, int) else key[0] for key in objects}
    annotations = tuple(
        _annotation(number, union(parts), labels[key]) for number, (key, parts) in enumerate(objects.items())
    )
    return Sample(name, source_of(name), image, size_hw, annotations)


def _annotation(number: int, rle: Rle, label: Any) -> Annotation:
    left, top, width, height = to_box(rle)
    return Annotation(number, rle, (left, top, width, height), float(area(rle)), None if label is None else str(label))


def _rle(shape: Any, size_hw: tuple[int, int], where: str) -> Rle | None:
    """The mask of a shape; None if it encloses nothing by its kind."""
    if not isinstance(shape, dict):
        raise DataError(f"{where} is {shown(shape)}; it must be a record with points and a shape_type.")
    kind = shape.get("shape_type") or "polygon"  # files before version 4 know polygons only
    if not isinstance(kind, str):
        raise DataError(f"{where} has shape_type {shown(kind)}; it must be text.")
    if kind in _WITHOUT_AREA:
        return None
    if kind not in ("polygon", "circle", "mask", *_RECTANGLES):
        raise DataError(f"{where} has shape_type {shown(kind)}; samlet reads polygons, rectangles, circles and masks.")
    points = _points(shape.get("points"), where)
    if kind == "mask":
        return _drawn(shape.get("mask"), points, size_hw, where)
    try:
        return from_polygons([_rim(kind, points, where)], size_hw)
    except DataError as error:
        raise DataError(f"{where} ({shown(shape.get('label'))}): {error}") from error


def _rim(kind: str, points: list[tuple[float, float]], where: str) -> Polygon:
    """The rim [x0, y0, x1, y1, …] of a shape of lines, in pixels."""
    turned = kind in _RECTANGLES and len(points) == 4
    if kind == "polygon" or turned:
        if len(points) < 3:
            raise DataError(f"{where} is a polygon of {len(points)} points; it needs 3 or more.")
        return [coordinate for point in points for coordinate in point]
    if len(points) != 2:
        raise DataError(f"{where} is a {kind} of {len(points)} points; it has 2{' or 4' if kind != 'circle' else ''}.")
    return _circle(*points) if kind == "circle" else _rectangle(*points)


def _drawn(coded: Any, points: list[tuple[float, float]], size_hw: tuple[int, int], where: str) -> Rle:
    """A mask as labelme's models draw it: a PNG of the box between two corners, both of which it covers."""
    where = f"{where}, mask"
    if len(points) != 2:
        raise DataError(f"{where} lies between {len(points)} corners; it needs 2.")
    try:
        pixels = decode_levels(_from_base64(coded, where), where) > 0
    except ImageError as error:
        raise DataError(str(error)) from error
    (x0, y0), (x1, y1) = points
    left, top = round(min(x0, x1)), round(min(y0, y1))
    wide, high = round(max(x0, x1)) - left, round(max(y0, y1)) - top
    if pixels.shape not in ((high + 1, wide + 1), (high, wide)):
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        raise DataError(f"{where} has {size} pixels, which is not the box of {wide} x {high} between its corners.")
    height, width = size_hw
    inside = pixels[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    return encode_window(np.ascontiguousarray(inside), (min(max(left, 0), width), min(max(top, 0), height)), size_hw)


def _from_base64(coded: Any, where: str) -> bytes:
    if not isinstance(coded, str) or not coded:
        raise DataError(f"{where} holds no picture; it must be a PNG or JPEG in base64.")
    with decoding(where, "base64"):
        return base64.b64decode(coded, validate=True)


def _points(points: Any, where: str) -> list[tuple[float, float]]:
    if not isinstance(points, list):
        raise DataError(f"{where} has points {shown(points)}; they must be a list of [x, y].")
    for point in points:
        if not (isinstance(point, list) and len(point) == 2 and all(map(is_number, point))):
            raise DataError(f"{where} has point {shown(point)}; it must be [x, y] in pixels.")
    return [(float(x), float(y)) for x, y in points]


def _rectangle(corner: tuple[float, float], opposite: tuple[float, float]) -> Polygon:
    (x0, y0), (x1, y1) = corner, opposite
    return [x0, y0, x1, y0, x1, y1, x0, y1]


def _circle(center: tuple[float, float], rim: tuple[float, float]) -> Polygon:
    radius = math.dist(center, rim)
    angles = [2 * math.pi * i / _CIRCLE_CORNERS for i in range(_CIRCLE_CORNERS)]
    return [c for a in angles for c in (center[0] + radius * math.cos(a), center[1] + radius * math.sin(a))]


def to_record(
    masks: MaskSet, image_path: str, labels: str | Sequence[str], tolerance_px: float = 1.0
) -> dict[str, Any]:
    """A labelme file, ready for `json.dump`: a polygon for each connected part, those of one mask in one group.

    `labels` is one for all masks or one for each; `image_path` is the image's place as seen from the file's folder.
    labelme knows no holes: each is reached over a bridge of no width. Empty masks have no shape.
    """
    height, width = masks.size_hw
    shapes = []
    each = [labels] * len(masks) if isinstance(labels, str) else labels
    for number, (mask, label) in enumerate(zip(masks, each, strict=True)):
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
