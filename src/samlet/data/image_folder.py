"""Opens folders of images, with the annotations that lie beside them.

What belongs to NAME.jpg is, and the first of these counts:

- NAME.json beside it: an SA-1B record or a labelme file
- NAME.png beside it, of one channel and the same size: its mask or map of labels
- NAME.txt beside it, numbers only: YOLO's outlines

Masks and texts may also lie in a folder of their own: for images in `images`, in `masks` or `labels` beside that; for
images in `JPEGImages`, in `SegmentationObject` or `Annotations` (VOC, DAVIS). Sub-folders are kept: `images/train` goes
with `labels/train`. A folder without images that holds one of those is opened as that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samlet.data import labelme, sa1b
from samlet.data.broken import Broken
from samlet.data.fields import image_size_hw, load_json
from samlet.data.label_maps import is_label_map, read_label_map
from samlet.data.matching import check_named, pair_records, stated_name
from samlet.data.sample import Opened, Sample, source_of, tell_apart
from samlet.data.yolo import is_yolo, read_yolo
from samlet.errors import DataError
from samlet.reading import is_folder, is_missing, list_folder, reading

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif"})
PHOTO_SUFFIXES = IMAGE_SUFFIXES | {".gif"}  # in annotated data a GIF is a mask rather than a photo
_WRITTEN_BY_SAMLET = re.compile(r"\.(mask(\.\d+)?|overlay|labels)\.png$")
_CLASSES = "classes.txt"  # of some YOLO tools, among the labels
_TWINS = {"images": ("masks", "labels"), "JPEGImages": ("SegmentationObject", "Annotations")}


def is_photo(name: str) -> bool:
    """Whether a file of a folder that is searched for photos is one: neither hidden nor written there by samlet."""
    return (
        Path(name).suffix.lower() in PHOTO_SUFFIXES and not name.startswith(".") and not _WRITTEN_BY_SAMLET.search(name)
    )


def open_folders(paths: Sequence[str | Path]) -> list[Sample]:
    """Every image of several folders, folder by folder, by file name. Records are read and checked, pixels are not.

    Equal names are told apart. Raises DataError for a missing or empty folder, a damaged record or one without image.
    """
    return tell_apart([sample for path in paths for sample in open_folder(path)])


def open_folder(path: str | Path) -> list[Sample]:
    """The images of one folder (not of its sub-folders) by file name; errors as `open_folders`."""
    samples, missing = read_folder(Path(path))
    if missing:
        raise DataError(f"{path}: {len(missing)} records have no image, the first is {missing[0]}.")
    return tell_apart(samples)


def read_folder(folder: Path, broken: Broken | None = None) -> Opened:
    """The images of one folder by file name, and the records whose image is missing.

    A labelme file may name an image elsewhere; its image belongs to the folder then. Images that cannot be opened and
    damaged records are `broken` (None: no such is allowed).
    """
    if is_missing(folder) or not is_folder(folder):
        raise DataError(f"{folder} is not a folder; give one that holds images (and NAME.json beside NAME.jpg).")
    broken = Broken() if broken is None else broken
    found = _look(folder)
    far, orphans = _read_alone([folder / name for name in found.alone], broken)
    if not found.images and not far:
        inner = [folder / name for name in _TWINS if not is_missing(folder / name)]
        if len(inner) == 1 and not orphans and is_folder(inner[0]):
            return read_folder(inner[0], broken)
        raise DataError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}){_advice(folder)}.")
    named = {sample.image for sample in far}
    near: list[Sample] = []
    for image in found.images:
        try:
            if image not in named:
                near.append(_read(image, found))
        except DataError as error:
            broken.add(image.name if image.stem in broken else image.stem, error)
    stems = {image.stem for image in found.images}
    return Opened(near + far, [*orphans, *(file.name for stem, file in found.twins.items() if stem not in stems)])


@dataclass(frozen=True)
class _Found:
    """What lies in a folder: its images, and by the name of each what may belong to it."""

    images: list[Path]
    records: dict[str, str]
    alone: list[str]
    maps: dict[str, Path]
    texts: dict[str, Path]
    twins: dict[str, Path]


def _look(folder: Path) -> _Found:
    files = list_folder(folder)
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    maps, texts = _own_folders(folder)
    twins = maps | texts
    photos = {image.stem for image in images if image.suffix.lower() != ".png"}
    beside = {image.stem: image for image in images if image.suffix.lower() == ".png" and image.stem in photos}
    records, alone = pair_records(
        [image.name for image in images],
        [file.name for file in files if file.suffix == ".json"],
        lambda record: stated_name(load_json(folder / record)),
    )
    beside = {stem: file for stem, file in beside.items() if file.name not in records and _is_map(file, images)}
    texts = {file.stem: file for file in files if file.suffix == ".txt"} | texts
    images = [image for image in images if image not in beside.values()]
    return _Found(images, records, alone, maps | beside, texts, twins)


def _own_folders(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Maps and texts by stem in the folders that go with one of images."""
    maps: dict[str, Path] = {}
    texts: dict[str, Path] = {}
    parts = folder.resolve().parts
    place = next((index for index in reversed(range(len(parts))) if parts[index] in _TWINS), None)
    for name in _TWINS[parts[place]] if place is not None else ():
        twin = Path(*parts[:place], name, *parts[place + 1 :]) if place is not None else folder
        for file in list_folder(twin) if not is_missing(twin) and is_folder(twin) else ():
            kind = {".png": maps, ".txt": texts}.get(file.suffix.lower())
            if kind is not None and file.name != _CLASSES:
                kind.setdefault(file.stem, file)
    return maps, texts


