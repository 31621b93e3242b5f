"""Masks in the formats of other programs: which there are, what their files are called, what is in them.

Every format is a file for each image, but COCO's, which is one file for all of them. The contents are bytes: who asks
writes them, so that all files of a run take their places together.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from samlet.data import geojson, labelme, yolo
from samlet.masks import MaskSet
from samlet.masks.mask_set import OBJECT

TextFormat = Literal["sa1b", "coco", "labelme", "yolo", "polygons", "geojson"]
SUFFIXES: dict[TextFormat, str] = {
    "sa1b": ".json",
    "labelme": ".labelme.json",
    "yolo": ".txt",
    "polygons": ".polygons.json",
    "geojson": ".geojson",
}
COCO_FILE = "annotations.coco.json"


def content(form: TextFormat, masks: MaskSet, file_name: str, image_path: str, number: int) -> bytes:
    """The file of one image in a format of `SUFFIXES`; `image_path` is its place as seen from the file's folder."""
    if form == "yolo":
        return yolo.to_text(masks).encode()
    if form == "labelme":
        return _json(labelme.to_record(masks, image_path, OBJECT))
    if form == "geojson":
        return _json(geojson.to_collection(masks, OBJECT))
    record = masks.to_json(file_name, number)
    return _json(record if form == "sa1b" else _polygons(record, masks))


def coco_content(images: Iterable[tuple[str, MaskSet]]) -> bytes:
    """One COCO file of several images: their file names and masks; ids count from 1."""
    whole: dict[str, Any] = {"images": [], "annotations": [], "categories": []}
    for number, (file_name, masks) in enumerate(images, start=1):
        one = masks.to_coco(file_name, number)
        for annotation in one["annotations"]:
            whole["annotations"].append(annotation | {"id": len(whole["annotations"]) + 1})
        whole["images"] += one["images"]
        whole["categories"] = one["categories"]
    return _json(whole)


def name_of(form: TextFormat, image: Path) -> str:
    """What the file of an image is called in a format of `SUFFIXES`."""
    return image.stem + SUFFIXES[form]


def _polygons(record: dict[str, Any], masks: MaskSet) -> dict[str, Any]:
    """An SA-1B record whose masks are outlines: for each part its outer ring, then its holes, corners [x, y]."""
    for annotation, mask in zip(record["annotations"], masks, strict=True):
        del annotation["segmentation"]
        annotation["polygons"] = [[ring.tolist() for ring in polygon] for polygon in mask.polygons()]
    return record


def _json(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
