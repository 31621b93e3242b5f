"""Masks that have names, as files of other programs: what an annotation project exports.

Every format is a folder (COCO's is one file) in which an image's file is called as the image is. `data/writing.py` has
the same formats for masks that nobody has named. Contents come in pieces and one image after the other, so that a
project of any size can be written while it is made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.data import geojson, labelme, yolo
from samlet.data.cutouts import cutout_png
from samlet.errors import InputError
from samlet.geometry import rle as run_lengths
from samlet.geometry.bands import LabelRows
from samlet.geometry.outlines import as_one_ring
from samlet.geometry.rle import Rle
from samlet.masks import Mask, MaskSet
from samlet.png import labels_png, mask_png

LABELLED_FORMATS = ("coco", "coco-polygons", "labelme", "yolo", "masks", "label-map", "cutouts", "geojson", "sa1b")
COCO_FILES = {
    "coco": "annotations.coco.json",
    "coco-polygons": "annotations.polygons.coco.json",
}
_ODD = re.compile(r"[^\w.-]+")
_LONGEST = 40  # characters of a label in a file's name
_LEAST_CORNERS = 3

Content = bytes | Iterator[bytes]


@dataclass(frozen=True)
class LabelledImage:
    """One image's masks and their names, the uppermost first; `name` is its path in the project, with `/`.

    `read` gives the image, uint8 RGB [H, W, 3]; it is asked only for cut-outs. InputError for another number of names.
    """

    name: str
    masks: MaskSet
    labels: tuple[str, ...]
    read: Callable[[], NDArray[np.uint8]]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.masks):
            raise InputError(
                f"{self.name} has {len(self.masks)} masks but {len(self.labels)} names: give one for each."
            )


def files_of(
    images: Iterable[LabelledImage], formats: Sequence[str], labels: Sequence[str]
) -> Iterator[tuple[str, Content]]:
    """The files of a project, name and content; names are relative and use `/`.

    `labels` are the names of classes in their order; those that only masks have come behind. InputError for a format
    that is none of `LABELLED_FORMATS`.
    """
    wanted = list(dict.fromkeys(map(_known, formats)))
    classes = Classes(labels)
    coco = {name: _Coco(polygons=form == "coco-polygons") for form, name in COCO_FILES.items() if form in wanted}
    for image in images:
        classes.add(image.labels)
        for whole in coco.values():
            whole.add(image, classes)
        for form in wanted:
            if form in _WRITERS:
                yield from _WRITERS[form](image, classes)
    for name, whole in coco.items():
        yield name, _json(whole.record(classes))
    if "yolo" in wanted:
        yield "yolo/data.yaml", _yolo_description(classes.names)
    if "label-map" in wanted:
        yield "label-map/classes.json", _json({str(number): name for number, name in enumerate(classes.names, 1)})


class Classes:
    """Names of classes and their numbers, from 0; new ones get the next number."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names: list[str] = list(dict.fromkeys(names))

    def add(self, names: Iterable[str]) -> None:
        """Take in names that are not there yet."""
        self.names += [name for name in dict.fromkeys(names) if name not in self.names]

    def numbers(self, names: Iterable[str]) -> list[int]:
        """The numbers of known names."""
        return [self.names.index(name) for name in names]


class _Coco:
    """One COCO file as it grows. With polygons, holes are reached over bridges of no width: COCO knows none."""

    def __init__(self, polygons: bool) -> None:
        self._polygons = polygons
        self._images: list[dict[str, Any]] = []
        self._annotations: list[dict[str, Any]] = []

    def add(self, image: LabelledImage, classes: Classes) -> None:
        height, width = image.masks.size_hw
        number = len(self._images) + 1
        self._images.append({"id": number, "width": width, "height": height, "file_name": image.name})
        for mask, category in zip(image.masks, classes.numbers(image.labels), strict=True):
            annotation = mask.to_coco(number, category + 1, len(self._annotations) + 1)
            if self._polygons:
                annotation["segmentation"] = _outlines(mask)
            if annotation["segmentation"]:
                self._annotations.append(annotation)

    def record(self, classes: Classes) -> dict[str, Any]:
        categories = [{"id": number, "name": name} for number, name in enumerate(classes.names, 1)]
        return {"images": self._images, "annotations": self._annotations, "categories": categories}


