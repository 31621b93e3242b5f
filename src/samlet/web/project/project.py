"""A project: one folder of samlet's own with classes and annotations, about photos that lie there or elsewhere."""

from __future__ import annotations

import hashlib
import os
import secrets
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from samlet.data.labelled import LabelledImage, files_of
from samlet.errors import DataError, ImageError, InputError
from samlet.files import check_folder, output_error
from samlet.images import read_image, upright_size
from samlet.masks import Mask, MaskSet
from samlet.reading import reading
from samlet.web.project.annotations import AnnotationFiles, packed, stored_code, unpacked
from samlet.web.project.importing import find_photo, layers_of, parse_file
from samlet.web.project.labels import Label, Labels
from samlet.web.project.photos import Photo, Photos
from samlet.web.project.pictures import Picture, Pictures
from samlet.web.service import ForgottenError

OWN_FOLDER = ".samlet"  # inside a folder of photos
_ARCHIVE_BYTES_AT_ONCE = 1 << 20


class UnknownPhotoError(ForgottenError):
    """No photo of the project has this id."""


class Project:
    """Photos of `folder` (None: only those that are sent), and what is marked on them, kept in `kept`.

    `kept` is `.samlet` inside of `folder` unless it is given. InputError if `folder` is none; OutputError if nothing
    can be written to `kept`.
    """

    def __init__(self, folder: Path | None, kept: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise InputError(f"{folder} is not a folder: give one that holds photos.")
        if folder is None and kept is None:
            raise InputError("A project without a folder of photos needs a folder to be kept in.")
        place = kept if kept is not None else Path(folder or "", OWN_FOLDER)
        check_folder(place)
        self.name = (folder or place).resolve().name
        self.id = hashlib.sha256(os.fsencode(place.resolve())).hexdigest()[:20]
        self._photos = Photos(folder, place / "images")
        self._files = AnnotationFiles(place / "annotations")
        self._labels = Labels(place / "labels.json")
        self._pictures = Pictures()
        self._known: dict[str, Photo] = self._photos.scan()
        self._sizes: dict[str, tuple[int, int]] = {}

    def describe(self) -> dict[str, Any]:
        """Name, classes and photos, as the page lists them; new files of the folder are found."""
        self._known = self._photos.scan()
        labels = [asdict(label) for label in self._labels.all]
        return {
            "id": self.id,
            "name": self.name,
            "labels": labels,
            "images": [self._entry(photo) for photo in self._known.values()],
        }

    def set_labels(self, labels: Sequence[Label], renamed: tuple[str, str] | None = None) -> None:
        """Other classes; `renamed` is an old and a new name for the layers of all photos. InputError for two alike."""
        names = [label.name for label in labels]
        if len(set(names)) < len(names):
            raise InputError("Two labels have the same name: each needs one of its own.")
        self._labels.replace(labels)
        if renamed is not None:
            self._files.rename_label({photo.id: photo.name for photo in self._known.values()}, *renamed)

    def photo(self, photo: str) -> Photo:
        """The photo of an id; UnknownPhotoError if there is none, ImageError if its file has gone."""
        known = self._known.get(photo)
        if known is None:
            raise UnknownPhotoError(f"No image of this project is called {photo[:40]!r}.")
        self._photos.check(known)
        return known

    def entry(self, photo: str) -> dict[str, Any]:
        """A photo as it is listed, its size known."""
        known = self.photo(photo)
        self._size(known)
        return self._entry(known)

    def add(self, name: str, content: bytes) -> dict[str, Any]:
        """Keep a photo that was sent; returns its entry. ImageError if it is no image."""
        photo = self._photos.add(name, content)
        self._known[photo.id] = photo
        return self._entry(photo)

    def remove(self, photo: str) -> None:
        """Remove a photo that was sent and all that is marked on it; InputError for one of the user's folder."""
        self._photos.remove(self.photo(photo))
        self._files.remove(photo)
        self._known.pop(photo, None)

    def picture(self, photo: str, max_side: int | None) -> Picture:
        """A photo as a browser shows it; see `Pictures.of`."""
        return self._pictures.of(self.photo(photo).path, max_side)

    def image_bytes(self, photo: str) -> bytes:
        """The file of a photo; UnknownPhotoError, or ImageError if it cannot be read."""
        path = self.photo(photo).path
        with reading(path, "an image", ImageError):
            return path.read_bytes()

    def annotations(self, photo: str) -> dict[str, Any]:
        """What is marked on a photo, masks as run lengths."""
        self.photo(photo)
        record = self._files.load(photo)
        layers = [{**layer, **_codes(layer, unpacked)} for layer in record["layers"]]
        return {"revision": record["revision"], "done": record["done"], "layers": layers}

    def save(self, photo: str, revision: int, done: bool, layers: Sequence[dict[str, Any]]) -> int:
        """Save what is marked on a photo and return the new revision.

        StaleError if `revision` is not the current one, DataError for masks that are damaged or do not fit the photo.
        """
        known = self.photo(photo)
        size_hw = self._size(known)
        kept = [{**layer, **_codes(layer, packed)} for layer in layers]
        for layer in kept:
            if tuple(layer["rle"]["size"]) != size_hw:
                height, width = size_hw
                raise DataError(
                    f"A mask of {layer['rle']['size']} pixels does not fit {known.name}, {height} x {width}."
                )
        saved = self._files.save(photo, known.name, revision, done, kept)
        self._labels.add(layer["label"] for layer in kept if not layer.get("draft"))  # whoever else changed the list
        return saved

    def export(self, formats: Sequence[str], photos: Sequence[str] | None) -> tuple[str, Path]:
        """Write what is marked on photos (None: on all) and return the file's name for people, and where it lies.

        One file is given as it is, several as a zip; whoever asked removes it. InputError for an unknown format.
        """
        chosen = list(self._known.values()) if photos is None else [self.photo(photo) for photo in photos]
        names = [label.name for label in self._labels.all]
        files = files_of((image for photo in chosen if (image := self._labelled(photo))), formats, names)
        try:
            return _written(files, self.name)
        except OSError as error:
            raise output_error(Path(error.filename or "export"), error) from error

    def import_file(self, name: str, content: bytes) -> dict[str, Any]:
        """Bring in a COCO, labelme or SA-1B file; returns which photos it changed, how many masks came, a sentence.

        What is there already is not brought in twice. DataError if it cannot be read or belongs to other photos.
        """
        parsed = parse_file(name, content)
        found = [(find_photo(stated, self._known), sample) for stated, sample in parsed]
        placed = [(photo, sample) for photo, sample in found if photo is not None]
        if not placed:
            first = parsed[0][0] if parsed else "nothing"
            raise DataError(f"{name} is about {first}, which is no image of this project: add the image first.")
        for photo, sample in placed:
            if sample.size_hw != self._size(photo):
                raise DataError(f"{name}: the masks of {photo.name} are of an image of another size.")
        changed, masks = [], 0
        for photo, sample in placed:
            layers = layers_of(sample)
            self._labels.add(layer["label"] for layer in layers)
            new = self._files.change(photo.id, photo.name, layers)
            masks += new
            changed += [photo.id] if new else []
        return {"images": changed, "masks": masks, "message": _told(masks, len(changed), len(parsed) - len(placed))}

    def _entry(self, photo: Photo) -> dict[str, Any]:
        summary = self._files.summary(photo.id)
        return {
            "id": photo.id,
            "name": photo.name,
            "size": self._sizes.get(photo.id),
            "state": summary.state,
            "masks": summary.masks,
            "removable": photo.sent,
        }

    def _size(self, photo: Photo) -> tuple[int, int]:
        """(height, width) of the upright photo."""
        if photo.id not in self._sizes:
            self._sizes[photo.id] = upright_size(photo.path, photo.name)
        return self._sizes[photo.id]

    def _labelled(self, photo: Photo) -> LabelledImage | None:
        """A photo's masks for the writers; None if nothing is marked on it and nobody said that it is done."""
        record = self._files.load(photo.id)
        if not record["layers"] and not record["done"]:
            return None
        masks = [Mask(stored_code(layer), layer.get("iou")) for layer in record["layers"]]
        labels = tuple(layer["label"] for layer in record["layers"])
        return LabelledImage(photo.name, MaskSet(masks, self._size(photo)), labels, lambda: read_image(photo.path))


def _codes(layer: dict[str, Any], change: Any) -> dict[str, Any]:
    """All run-length codes of a layer, changed."""
    changed = {"rle": change(layer["rle"])}
    strokes = layer.get("strokes")
    if strokes:
        changed["strokes"] = {name: change(rle) for name, rle in strokes.items() if rle}
    return changed


def _written(files: Iterator[tuple[str, Any]], project: str) -> tuple[str, Path]:
    """A temporary file with the one file there is, or a zip of all."""
    first, second = next(files, None), next(files, None)
    with NamedTemporaryFile(prefix="samlet-export-", delete=False) as archive:
        if first is not None and second is None:
            _write(archive, first[1])
            return first[0].rsplit("/", 1)[-1], Path(archive.name)
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed_files:
            for name, content in _chained(first, second, files):
                with packed_files.open(name, "w", force_zip64=True) as member:
                    _write(member, content)
        return f"{project}-{secrets.token_hex(2)}.zip", Path(archive.name)


def _chained(first: Any, second: Any, rest: Iterator[Any]) -> Iterator[tuple[str, Any]]:
    yield from (each for each in (first, second) if each is not None)
    yield from rest


def _write(file: Any, content: Any) -> None:
    for piece in (content,) if isinstance(content, bytes) else content:
        file.write(piece)


def _told(masks: int, photos: int, strangers: int) -> str:
    if not masks:
        return "All of it was here already."
    left_out = f" {strangers} images of the file are not in this project." if strangers else ""
    return f"{masks} masks on {photos} {'image' if photos == 1 else 'images'} came in.{left_out}"
