"""Opens images of classes: a folder for each class (ImageNet's layout), or a table (.csv).

A folder `classes.txt` beside the class folders, one name a line, says their order and names classes that have no images
here; without it the order is that of the names.
"""

from __future__ import annotations

import csv
from pathlib import Path

from samlet.data.classes import ClassData, ClassSample, check_classes, read_class_names
from samlet.data.image_folder import IMAGE_SUFFIXES
from samlet.data.sample import Sample
from samlet.errors import DataError
from samlet.reading import is_folder, is_missing, list_folder, reading, shown

CLASSES_FILE = "classes.txt"
_IMAGE_COLUMNS = ("image", "file", "path", "file_name", "filename")
_CLASS_COLUMNS = ("class", "label", "category")


def open_classes(path: Path, images: Path | None = None) -> ClassData:
    """The images of a folder of class folders, or of a table whose images lie in `images` (None: beside the table).

    DataError if it is neither, holds no image, or a class folder is empty.
    """
    if is_missing(path):
        raise DataError(f"{path} does not exist; give a folder with a folder for each class, or a .csv.")
    if is_folder(path):
        if images is not None:
            raise DataError("--images belongs to a .csv; a folder of classes holds its images.")
        return _read_folders(path)
    if path.suffix.lower() == ".csv":
        return _read_table(path, images or path.parent)
    raise DataError(f"{path} is neither a folder of class folders nor a .csv with the columns image and class.")


def _read_folders(root: Path) -> ClassData:
    folders = sorted((place for place in list_folder(root) if is_folder(place)), key=lambda place: place.name)
    names_file = root / CLASSES_FILE
    stated = None if is_missing(names_file) else read_class_names(names_file)
    classes = stated or tuple(folder.name for folder in folders)
    if not folders:
        raise DataError(f"{root} holds no folders: give one with a folder of images for each class.")
    samples: list[Sample] = []
    for folder in folders:
        if folder.name not in classes:
            raise DataError(f"{folder} is no class of {names_file}: add its name there, or move it.")
        found = [file for file in list_folder(folder) if file.suffix.lower() in IMAGE_SUFFIXES]
        if not found:
            raise DataError(f"{folder} holds no image{_advice(root, folder)}.")
        label = classes.index(folder.name)
        samples += [_sample(file, f"{folder.name}/{file.name}", root.name, label) for file in sorted(found)]
    return ClassData(samples, classes)


def _advice(root: Path, folder: Path) -> str:
    if any(is_folder(place) for place in list_folder(folder)):
        return f" but folders: give {folder} itself instead of {root}"
    return ": fill the class folder, or remove it and name the class in a classes.txt beside it"


def _read_table(table: Path, images: Path) -> ClassData:
    rows = _rows(table)
    names = (
        sorted({name for _, name in rows}, key=lambda name: (not name.isdecimal(), int(name or 0), name))
        if all(name.isdecimal() for _, name in rows)
        else sorted({name for _, name in rows})
    )
    classes = check_classes(names, str(table))
    number = {name: index for index, name in enumerate(classes)}
    found = [(images / file, file, number[name]) for file, name in rows]
    missing = tuple(file for place, file, _ in found if is_missing(place))
    there: list[Sample] = [
        _sample(place, file, table.stem, label) for place, file, label in found if not is_missing(place)
    ]
    return ClassData(there, classes, missing)


def _rows(table: Path) -> list[tuple[str, str]]:
    """Image and class of each row; DataError for a table without those columns or rows, or with an image twice."""
    with reading(table, "a table"), table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
        image, kind = (next((columns[name] for name in wanted if name in columns), None) for wanted in _BOTH)
        if image is None or kind is None:
            raise DataError(
                f"{table} needs the columns image and class in its first line; it has {shown(list(columns))}."
            )
        rows = [((row[image] or "").strip(), (row[kind] or "").strip()) for row in reader]
    if not rows:
        raise DataError(f"{table} lists no image.")
    seen: set[str] = set()
    for line, (name, label) in enumerate(rows, start=2):
        if not name or not label:
            raise DataError(f"{table}, line {line}: the {'class' if name else 'image'} is empty.")
        if name in seen:
            raise DataError(f"{table}, line {line}: {name} is there twice, and an image has one class.")
        seen.add(name)
    return rows


_BOTH = (_IMAGE_COLUMNS, _CLASS_COLUMNS)


def _sample(file: Path, name: str, source: str, label: int) -> ClassSample:
    return ClassSample(name, source, file, (0, 0), label=label)
