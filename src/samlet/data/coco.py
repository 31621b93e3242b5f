"""COCO annotations: one JSON file for a whole data set, its images in a folder beside it.

Layout from the COCO data format page: `images`, `annotations` and `categories`, joined by ids; a mask is a list of
polygons, an uncompressed run-length code (crowds) or a compressed one. LVIS adds where its images lie (`data/lvis.py`).
A mask stays run lengths, a few hundred bytes, until it is measured; polygons are packed while the file is read.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from samlet.data.broken import Broken
from samlet.data.fields import is_whole, label, parse_annotation, parse_rle, parse_size_hw
from samlet.data.fractions import find_fractions, to_pixels
from samlet.data.matching import ImageFolder, parts_of
from samlet.data.sample import Annotation, Opened, Sample
from samlet.errors import DataError
from samlet.geometry.rle import Rle, from_polygons
from samlet.reading import shown

Record: TypeAlias = dict[str, Any]


def pack_polygons(record: Record) -> Record:
    """For `load_json`: corners as doubles, a quarter of what a list of Python's numbers takes. Twice is as once.

    What is no list of numbers stays as it is, for `read_samples` to name.
    """
    segmentation = record.get("segmentation")
    if isinstance(segmentation, list):
        record["segmentation"] = [_packed(part) for part in segmentation]
    return record


class _Content(NamedTuple):
    """What a file says, checked. All by the id of their image but `names`, which is by that of the category."""

    images: dict[int, Record]
    places: dict[int, str]
    owned: dict[int, list[Record]]
    names: dict[int, str]
    fractions: set[int]


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
    `place_of` tells an image's path inside the folder; `tell` hears of images that are found by an end of it only, and
    of polygons in fractions, which are made pixels. The source of all samples is the file's name. Records that cannot
    be read, that others repeat or that belong to such are `broken` (None: that is an error).
    Raises DataError for an empty file, ids that do not match, damaged records and a file that two images share; it
    names `path` and the record.
    """
    broken = Broken() if broken is None else broken
    said = _checked(content, path, place_of, broken)
    if said.fractions:
        tell(f"{path}: the polygons of {len(said.fractions)} annotations are fractions of the image; read as such.")
    files = ImageFolder(folder, said.places.values())
    samples, missing = [], []
    taken: dict[Path, int] = {}
    for number, place in said.places.items():
        found = files.find(place, split_place(said.images[number]))
        if found is None:
            missing.append(place)
            continue
        if found in taken:
            one_file = f"{path}: images {taken[found]} and {number} are one file, {found}; list each image once."
            broken.add(f"{path.name}, image {number}", DataError(one_file))
            continue
        taken[found] = number
        samples += _sample(said, number, found, path, broken)
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
    said = _checked(content, path, place_of, broken)
    return [
        sample for number, place in said.places.items() for sample in _sample(said, number, Path(place), path, broken)
    ]


def _checked(content: Any, path: Path, place_of: Callable[[Record, str], str], broken: Broken) -> _Content:
    """What a decoded file says; its annotations are taken out of `content`."""
    records = _records(content, "images", path)
    if not records:
        raise DataError(f"{path} lists no image: there is nothing to measure.")
    images, twice = _by_id(records, "image", path, broken)
    categories, categories_twice = _categories(content, path, broken)
    names = {number: str(item.get("name")) for number, item in categories.items()}
    # An annotation is one whoever else has its id: the first is read.
    found, _ = _by_id(_records(content, "annotations", path), "annotation", path, broken, keep_first=True)
    items = _with_known_ids(list(found.values()), "image_id", images, twice, path, broken)
    if names or categories_twice:
        items = _with_known_ids(items, "category_id", names, categories_twice, path, broken)
    owned: dict[int, list[Record]] = {}
    for item in items:
        owned.setdefault(item["image_id"], []).append(pack_polygons(item))
    del content["annotations"]  # each is freed once its sample is made
    places = {}
    for number in sorted(images):
        try:
            places[number] = place_of(images[number], f"{path}, image {number}")
        except DataError as error:
            broken.add(f"{path.name}, image {number}", error)
    return _Content(images, places, owned, names, find_fractions(items))


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


def _sample(said: _Content, number: int, file: Path, path: Path, broken: Broken) -> list[Sample]:
    """The sample of one image, or none if its record is broken."""
    try:
        size_hw = parse_size_hw(said.images[number], f"{path}, image {number}")
    except DataError as error:
        broken.add(f"{path.name}, image {number}", error)
        return []
    annotations: list[Annotation] = []
    for item in said.owned.pop(number, []):
        category = said.names.get(item["category_id"]) if said.names else None
        pixels = to_pixels(item, size_hw) if item["id"] in said.fractions else item
        try:
            annotations.append(_annotation(pixels, size_hw, category, path))
        except DataError as error:
            broken.add(_called(item, path), error)
    name = PurePosixPath(*parts_of(said.places[number])).with_suffix("").as_posix()
    return [Sample(name, path.stem, file, size_hw, tuple(annotations), number)]


def _called(annotation: Record, path: Path) -> str:
    return f"{path.name}, annotation {label(annotation, 0)}"


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


def _by_id(
    records: Iterable[Record], kind: str, path: Path, broken: Broken, keep_first: bool = False
) -> tuple[dict[int, Record], set[int]]:
    """Records by id, and the ids that stand for two different ones: those are left out unless the first is kept."""
    by_id: dict[int, Record] = {}
    twice: set[int] = set()
    for index, record in enumerate(records):
        number = record.get("id")
        if not is_whole(number):
            sentence = f"{path}: {kind} number {index} has id {shown(number)}; it must be a whole number."
            broken.add(f"{path.name}, {kind} number {index}", DataError(sentence))
        elif number in by_id:
            sentence = f"{path} has two {kind}s with id {number}; ids must differ."
            broken.add(f"{path.name}, {kind} {number} once more (number {index})", DataError(sentence))
            if not keep_first and record != by_id[number]:
                twice.add(number)
        else:
            by_id[number] = record
    return {number: record for number, record in by_id.items() if number not in twice}, twice


def _categories(content: Any, path: Path, broken: Broken) -> tuple[dict[int, Record], set[int]]:
    # Class-agnostic files leave them out.
    records = _records(content, "categories", path) if "categories" in content else []
    return _by_id(records, "category", path, broken)


def _with_known_ids(
    items: list[Record], key: str, known: Mapping[int, Any], twice: set[int], path: Path, broken: Broken
) -> list[Record]:
    strangers = [item for item in items if not is_whole(item.get(key)) or item[key] not in known]
    for number, item in enumerate(strangers):
        listed = "lists twice" if is_whole(item.get(key)) and item[key] in twice else "does not list"
        sentence = (
            f"{path}: {len(strangers) - number} annotations have a {key} that the file {listed}, the first is "
            f"annotation {label(item, 0)} with {shown(item.get(key))}; the file is damaged or put together from two."
        )
        broken.add(_called(item, path), DataError(sentence))
    left_out = {item["id"] for item in strangers}
    return [item for item in items if item["id"] not in left_out] if left_out else items
