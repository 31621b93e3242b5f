"""SA-1B as it is published: tar shards of `sa_1.jpg` + `sa_1.json` pairs, read where they lie, never unpacked."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from samlet.data.fields import image_size_hw
from samlet.data.image_folder import IMAGE_SUFFIXES
from samlet.data.sa1b import parse_record
from samlet.data.sample import Opened, Sample, source_of
from samlet.errors import DataError
from samlet.images import decode_image
from samlet.reading import decoding


@dataclass(frozen=True)
class Member:
    """A file inside an uncompressed tar: `size` bytes from `offset` on. It can be pickled, for other processes."""

    shard: Path
    name: str
    offset: int
    size: int

    def __call__(self) -> NDArray[np.uint8]:
        """The member as an image, uint8 RGB [H, W, 3]; ImageError if it is none."""
        return decode_image(self.read(), str(self))

    def read(self) -> bytes:
        """The content; DataError if the shard is gone or cut off."""
        try:
            with self.shard.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise DataError(f"{self.shard} cannot be read: {error.strerror or error}.") from error
        if len(content) < self.size:
            raise DataError(f"{self.shard} is cut off inside {self.name}: fetch the shard again.")
        return content

    def __str__(self) -> str:
        return f"{self.shard}, {self.name}"


def read_shard(path: Path) -> Opened:
    """The images of one shard by name, with the records beside them, and the records whose image is missing.

    One pass over the headers and one over the records; pixels stay in the tar until a sample is read.
    Raises DataError for a file that is no plain tar, an empty one and damaged records.
    """
    pairs, missing = list_pairs(path)
    return Opened([read_pair(image, record) for image, record in pairs], missing)


def list_pairs(path: Path) -> tuple[list[tuple[Member, Member | None]], list[str]]:
    """The images of a shard by name, each with its record if it has one, and the records without image.

    Headers are read, nothing else. Raises DataError for a file that is no plain tar, or an empty one.
    """
    members = _members(path)
    images = {_stem(member): member for member in members if _suffix(member) in IMAGE_SUFFIXES}
    records = {_stem(member): member for member in members if _suffix(member) == ".json"}
    if not images and not records:
        raise DataError(f"{path} holds no image with a record: a shard holds NAME.jpg + NAME.json pairs.")
    pairs = [(images[name], records.get(name)) for name in sorted(images)]
    return pairs, [records[name].name for name in sorted(set(records) - set(images))]


def read_pair(image: Member, record: Member | None) -> Sample:
    """An image of a shard with what its record says; DataError names a damaged record."""
    name = _stem(image)
    if record is None:
        return Sample(name, source_of(name), image, image_size_hw(image.read(), str(image)))
    text = record.read()
    with decoding(str(record), "JSON"):
        content = json.loads(text)
    return parse_record(content, name, image, where=str(record))


def _members(path: Path) -> list[Member]:
    try:
        # "r:" refuses compression, under which a member has no place of its own to be read from.
        with tarfile.open(path, "r:") as shard:
            return [Member(path, info.name, info.offset_data, info.size) for info in shard if info.isreg()]
    except tarfile.TarError as error:
        raise DataError(f"{path} is not a plain tar ({error}): decompress it, or fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from error


def _stem(member: Member) -> str:
    return PurePosixPath(member.name).stem


def _suffix(member: Member) -> str:
    # macOS's tar adds "._NAME" beside every file.
    place = PurePosixPath(member.name)
    return "" if place.name.startswith(".") else place.suffix.lower()
