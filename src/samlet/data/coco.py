"""COCO annotations: one JSON file for a whole data set, its images in a folder beside it.

Layout from the COCO data format page: `images`, `annotations` and `categories`, joined by ids; a mask is a list of
polygons, an uncompressed run-length code (crowds) or a compressed one. LVIS adds where its images lie (`data/lvis.py`).
A mask stays run lengths, a few hundred bytes, until it is measured; polygons are packed while the file is read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from samlet.data.broken import Broken
from samlet.data.fields import is_box, label, parse_annotation, parse_rle, parse_size_hw
from samlet.data.matching import ImageFolder, parts_of
from samlet.data.sample import Annotation, Opened, Sample
from samlet.errors import DataError
from samlet.geometry.rle import Rle, from_polygons
from samlet.reading import shown

Record: TypeAlias = dict[str, Any]

_PIXELS = 2  # a box larger than that cannot belong to a polygon inside one pixel
_SEVERAL = 8


def pack_polygons(record: Record) -> Record:
    """For `load_json`: corners as doubles, a quarter of what a list of Python's numbers takes.

    What is no list of numbers stays as it is, for `read_samples` to name.
    """
    segmentation = record.get("segmentation")
    if isinstance(segmentation, list):
        record["segmentation"] = [_packed(part) for part in segmentation]
    return record


def read_samples(
    content: Any,
    path: Path,
    folder: Path,
    place_of: Callable[[Record, str], str],
    tell: Callable[[str], None],
    broken: Broken | None = None,
) -> Opened:
    """The images of a decoded COCO file by id, with their annotations; those that are not in `folder` are missing.

    `content` is used up: its annotations are gone afterwards.
    `place_of` tells an image's path inside the folder; `tell` hears of images that are found by an end of it only. The
    source of all samples is the file's name. Annotations that cannot be read are `broken` (None: that is an error).
    Raises DataError for an empty file, ids that do not match, damaged records and a file that two images share; it
    names `path` and the record.
    """
    broken = Broken() if broken is None else broken
    images, names, owned = _checked(content, path, broken)
    places = {number: place_of(images[number], f"{path}, image {number}") for number in sorted(images)}
    files = ImageFolder(folder, places.values())
    samples, missing = [], []
    taken: dict[Path, int] = {}
    for number, place in places.items():
        found = files.find(place, split_place(images[number]))
        if found is None:
            missing.append(place)
            continue
        if found in taken:
            raise DataError(f"{path}: images {taken[found]} and {number} are one file, {found}; list each image once.")
        taken[found] = number
        samples.append(_sample(images[number], owned.pop(number, []), place, found, names, path, broken))
    if files.by_name_alone:
        name, file = next(iter(files.by_name_alone.items()))
        tell(
            f"{len(files.by_name_alone)} images of {path} do not lie where it says and were found by the end of their "
            f"path, as {name} in {file}."
        )
    return Opened(samples, missing)


def parse_samples(content: Any, path: Path) -> list[Sample]:
    """The images of a decoded COCO file with their annotations, wherever the files are: `image` is what the file says.

    `content` is used up. Errors as `read_samples`.
    """
    broken = Broken()
    images, names, owned = _checked(content, path, broken)
    places = {number: place_of(images[number], f"{path}, image {number}") for number in sorted(images)}
    return [
        _sample(images[number], owned.pop(number, []), place, Path(place), names, path, broken)
        for number, place in places.items()
    ]


def _checked(
    content: Any, path: Path, broken: Broken
) -> tuple[dict[int, Record], dict[int, str], dict[int, list[Record]]]:
    """Images by id, names of categories by id, annotations by image; they are taken out of `content`."""
    images = _by_id(_records(content, "images", path), "image", path)
    if not images:
        raise DataError(f"{path} lists no image: there is nothing to measure.")
    names = {number: str(item.get("name")) for number, item in _categories(content, path).items()}
    owned = _annotations_by_image(content, images, names, path, broken)
    del content["annotations"]  # each is freed once its sample is made
    check_fractions(owned, path)
    return images, names, owned


def place_of(image: Record, where: str) -> str:
    """The path of an image inside the image folder: its `file_name`."""
    name = image.get("file_name")
    if not isinstance(name, str) or not parts_of(name):
        raise DataError(f"{where} has no 'file_name'.")
    return name


def split_place(image: Record) -> str | None:
    """The path inside COCO's folder of splits that the `coco_url` tells: `train2017/000000391895.jpg`."""
    url = image.get("coco_url")
    try:
        parts = PurePosixPath(urlsplit(url).path).parts if isinstance(url, str) else ()
    except ValueError:  # no address
        return None
    return "/".join(parts[-2:]) if len(parts) > 2 else None


