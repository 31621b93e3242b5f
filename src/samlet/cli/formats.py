"""`--format`: the masks of `samlet segment` and `samlet everything` in the formats of other programs as well."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from samlet.cli.ownership import OTHER_FORMATS, REMEDY, check_replaceable, readable
from samlet.data.writing import COCO_FILE, TextFormat, coco_content, content, name_of
from samlet.errors import OutputError
from samlet.files import sha256_of, write_files, write_set
from samlet.marks import MARK, Photo, is_our_record, marked_record, read_record
from samlet.masks import MaskSet

Format = Literal["sa1b", "coco", "labelme", "yolo", "png", "polygons", "geojson"]
Formats = Annotated[
    tuple[Format, ...],
    Parameter(
        name="--format",
        help="Write the masks in this format too; sa1b and png are always there. coco is one file for all images: "
        f"{COCO_FILE}. Repeatable.",
    ),
]
OF_EACH_IMAGE: tuple[TextFormat, ...] = ("labelme", "yolo", "polygons", "geojson")


@dataclass(frozen=True)
class FormatFiles:
    """The files that were asked for beyond those that are always written, in `folder`."""

    folder: Path
    formats: tuple[Format, ...]
    overwrite: bool

    def paths(self, image: Path) -> dict[TextFormat, Path]:
        """The files of one image."""
        return {form: self.folder / name_of(form, image) for form in OF_EACH_IMAGE if form in self.formats}

    def contents(self, image: Path, photo: Photo, masks: MaskSet) -> dict[Path, bytes]:
        """The files of one image with what is in them."""
        found = self.paths(image)
        return {path: content(form, masks, image.name, photo.path, 0) for form, path in found.items()}

    def stale(self, image: Path, record: Path) -> list[Path]:
        """What an earlier run wrote for this image in other formats, and nobody changed since."""
        there = read_record(record) or {}
        digests = there.get(OTHER_FORMATS)
        if not isinstance(digests, dict) or not is_our_record(there):
            return []
        known = [self.folder / name_of(form, image) for form in OF_EACH_IMAGE]
        return [path for path in known if path.is_file() and digests.get(path.name) == sha256_of(path)]

    def complete(self, image: Path, record_path: Path, record: dict[str, Any]) -> dict[str, Any]:
        """Write what is missing beside a finished record, and return the record, which then names it."""
        if not self.paths(image):
            return record
        with readable(image):
            photo = Photo.of(image, self.folder)
        contents = self.contents(image, photo, MaskSet.from_json(record))
        bare = {key: value for key, value in record.items() if key != MARK}
        completed = marked_record(with_digests(bare, contents), photo)
        if completed == record and all(path.is_file() for path in contents):
            return record
        check_replaceable(image, record_path, (*contents, record_path), self.overwrite)
        write_set([*contents.items(), (record_path, json.dumps(completed).encode() + b"\n")])
        return completed

    def check_of(self, image: Path, record: Path) -> None:
        """`OutputError` if a file of this image in another format is there and is not samlet's, as its record says."""
        if paths := tuple(self.paths(image).values()):
            check_replaceable(image, record, paths, self.overwrite)

    def check(self) -> None:
        """`OutputError` if the one file of all images is there and is not samlet's."""
        path = self.folder / COCO_FILE
        if "coco" in self.formats and path.exists() and not self.overwrite and not is_our_record(_record(path)):
            raise OutputError(f'"{path}" was not written by samlet, or was changed since: {REMEDY}.')

    def write_coco(self, images: Iterable[tuple[str, MaskSet]]) -> None:
        """The one file of all images, if it was asked for."""
        if "coco" in self.formats:
            record = marked_record(json.loads(coco_content(images)), None)
            write_files({self.folder / COCO_FILE: json.dumps(record).encode() + b"\n"})


def with_digests(record: Mapping[str, Any], contents: Mapping[Path, bytes]) -> dict[str, Any]:
    """The record, which says which files in other formats belong to it and what is in them."""
    digests = {path.name: hashlib.sha256(written).hexdigest() for path, written in contents.items()}
    earlier = record.get(OTHER_FORMATS, {})
    return {**record, OTHER_FORMATS: {**earlier, **digests}} if digests else dict(record)


def _record(path: Path) -> dict[str, Any]:
    return read_record(path) or {}
