"""Opens folders of images; an image with an SA-1B record or a labelme file beside it brings its masks along."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from samlet.data import labelme, sa1b
from samlet.data.broken import Broken
from samlet.data.fields import image_size_hw, load_json
from samlet.data.sample import Opened, Sample, check_names, source_of
from samlet.errors import DataError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})


def open_folders(paths: Sequence[str | Path]) -> list[Sample]:
    """Every image of several folders, folder by folder, by file name. Records are read and checked, pixels are not.

    Raises DataError for a missing or empty folder, a damaged record, a record without image, or one name used twice.
    """
    samples = [sample for path in paths for sample in open_folder(path)]
    check_names(samples)
    return samples


def open_folder(path: str | Path) -> list[Sample]:
    """The images of one folder (not of its sub-folders) by file name; errors as `open_folders`."""
    samples, missing = read_folder(Path(path))
    if missing:
        raise DataError(f"{path}: {len(missing)} records have no image, the first is {missing[0]}.")
    return samples


def read_folder(folder: Path, broken: Broken | None = None) -> Opened:
    """The images of one folder by file name, and the records whose image is missing.

    A labelme file may name an image elsewhere; its image belongs to the folder then. Images that cannot be opened and
    damaged records beside images are `broken` (None: no such is allowed).
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give one that holds images (and NAME.json beside NAME.jpg).")
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    records = {file.stem: file for file in files if file.suffix == ".json"}
    images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES]
    far, orphans = _read_alone([records[stem] for stem in sorted(set(records) - {image.stem for image in images})])
    if not images and not far:
        raise DataError(f"{folder} holds no image ({', '.join(sorted(IMAGE_SUFFIXES))}){_advice(folder)}.")
    named = {sample.image for sample in far}
    near: list[Sample] = []
    broken = Broken() if broken is None else broken
    for image in images:
        try:
            if image not in named:
                near.append(_read_beside(records.get(image.stem), image))
        except DataError as error:
            broken.add(image.stem, error)
    return Opened(near + far, orphans)


def _read_beside(record: Path | None, image: Path) -> Sample:
    """An image and what the record beside it says."""
    if record is None:
        return Sample(image.stem, source_of(image.stem), image, image_size_hw(image, str(image)))
    content = load_json(record)
    parse = labelme.parse_record if labelme.is_labelme(content) else sa1b.parse_record
    return parse(content, image.stem, image, where=str(record))


def _read_alone(records: list[Path]) -> Opened:
    """What records without an image beside them say: labelme's name one, others miss theirs."""
    found = Opened([], [])
    for record in records:
        content = load_json(record)
        if isinstance(content, dict) and "images" in content:
            raise DataError(f"{record} is a COCO file: give it to --data itself, and {record.parent} to --images.")
        opened = labelme.read_beside(content, record) if labelme.is_labelme(content) else Opened([], [record.name])
        found.samples.extend(opened.samples)
        found.missing.extend(opened.missing)
    return found


def _advice(folder: Path) -> str:
    inner = sorted(place for place in folder.iterdir() if place.is_dir() and not place.name.startswith("."))
    holding = [place for place in inner if any(file.suffix.lower() in IMAGE_SUFFIXES for file in place.iterdir())]
    if not holding:
        return ""
    return f", but {len(holding)} of its sub-folders do: give those, as {holding[0]}"
