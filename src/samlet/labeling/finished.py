"""Results of a finished job as masks again, whatever form they were written in: image by image, by id."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

from samlet.data.shards import is_photo_member, list_places
from samlet.errors import DataError, InputError, OutputError
from samlet.extras import import_with_extra
from samlet.geometry.rle import Rle
from samlet.labeling.job import Job, read_job
from samlet.labeling.parquet import IMAGES, MASKS
from samlet.labeling.places import Place
from samlet.labeling.plan import make_plan
from samlet.labeling.results import shard_name
from samlet.labeling.sa1b import FOLDER as SA1B
from samlet.labeling.sources.stores import opened
from samlet.masks import Mask, MaskSet
from samlet.reading import decoding


@dataclass(frozen=True)
class FinishedImage:
    """The masks of one image; `labels` has the class of each, None where nobody named it."""

    image_id: str
    masks: MaskSet
    labels: tuple[str | None, ...]


def finished_job(place: Place) -> Job:
    """The job of an output. InputError if there is none, or if it is not finished."""
    job = read_job(place)
    if job is None:
        raise InputError(f"{place.name} holds no job of samlet label.")
    waiting = make_plan(place, job).waiting
    if waiting:
        raise InputError(
            f"{place.name} is not finished: {job.shards - len(waiting):,} of {job.shards:,} shards are done. Give its "
            "samlet label command again."
        )
    return job


def read_results(place: Place, job: Job) -> Iterator[FinishedImage]:
    """All images of a finished job that were labeled, one shard in memory at a time."""
    for number in range(job.shards):
        yield from read_shard(place, job, number)


def read_shard(place: Place, job: Job, number: int) -> Iterator[FinishedImage]:
    """The images of one shard; OutputError if its file is gone, DataError if it is damaged."""
    return _from_tar(place, number) if job.output == "sa1b" else _from_parquet(place, number)


def _from_parquet(place: Place, number: int) -> Iterator[FinishedImage]:
    images = _columns(place, f"{IMAGES}/{shard_name(number)}.parquet", ("image_id", "height", "width", "masks"))
    names = ("rle", "iou", "stability", "label")
    masks = zip(*_columns(place, f"{MASKS}/{shard_name(number)}.parquet", names), strict=True)
    for image_id, height, width, count in zip(*images, strict=True):
        rows = list(islice(masks, count))
        found = [
            Mask(Rle(size=[height, width], counts=text.encode()), iou, stability) for text, iou, stability, _ in rows
        ]
        yield FinishedImage(image_id, MaskSet(found, (height, width)), tuple(label for *_, label in rows))


def _columns(place: Place, name: str, columns: tuple[str, ...]) -> list[list[Any]]:
    parquet = import_with_extra("pyarrow.parquet", "label", "Reading results")
    content = place.read(name)
    if content is None:
        raise OutputError(f"{place.name}/{name} is gone: give the samlet label command of its job again.")
    with decoding(f"{place.name}/{name}", "Parquet"):
        table = parquet.ParquetFile(io.BytesIO(content)).read(columns=list(columns))
    return [table[column].to_pylist() for column in columns]


def _from_tar(place: Place, number: int) -> Iterator[FinishedImage]:
    """Of a shard the records alone are read."""
    shard = f"{place.name}/{SA1B}/{shard_name(number)}.tar"
    with opened(shard) as (file, size):
        places = {member.name: member for member in list_places(file, size, shard)}
        for name in filter(is_photo_member, places):
            record = places.get(str(PurePosixPath(name).with_suffix(".json")))
            if record is None:
                raise DataError(f"{shard} has no record of {name}: it is damaged.")
            file.seek(record.offset)
            with decoding(f"{shard}, {record.name}", "JSON"):
                content = json.loads(file.read(record.size))
            labels = tuple(each.get("label") for each in content["annotations"])
            yield FinishedImage(content["image"].get("source", name), MaskSet.from_json(content), labels)
