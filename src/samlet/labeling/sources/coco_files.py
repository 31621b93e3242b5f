"""COCO files as sources: the images they list, and boxes that a detector found in them, as COCO results."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samlet.data.coco import parse_samples
from samlet.data.detections import read_detections
from samlet.data.sample import Detection, Sample
from samlet.errors import DataError
from samlet.labeling.items import Item, ItemPrompts, ObjectPrompt
from samlet.labeling.sources.reading import ReadsItems
from samlet.labeling.sources.stores import Entry, canonical, folder_of, is_url, joined, look, opened
from samlet.reading import decoding


@dataclass(frozen=True)
class CocoSource(ReadsItems):
    """The images of a COCO file; an image's id is its `file_name`.

    They lie in the folder or at the URL `images`; "" is the file's own folder. `detections` is a file of COCO results,
    whose boxes are the prompts, with the names of their categories; "" brings none. The file's own masks are not
    looked at. DataError for what is no COCO file, and results of another data set.
    """

    name: str
    images: str = ""
    detections: str = ""

    def items(self) -> Iterator[Item]:
        """By COCO's ids of the images."""
        with opened(self.name) as (file, _), decoding(self.name, "JSON"):
            content = json.load(file, object_hook=_without_masks)
        places, names, samples = _parsed(content, Path(self.name))
        root = canonical(self.images or folder_of(self.name))
        found = self._found(samples, names)
        for sample in samples:
            written = places[sample.image_id]
            path = joined(root, written)
            entry = Entry(path) if is_url(path) else look(path)
            yield Item(written, *entry, prompts=None if found is None else found.get(sample.image_id or 0, ()))

    def _found(self, samples: list[Sample], names: Mapping[int, str]) -> dict[int, ItemPrompts] | None:
        if not self.detections:
            return None
        if not names:
            raise DataError(f"{self.name} lists no categories, which the detections of {self.detections} name.")
        sizes_hw = {sample.image_id: sample.size_hw for sample in samples if sample.image_id is not None}
        found = read_detections(Path(self.detections), sizes_hw, names)
        return {
            number: tuple(_asked(detection, sizes_hw[number], names[detection.category_id]) for detection in each)
            for number, each in found.items()
        }


def _parsed(content: Any, path: Path) -> tuple[dict[int | None, str], dict[int, str], list[Sample]]:
    """What each image's file is called, the categories' names, and the images."""
    if isinstance(content, list):
        raise DataError(f"{path} is a list, as detectors write it: give it to --detections, and the images' file here.")
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise DataError(f"{path} has no list 'images': it is no COCO file.")
    content["annotations"] = []
    samples = parse_samples(content, path)  # which refuses what is none of records
    images = [image for image in content["images"] if isinstance(image, dict)]
    categories = [each for each in content.get("categories") or () if isinstance(each, dict)]
    places = {image.get("id"): str(image.get("file_name")) for image in images}
    return places, {each["id"]: str(each.get("name")) for each in categories}, samples


def _asked(detection: Detection, size_hw: tuple[int, int], label: str) -> ObjectPrompt:
    """A box within the image: detectors let theirs hang over the border."""
    x, y, width, height = detection.box_xywh
    box = max(0.0, x), max(0.0, y), min(x + width, float(size_hw[1])), min(y + height, float(size_hw[0]))
    return ObjectPrompt(box_xyxy=box, label=label)


def _without_masks(record: dict[str, Any]) -> dict[str, Any]:
    """Masks may be most of the file."""
    record.pop("segmentation", None)
    return record
