"""What samlet wrote, and may therefore replace: its records and its pictures carry a mark, all else is the user's.

A record says which photo it tells of, and a digest of itself: one that was corrected by hand is the user's again. A PNG
that was saved by another program has lost the mark. Records of samlet before it had a mark are known by their form.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samlet import __version__
from samlet.errors import DataError, OutputError
from samlet.files import sha256_of
from samlet.reading import read_safetensors_metadata

MARK = "samlet"  # the key of records, and of the metadata of weights
WEIGHTS_MARK = {MARK: __version__}
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_HEAD = 33  # bytes of the signature and of IHDR, the first chunk
PNG_SOFTWARE = f"samlet {__version__}"
PNG_MARK = b"Software\0" + PNG_SOFTWARE.encode()  # of a tEXt chunk
_PNG_MARK = b"tEXtSoftware\0samlet"
_LARGEST_RECORD = 1 << 30
_UNMARKED_ANNOTATION = {"id", "segmentation", "bbox", "area", "predicted_iou", "stability_score"}


@dataclass(frozen=True)
class Photo:
    """Which photo a result is of: its path as seen from the folder of the result, and its content."""

    path: str
    sha256: str

    @classmethod
    def of(cls, image: Path, folder: Path) -> Photo:
        """Look at a photo whose results go into `folder`; `OSError` if it cannot be read."""
        return cls(_seen_from(image, folder), sha256_of(image))

    def is_of(self, image: Path, folder: Path) -> bool:
        """Whether it is `image`, as it is now: there, or moved here from where it was. `OSError` as `of`."""
        return not self.is_elsewhere(image, folder) and self.sha256 == sha256_of(image)

    def is_elsewhere(self, image: Path, folder: Path) -> bool:
        """Whether it is another file than `image`, and no copy that was moved there. `OSError` as `of`."""
        if self.path == _seen_from(image, folder):
            return False
        return (folder / self.path).is_file() or self.sha256 != sha256_of(image)


def check_ours(paths: Iterable[Path], is_ours: Callable[[Path], bool], remedy: str = "choose another name") -> None:
    """`OutputError` for the first file that is there and that samlet did not write, or that was changed since."""
    for path in paths:
        if path.exists() and not path.is_dir() and not is_ours(path):  # a folder is refused when it is written to
            raise OutputError(f'"{path}" was not written by samlet, or was changed since: {remedy}.')


def marked_record(record: Mapping[str, Any], photo: Photo | None) -> dict[str, Any]:
    """The record, of one photo or (None) of many, with samlet's mark, which comes first."""
    of_photo = {} if photo is None else {"photo": asdict(photo)}
    return {MARK: {"version": __version__, **of_photo, "sha256": _digest(record)}, **record}


def read_record(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None where there is none that can be read."""
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST_RECORD:
            return None
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def photo_of(record: Mapping[str, Any]) -> Photo | None:
    """The photo that a marked record tells of."""
    mark = record.get(MARK)
    photo = mark.get("photo") if isinstance(mark, dict) else None
    try:
        return Photo(str(photo["path"]), str(photo["sha256"]))  # type: ignore[index]
    except (KeyError, TypeError):
        return None


def is_our_record(record: Mapping[str, Any]) -> bool:
    """Whether samlet wrote a record, and nobody changed it since."""
    mark = record.get(MARK)
    if isinstance(mark, dict):
        return mark.get("sha256") == _digest({key: value for key, value in record.items() if key != MARK})
    return is_unmarked_record(record)


def is_our_json(path: Path) -> bool:
    """Whether a file holds a record of samlet's that nobody changed; False where it cannot be read."""
    record = read_record(path)
    return record is not None and is_our_record(record)


def is_unmarked_record(record: Mapping[str, Any]) -> bool:
    """Whether it is a record of `samlet segment` or `samlet everything` from before there was a mark."""
    annotations = record.get("annotations")
    if MARK in record or not isinstance(annotations, list):
        return False
    if record.keys() == {"image", "annotations", "settings", "covered"}:
        return True
    found = [each for each in annotations if isinstance(each, dict) and each.keys() == _UNMARKED_ANNOTATION]
    numbered = [each["id"] for each in found] == list(range(len(annotations)))
    return record.keys() == {"image", "annotations"} and bool(found) and numbered


def is_our_png(path: Path) -> bool:
    """Whether samlet wrote a PNG, and no other program saved it since; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(_PNG_HEAD + 4 + len(_PNG_MARK))
    except OSError:
        return False
    return head.startswith(_PNG_START) and head[_PNG_HEAD + 4 :] == _PNG_MARK


def is_our_archive(path: Path, members: set[str]) -> bool:
    """Whether a file is an `.npz` that has these members; False where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return members <= set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def are_our_weights(path: Path) -> bool:
    """Whether samlet wrote a safetensors file with its mark; False where it cannot be read."""
    try:
        return MARK in read_safetensors_metadata(path)
    except DataError:
        return False


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _seen_from(image: Path, folder: Path) -> str:
    place = image.resolve()
    try:
        return Path(os.path.relpath(place, folder.resolve())).as_posix()
    except ValueError:  # on another drive
        return place.as_posix()
