"""COCO annotations: one JSON file for a whole data set, its images in a folder beside it.

Layout from the COCO data format page: `images`, `annotations` and `categories`, joined by ids; a mask is a list of
polygons, an uncompressed run-length code (crowds) or a compressed one. LVIS adds where its images lie (`data/lvis.py`).
A mask stays run lengths, a few hundred bytes, until it is measured; polygons are packed while the file is read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from samlet.data.fields import label, parse_annotation, parse_rle, parse_size_hw
from samlet.data.sample import Annotation, Opened, Sample
from samlet.errors import DataError
from samlet.geometry.rle import Rle, from_polygons

Record: TypeAlias = dict[str, Any]


def pack_polygons(record: Record) -> Record:
    """For `load_json`: corners as doubles, a quarter of what a list of Python's numbers takes.

    What is no list of numbers stays as it is, for `read_samples` to name.
    """
    segmentation = record.get("segmentation")
    if isinstance(segmentation, list):
        record["segmentation"] = [_packed(part) for part in segmentation]
    return record


def read_samples(content: Any, path: Path, folder: Path, place_of: Callable[[Record, str], Path]) -> Opened:
    """The images of a decoded COCO file by id, with their annotations; those that are not in `folder` are missing.

    `content` is used up: its annotations are gone afterwards.
    `place_of` tells an image's path inside the folder. The source of all samples is the file's name.
    Raises DataError for an empty file, ids that do not match and damaged records; it names `path` and the record.
    """
    images = _by_id(_records(content, "images", path), "image", path)
    if not images:
        raise DataError(f"{path} lists no image: there is nothing to measure.")
    names = {number: str(item.get("name")) for number, item in _categories(content, path).items()}
    owned = _annotations_by_image(content, images, names, path)
    del content["annotations"]  # each is freed once its sample is made
    samples, missing = [], []
    for number in sorted(images):
        place = place_of(images[number], f"{path}, image {number}")
        found = _find(folder, place, split_place(images[number]))
        if found is None:
            missing.append(place.as_posix())
        else:
            samples.append(_sample(images[number], owned.pop(number, []), place, found, names, path))
    return Opened(samples, missing)


def place_of(image: Record, where: str) -> Path:
    """The path of an image inside the image folder: its `file_name`."""
    name = image.get("file_name")
    if not isinstance(name, str) or not name:
        raise DataError(f"{where} has no 'file_name'.")
    return Path(name)


def split_place(image: Record) -> Path | None:
    """The path inside COCO's folder of splits that the `coco_url` tells: `train2017/000000391895.jpg`."""
    url = image.get("coco_url")
    parts = PurePosixPath(urlsplit(url).path).parts if isinstance(url, str) else ()
    return Path(*parts[-2:]) if len(parts) > 2 else None


def _find(folder: Path, place: Path, split: Path | None) -> Path | None:
    # The folder may hold the splits, or be the one split itself.
    candidates = (place, place.name, split or place)
    return next((folder / candidate for candidate in candidates if (folder / candidate).is_file()), None)


def _sample(
    image: Record, items: list[Record], place: Path, file: Path, categories: dict[int, str], path: Path
) -> Sample:
    size_hw = parse_size_hw(image, f"{path}, image {image['id']}")
    annotations = tuple(
        _annotation(item, size_hw, categories.get(item["category_id"]) if categories else None, path) for item in items
    )
    return Sample(place.with_suffix("").as_posix(), path.stem, file, size_hw, annotations, image["id"])


def _packed(part: Any) -> Any:
    try:
        return array("d", part) if isinstance(part, list) else part
    except (TypeError, OverflowError):
        return part


def _annotation(item: Record, size_hw: tuple[int, int], category: str | None, path: Path) -> Annotation:
    where = f"{path}, annotation {item['id']}"
    if "segmentation" not in item:
        raise DataError(f"{where} has no 'segmentation': samlet measures masks, so boxes alone are not enough.")
    crowd = item.get("iscrowd", 0)
    if crowd not in (0, 1):
        raise DataError(f"{where} has iscrowd {crowd!r}; it must be 0 or 1.")
    return parse_annotation(item, _rle(item["segmentation"], size_hw, where), where, category, bool(crowd))


def _rle(segmentation: Any, size_hw: tuple[int, int], where: str) -> Rle:
    if not isinstance(segmentation, list):
        return parse_rle(segmentation, size_hw, where)
    try:
        return from_polygons(segmentation, size_hw)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error


def _records(content: Any, key: str, path: Path) -> list[Record]:
    records = content.get(key) if isinstance(content, dict) else None
    if not isinstance(records, list):
        raise DataError(f"{path} has no list {key!r}: it is not a COCO or LVIS annotation file.")
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise DataError(f"{path}: number {index} of {key!r} is not a record but {record!r}.")
    return records


def _by_id(records: Iterable[Record], kind: str, path: Path) -> dict[int, Record]:
    by_id: dict[int, Record] = {}
    for index, record in enumerate(records):
        number = record.get("id")
        if not isinstance(number, int):
            raise DataError(f"{path}: {kind} number {index} has id {number!r}; it must be a whole number.")
        if number in by_id:
            raise DataError(f"{path} has two {kind}s with id {number}; ids must differ.")
        by_id[number] = record
    return by_id


def _categories(content: Any, path: Path) -> dict[int, Record]:
    # Class-agnostic files leave them out.
    return _by_id(_records(content, "categories", path), "category", path) if "categories" in content else {}


def _annotations_by_image(
    content: Any, images: dict[int, Record], categories: dict[int, str], path: Path
) -> dict[int, list[Record]]:
    items = _by_id(_records(content, "annotations", path), "annotation", path).values()
    _check_ids(items, "image_id", images, path)
    if categories:
        _check_ids(items, "category_id", categories, path)
    owned: dict[int, list[Record]] = {}
    for item in items:
        owned.setdefault(item["image_id"], []).append(item)
    return owned


def _check_ids(items: Iterable[Record], key: str, known: dict[int, Any], path: Path) -> None:
    strangers = [item for item in items if not isinstance(item.get(key), int) or item[key] not in known]
    if strangers:
        first = strangers[0]
        raise DataError(
            f"{path}: {len(strangers)} annotations have a {key} that the file does not list, the first is annotation "
            f"{label(first, 0)} with {first.get(key)!r}; the file is damaged or put together from two."
        )
