"""Results as SA-1B's tar shards: each photo as it is, and beside it the record of its masks.

What reads SA-1B reads them: `samlet train`, `samlet eval`, and `data.shards`. The photos are copied, so that a shard
stands for itself.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from samlet.data.image_folder import IMAGE_SUFFIXES
from samlet.data.matching import parts_of
from samlet.errors import DataError
from samlet.labeling.items import Item
from samlet.labeling.parquet import quarantine_files
from samlet.labeling.places import Place
from samlet.labeling.results import LabeledImage, ShardResult, shard_name

FOLDER = "sa1b"
_END = bytes(2 * tarfile.BLOCKSIZE)


@dataclass(frozen=True)
class Sa1bSink:
    """Writes `sa1b/N.tar` and, if anything is broken, `quarantine/N.parquet`."""

    place: Place

    def write(self, result: ShardResult, read: Callable[[Item], bytes]) -> dict[str, str]:
        """See `Sink`. DataError if a photo is not what it was when it was labeled."""
        digest = hashlib.sha256()

        def counted() -> Iterator[bytes]:
            for piece in tar_of(result.images, read):
                digest.update(piece)
                yield piece

        name = next(self.files_of(result.number))
        self.place.write(name, counted())
        digests = {name: digest.hexdigest()}
        for broken, content in quarantine_files(result).items():
            self.place.write(broken, content)
            digests[broken] = hashlib.sha256(content).hexdigest()
        return digests

    def files_of(self, number: int) -> Iterator[str]:
        """See `Sink`."""
        return iter((f"{FOLDER}/{shard_name(number)}.tar", f"quarantine/{shard_name(number)}.parquet"))


def tar_of(images: Sequence[LabeledImage], read: Callable[[Item], bytes]) -> Iterator[bytes]:
    """A plain tar in pieces, one photo in memory at a time; no clock, user or machine is in it."""
    for image, name in zip(images, member_names([image.item for image in images]), strict=True):
        photo = read(image.item)
        if hashlib.sha256(photo).hexdigest() != image.sha256:
            raise DataError(f"{image.item.path} was changed while it was labeled: start again when it stays as it is.")
        yield from _member(name, photo)
        yield from _member(str(PurePosixPath(name).with_suffix(".json")), _record(image, name))
    yield _END


def member_names(items: Sequence[Item]) -> list[str]:
    """What each photo is called in a tar: by its id, a suffix made sure of, and no two but for their suffixes."""
    names = [_name(item) for item in items]
    shared = {stem for stem, count in Counter(map(_stem, names)).items() if count > 1}
    return [name if _stem(name) not in shared else _told_apart(name) for name in names]


def _name(item: Item) -> str:
    name = "/".join(parts_of(item.image_id)) or "image"
    if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
        return name
    suffix = PurePosixPath(item.path).suffix.lower()
    return name + (suffix if suffix in IMAGE_SUFFIXES else ".jpg")


def _stem(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(""))


def _told_apart(name: str) -> str:
    """`a.png` beside `a.jpg` is `a_png.png`."""
    suffix = PurePosixPath(name).suffix
    return f"{_stem(name)}_{suffix[1:]}{suffix}"


def _record(image: LabeledImage, name: str) -> bytes:
    record = image.masks.to_json(name)
    record["image"]["source"] = image.item.image_id
    for annotation, label in zip(record["annotations"], image.labels, strict=True):
        if label is not None:
            annotation["label"] = label
    return json.dumps(record).encode()


def _member(name: str, content: bytes) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    yield info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
    yield content
    yield bytes(-len(content) % tarfile.BLOCKSIZE)
