"""Opens images with a map of classes each: Cityscapes, ADE20K, or any folder of images and label maps.

- Cityscapes: `leftImg8bit/SPLIT/CITY/X_leftImg8bit.png` with `gtFine/SPLIT/CITY/X_gtFine_labelIds.png` (its 34 numbers
  become the 19 classes that are measured) or `…_labelTrainIds.png`
- ADE20K: `images/SPLIT/X.jpg` with `annotations/SPLIT/X.png`; 0 is ignored, 1 is the first class
- any other: `images/X.jpg` with `labels/X.png` (or `masks`) and a `classes.txt`, one name a line; 255 is ignored
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from samlet.classes import class_list
from samlet.data.class_folders import CLASSES_FILE
from samlet.data.classes import (
    IGNORED,
    ClassData,
    ClassMapSample,
    Coding,
    check_classes,
    check_same_size,
    read_class_names,
)
from samlet.data.fields import image_size_hw
from samlet.data.image_folder import IMAGE_SUFFIXES
from samlet.data.sample import Sample
from samlet.errors import DataError
from samlet.reading import is_folder, is_missing, list_folder, reading

Split = Literal["train", "val"]

CITYSCAPES = class_list("cityscapes").names
_CITYSCAPES_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
_ADE_SPLITS = {"train": "training", "val": "validation"}
_ADE_NAMES = "objectInfo150.txt"
_ADE_CLASSES = 150
_TWINS = ("labels", "masks")


def open_class_maps(path: Path, split: Split) -> ClassData:
    """The images of a data set's `split` with their label maps; a folder without splits is opened whole.

    Sizes are compared, pixels are not read. DataError for what is none of the layouts above, for a map that is missing,
    and for one of another size than its image.
    """
    if is_missing(path) or not is_folder(path):
        raise DataError(f"{path} is not a folder; give one that holds images and label maps.")
    if not is_missing(path / "leftImg8bit"):
        return _cityscapes(path, split)
    if not is_missing(path / "images") and not is_missing(path / "annotations" / _ADE_SPLITS[split]):
        return _ade20k(path, split)
    twin = next((path / name for name in _TWINS if not is_missing(path / name)), None)
    if is_missing(path / "images") or twin is None:
        raise DataError(
            f"{path} is no data set of label maps: it needs the folders images and labels (or masks) and a "
            f"{CLASSES_FILE}, or is the root of Cityscapes (leftImg8bit, gtFine) or ADE20K (images, annotations)."
        )
    return _plain(path, twin)


def _cityscapes(root: Path, split: Split) -> ClassData:
    table = [IGNORED] * 34
    for number, value in enumerate(_CITYSCAPES_IDS):
        table[value] = number
    ids, train_ids = Coding(tuple(table), (255,)), Coding(tuple(range(len(CITYSCAPES))))
    samples = []
    for city in list_folder(_there(root / "leftImg8bit" / split)):
        for image in _images(city) if is_folder(city) else ():
            stem = image.stem.removesuffix("_leftImg8bit")
            maps = root / "gtFine" / split / city.name / f"{stem}_gtFine_labelTrainIds.png"
            coding = train_ids
            if is_missing(maps):
                maps, coding = maps.with_name(f"{stem}_gtFine_labelIds.png"), ids
            samples.append(_sample(image, maps, stem, city.name, coding))
    return _some(samples, CITYSCAPES, root / "leftImg8bit" / split)


def _ade20k(root: Path, split: Split) -> ClassData:
    folder = _there(root / "images" / _ADE_SPLITS[split])
    maps = root / "annotations" / _ADE_SPLITS[split]
    coding = Coding((IGNORED, *range(_ADE_CLASSES)), ())
    samples = [_sample(file, maps / f"{file.stem}.png", file.stem, "ade20k", coding) for file in _images(folder)]
    return _some(samples, _ade_names(root / _ADE_NAMES), folder)


def _ade_names(file: Path) -> tuple[str, ...]:
    """The first name of each class in ADE20K's own table; numbers where there is none."""
    if is_missing(file):
        return tuple(f"class {number + 1}" for number in range(_ADE_CLASSES))
    with reading(file, "ADE20K's table of classes"):
        rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:] if line.strip()]
        names = [row[-1].split(",")[0].strip() for row in rows]
    if len(names) != _ADE_CLASSES:
        raise DataError(f"{file} names {len(names)} classes, not {_ADE_CLASSES}.")
    # Of two classes with one name ("screen"), the later also has its number.
    return check_classes([n if n not in names[:i] else f"{n} ({i + 1})" for i, n in enumerate(names)], str(file))


def _plain(root: Path, maps: Path) -> ClassData:
    names = next((place / CLASSES_FILE for place in (root, root.parent) if not is_missing(place / CLASSES_FILE)), None)
    if names is None:
        raise DataError(f"{root} lacks a {CLASSES_FILE}: write the names of the classes there, one a line, 0 first.")
    classes = read_class_names(names)
    coding = Coding(tuple(range(len(classes))), () if len(classes) > 255 else (255,))
    folder = _there(root / "images")
    samples = [_sample(file, maps / f"{file.stem}.png", file.stem, root.name, coding) for file in _images(folder)]
    return _some(samples, classes, folder)


def _sample(image: Path, labels: Path, name: str, source: str, coding: Coding) -> Sample:
    if is_missing(labels):
        raise DataError(f"{image} has no label map: {labels} is missing.")
    size_hw = image_size_hw(image, str(image))
    check_same_size(labels, image_size_hw(labels, str(labels)), size_hw)
    return ClassMapSample(name, source, image, size_hw, labels=labels, coding=coding)


def _there(folder: Path) -> Path:
    if is_missing(folder) or not is_folder(folder):
        raise DataError(f"{folder} is missing: it holds the images of that part of the data.")
    return folder


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in list_folder(folder) if file.suffix.lower() in IMAGE_SUFFIXES)


def _some(samples: list[Sample], classes: tuple[str, ...], folder: Path) -> ClassData:
    if not samples:
        raise DataError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}).")
    return ClassData(samples, classes)