def _is_map(file: Path, images: Sequence[Path]) -> bool:
    photo = next(image for image in images if image.stem == file.stem and image != file)
    try:
        size_hw = image_size_hw(photo, str(photo))
        with reading(file, "an image"):
            return is_label_map(file, size_hw)
    except DataError:
        return False  # whichever of the two is damaged is named when it is read


def _read(image: Path, found: _Found) -> Sample:
    """An image and what belongs to it."""
    name = image.stem
    record = found.records.get(image.name)
    if record is not None:
        return _read_beside(image.with_name(record), image)
    if name in found.maps:
        return read_label_map(found.maps[name], name, image)
    if name in found.texts and (found.texts[name] is found.twins.get(name) or is_yolo(found.texts[name])):
        return read_yolo(found.texts[name], name, image)
    return Sample(name, source_of(name), image, image_size_hw(image, str(image)))


def _read_beside(record: Path, image: Path) -> Sample:
    content = load_json(record)
    check_named(content, record, image)
    parse = labelme.parse_record if labelme.is_labelme(content) else sa1b.parse_record
    return parse(content, image.stem, image, where=str(record))


def _read_alone(records: list[Path], broken: Broken) -> Opened:
    """What records without an image beside them say: labelme's name one, others miss theirs."""
    found = Opened([], [])
    for record in records:
        try:
            content = load_json(record)
            if isinstance(content, dict) and "images" in content:
                raise DataError(f"{record} is a COCO file: give it to --data itself, and {record.parent} to --images.")
            opened = labelme.read_beside(content, record) if labelme.is_labelme(content) else Opened([], [record.name])
        except DataError as error:
            broken.add(record.name, error)
            continue
        found.samples.extend(opened.samples)
        found.missing.extend(opened.missing)
    return found


def _advice(folder: Path) -> str:
    inner = [place for place in list_folder(folder) if is_folder(place)]
    holding = [place for place in inner if any(file.suffix.lower() in IMAGE_SUFFIXES for file in list_folder(place))]
    if not holding:
        return ""
    return f", but {len(holding)} of its sub-folders do: give those, as {holding[0]}"
