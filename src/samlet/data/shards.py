"""SA-1B as it is published: tar shards of `sa_1.jpg` + `sa_1.json` pairs, read where they lie, never unpacked."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samlet.data.fields import image_size_hw
from samlet.data.image_folder import IMAGE_SUFFIXES
from samlet.data.matching import pair_records, stated_name
from samlet.data.sa1b import parse_record
from samlet.data.sample import Opened, Sample, source_of
from samlet.errors import DataError
from samlet.images import decode_image
from samlet.reading import decoding, reading

_END = bytes(tarfile.BLOCKSIZE)


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

    @property
    def place(self) -> PurePath:
        """The member's path, with the shard as a folder."""
        return self.shard / self.name

    def read(self) -> bytes:
        """The content; DataError if the shard is gone or cut off."""
        with reading(self.shard, "a tar"), self.shard.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
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
    members = {member.name: member for member in list_members(path)}
    images = sorted((name for name in members if _suffix(name) in IMAGE_SUFFIXES), key=_stem)
    records = sorted((name for name in members if _suffix(name) == ".json"), key=_stem)
    if not images and not records:
        raise DataError(f"{path} holds no image with a record: a shard holds NAME.jpg + NAME.json pairs.")
    record_of, alone = pair_records(images, records, lambda record: stated_name(_content(members[record])))
    return [(members[name], members.get(record_of.get(name, ""))) for name in images], alone


def read_pair(image: Member, record: Member | None) -> Sample:
    """An image of a shard with what its record says; DataError names a damaged record."""
    name = _stem(image.name)
    if record is None:
        return Sample(name, source_of(name), image, image_size_hw(image.read(), str(image)))
    return parse_record(_content(record), name, image, where=str(record))


def list_members(path: Path) -> list[Member]:
    """The files of a plain tar, in its order; headers are read, nothing else. Raises DataError as `list_places`."""
    with reading(path, "a tar"), path.open("rb") as file:
        return [Member(path, *place) for place in list_places(file, path.stat().st_size, str(path))]


class Place(NamedTuple):
    """Where a file lies inside a tar: `size` bytes from `offset` on."""

    name: str
    offset: int
    size: int


def list_places(file: BinaryIO, size: int, shard: str) -> list[Place]:
    """Where the files of an open plain tar of `size` bytes lie, in its order; headers are read, nothing else.

    Raises DataError, which calls it `shard`, for what is no plain tar, for one that is cut off or damaged behind its
    first member, and if two members have one name. The sentence says how many members were good and which was the last.
    """
    places: list[Place] = []
    try:
        # "r:" refuses compression, under which a member has no place of its own to be read from.
        with tarfile.open(fileobj=file, mode="r:") as opened:
            for info in opened:
                _check_whole(shard, info, size, len(places))
                if info.isreg():
                    places.append(Place(_plain(info.name), info.offset_data, info.size))
            _check_end(shard, file, opened.offset, places)
    except tarfile.ReadError as error:
        if not places:
            raise DataError(f"{shard} is not a plain tar ({error}): decompress it, or fetch it again.") from error
        raise DataError(_damaged(shard, places)) from error
    _check_once(shard, places)
    return places


def is_photo_member(name: str) -> bool:
    """Whether a file of a tar is an image by its name, and no "._NAME", which macOS adds beside every file."""
    return _suffix(name) in IMAGE_SUFFIXES


def _check_whole(shard: str, info: tarfile.TarInfo, size: int, good: int) -> None:
    if info.size < 0 or info.offset_data + (info.size if info.isreg() else 0) > size:
        raise DataError(f"{shard} is cut off inside {info.name}, behind {good} whole members: fetch the shard again.")


def _check_end(shard: str, file: BinaryIO, offset: int, good: list[Place]) -> None:
    """tarfile takes a header that it cannot read, or none at all, for the end; a whole tar ends with empty blocks."""
    file.seek(offset)
    block = file.read(tarfile.BLOCKSIZE)
    if good and block != _END:
        raise DataError(_damaged(shard, good))


def _damaged(shard: str, good: list[Place]) -> str:
    return (
        f"{shard} is cut off or damaged behind {good[-1].name}, its member number {len(good)}; what follows cannot be "
        "read: fetch the shard again."
    )


def _check_once(shard: str, places: list[Place]) -> None:
    seen: set[str] = set()
    for place in places:
        if place.name in seen and _suffix(place.name):
            raise DataError(f"{shard} holds two members named {place.name}: which one counts cannot be told.")
        seen.add(place.name)


def _content(record: Member) -> Any:
    text = record.read()
    with decoding(str(record), "JSON"):
        return json.loads(text)


def _plain(name: str) -> str:
    return PurePosixPath(name).as_posix()


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix()


def _suffix(name: str) -> str:
    # macOS's tar adds "._NAME" beside every file.
    place = PurePosixPath(name)
    return "" if place.name.startswith(".") else place.suffix.lower()