def _outlines(mask: Mask) -> list[list[float]]:
    rings = [as_one_ring(polygon) for polygon in mask.polygons()]
    return [ring.ravel().tolist() for ring in rings if len(ring) >= _LEAST_CORNERS]


def _labelme(image: LabelledImage, _: Classes) -> Iterator[tuple[str, Content]]:
    record = labelme.to_record(image.masks, PurePosixPath(image.name).name, image.labels)
    yield _place("labelme", image, ".json"), _json(record)


def _yolo(image: LabelledImage, classes: Classes) -> Iterator[tuple[str, Content]]:
    text = yolo.to_text(image.masks, classes.numbers(image.labels))
    yield _place("yolo/labels", image, ".txt"), text.encode()


def _yolo_description(names: Sequence[str]) -> bytes:
    """Ultralytics' data.yaml; names in quotes of JSON, which are YAML's too."""
    classes = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(names))
    return f"path: .\ntrain: images\nval: images\nnames:\n{classes}".encode()


def _geojson(image: LabelledImage, _: Classes) -> Iterator[tuple[str, Content]]:
    yield _place("geojson", image, ".geojson"), _json(geojson.to_collection(image.masks, image.labels))


def _sa1b(image: LabelledImage, _: Classes) -> Iterator[tuple[str, Content]]:
    yield _place("sa1b", image, ".json"), _json(image.masks.to_json(image.name))


def _masks(image: LabelledImage, _: Classes) -> Iterator[tuple[str, Content]]:
    for number, (mask, label) in enumerate(zip(image.masks, image.labels, strict=True), start=1):
        yield _place("masks", image, f"/{_numbered(number, label)}.png"), mask_png(mask.rle)


def _cutouts(image: LabelledImage, _: Classes) -> Iterator[tuple[str, Content]]:
    pixels = image.read() if len(image.masks) else None
    for number, (mask, label) in enumerate(zip(image.masks, image.labels, strict=True), start=1):
        if pixels is not None and mask.area_px:
            yield _place("cutouts", image, f"/{_numbered(number, label)}.png"), cutout_png(pixels, mask.rle)


def _label_map(image: LabelledImage, classes: Classes) -> Iterator[tuple[str, Content]]:
    """Two pictures of 16 bits: the number of the class (from 1) and of the object; the uppermost mask has the pixel."""
    size_hw = image.masks.size_hw
    apart = _apart([mask.rle for mask in image.masks])
    numbers = classes.numbers(image.labels)
    empty = run_lengths.from_counts([size_hw[0] * size_hw[1]], size_hw)
    of_class = [
        run_lengths.union([empty, *(rle for rle, number in zip(apart, numbers, strict=True) if number == wanted)])
        for wanted in range(max(numbers, default=-1) + 1)
    ]
    yield _place("label-map/classes", image, ".png"), labels_png(LabelRows(of_class, size_hw))
    yield _place("label-map/objects", image, ".png"), labels_png(LabelRows(apart, size_hw))


def _apart(masks: Sequence[Rle]) -> list[Rle]:
    """The masks without what masks above them cover."""
    apart: list[Rle] = []
    covered: Rle | None = None
    for mask in masks:
        apart.append(mask if covered is None else run_lengths.difference(mask, covered))
        covered = mask if covered is None else run_lengths.union([covered, mask])
    return apart


_WRITERS: dict[str, Callable[[LabelledImage, Classes], Iterator[tuple[str, Content]]]] = {
    "labelme": _labelme,
    "yolo": _yolo,
    "masks": _masks,
    "label-map": _label_map,
    "cutouts": _cutouts,
    "geojson": _geojson,
    "sa1b": _sa1b,
}


def _known(form: str) -> str:
    if form not in LABELLED_FORMATS:
        raise InputError(f"{form!r} is no format to export; there are {', '.join(LABELLED_FORMATS)}.")
    return form


def _place(folder: str, image: LabelledImage, suffix: str) -> str:
    """Where a file of an image goes: beside no other's, so images of one name keep what tells them apart."""
    return f"{folder}/{PurePosixPath(image.name).with_suffix('').as_posix()}{suffix}"


def _numbered(number: int, label: str) -> str:
    return f"{number:03}_{_ODD.sub('_', label)[:_LONGEST].strip('._') or 'object'}"


def _json(record: Any) -> bytes:
    return json.dumps(record).encode() + b"\n"