def _sample(
    image: Record,
    items: list[Record],
    place: str,
    file: Path,
    categories: dict[int, str],
    path: Path,
    broken: Broken,
) -> Sample:
    size_hw = parse_size_hw(image, f"{path}, image {image['id']}")
    annotations: list[Annotation] = []
    for item in items:
        category = categories.get(item["category_id"]) if categories else None
        try:
            annotations.append(_annotation(item, size_hw, category, path))
        except DataError as error:
            broken.add(_called(item, path), error)
    name = PurePosixPath(*parts_of(place)).with_suffix("").as_posix()
    return Sample(name, path.stem, file, size_hw, tuple(annotations), image["id"])


def _called(annotation: Record, path: Path) -> str:
    return f"{path.name}, annotation {label(annotation, 0)}"


def check_fractions(owned: Mapping[int, Sequence[Record]], path: Path) -> None:
    """DataError if polygons are fractions of the image: all of their corners in its first pixel, and boxes elsewhere.

    Without boxes several such polygons and no other one say so.
    """
    fractions, polygons = [], 0
    for item in (item for items in owned.values() for item in items):
        segmentation = item.get("segmentation")
        parts = [part for part in segmentation if isinstance(part, array)] if isinstance(segmentation, list) else []
        polygons += bool(parts and any(parts))
        if parts and any(parts) and all(0 <= number <= 1 for part in parts for number in part):
            fractions.append(item)
    far = [item for item in fractions if is_box(item.get("bbox")) and max(item["bbox"][2:]) > _PIXELS]
    if far or len(fractions) == polygons >= _SEVERAL:
        first = (far or fractions)[0]["id"]
        raise DataError(
            f"{path}: no number of {len(fractions)} polygons is above 1, the first is annotation {first}; they look "
            "like fractions of the image, but COCO wants pixels."
        )


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
        raise DataError(f"{where} has iscrowd {shown(crowd)}; it must be 0 or 1.")
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
            raise DataError(f"{path}: number {index} of {key!r} is not a record but {shown(record)}.")
    return records


def _by_id(records: Iterable[Record], kind: str, path: Path) -> dict[int, Record]:
    by_id: dict[int, Record] = {}
    for index, record in enumerate(records):
        number = record.get("id")
        if not isinstance(number, int):
            raise DataError(f"{path}: {kind} number {index} has id {shown(number)}; it must be a whole number.")
        if number in by_id:
            raise DataError(f"{path} has two {kind}s with id {number}; ids must differ.")
        by_id[number] = record
    return by_id


def _categories(content: Any, path: Path) -> dict[int, Record]:
    # Class-agnostic files leave them out.
    return _by_id(_records(content, "categories", path), "category", path) if "categories" in content else {}


def _annotations_by_image(
    content: Any, images: dict[int, Record], categories: dict[int, str], path: Path, broken: Broken
) -> dict[int, list[Record]]:
    items = list(_by_id(_records(content, "annotations", path), "annotation", path).values())
    items = _with_known_ids(items, "image_id", images, path, broken)
    if categories:
        items = _with_known_ids(items, "category_id", categories, path, broken)
    owned: dict[int, list[Record]] = {}
    for item in items:
        owned.setdefault(item["image_id"], []).append(item)
    return owned


def _with_known_ids(
    items: list[Record], key: str, known: Mapping[int, Any], path: Path, broken: Broken
) -> list[Record]:
    strangers = [item for item in items if not isinstance(item.get(key), int) or item[key] not in known]
    for number, item in enumerate(strangers):
        sentence = (
            f"{path}: {len(strangers) - number} annotations have a {key} that the file does not list, the first is "
            f"annotation {label(item, 0)} with {shown(item.get(key))}; the file is damaged or put together from two."
        )
        broken.add(_called(item, path), DataError(sentence))
    left_out = {item["id"] for item in strangers}
    return [item for item in items if item["id"] not in left_out] if left_out else items
