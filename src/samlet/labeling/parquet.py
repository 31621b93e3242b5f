"""Results as Parquet: a table of masks, one of images, and one of what could not be labeled, a file of each a shard.

Plain types, zstd, no index: pyarrow, DuckDB, pandas and Spark read `masks/*.parquet` as one table.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from samlet.extras import import_with_extra
from samlet.labeling.items import Item
from samlet.labeling.job import ModelFacts
from samlet.labeling.places import Place
from samlet.labeling.results import BrokenItem, LabeledImage, ShardResult, shard_name

if TYPE_CHECKING:
    import pyarrow as pa

MASKS, IMAGES, QUARANTINE = "masks", "images", "quarantine"
_ZSTD_LEVEL = 3


@dataclass(frozen=True)
class ParquetSink:
    """Writes `masks/N.parquet`, `images/N.parquet` and, if anything is broken, `quarantine/N.parquet`."""

    place: Place
    model: ModelFacts

    def write(self, result: ShardResult, read: Callable[[Item], bytes]) -> dict[str, str]:
        """See `Sink`."""
        del read
        digests = {}
        for name, content in self.files(result).items():
            self.place.write(name, content)
            digests[name] = hashlib.sha256(content).hexdigest()
        return digests

    def files(self, result: ShardResult) -> dict[str, bytes]:
        """The content of each file of a shard."""
        tables = {MASKS: self._masks(result.images), IMAGES: self._images(result.images)}
        files = {_file_name(folder, result.number): _content(table) for folder, table in tables.items()}
        return files | quarantine_files(result)

    def files_of(self, number: int) -> Iterator[str]:
        """See `Sink`."""
        return (_file_name(folder, number) for folder in (MASKS, IMAGES, QUARANTINE))

    def _masks(self, images: Sequence[LabeledImage]) -> pa.Table:
        rows = [
            (image, number, mask, label)
            for image in images
            for number, (mask, label) in enumerate(zip(image.masks, image.labels, strict=True))
        ]
        columns: dict[str, list[Any]] = {
            **_of_images([image for image, _, _, _ in rows]),
            "mask": [number for _, number, _, _ in rows],
            "rle": [mask.rle["counts"].decode() for _, _, mask, _ in rows],
            "box_xywh": [list(mask.box_xywh) for _, _, mask, _ in rows],
            "area_px": [mask.area_px for _, _, mask, _ in rows],
            "iou": [mask.iou for _, _, mask, _ in rows],
            "stability": [mask.stability for _, _, mask, _ in rows],
            "label": [label for _, _, _, label in rows],
        }
        return _table(masks_schema(), self._with_model(columns, len(rows)))

    def _images(self, images: Sequence[LabeledImage]) -> pa.Table:
        columns = {**_of_images(images), "masks": [len(image.masks) for image in images]}
        return _table(images_schema(), self._with_model(columns, len(images)))

    def _with_model(self, columns: dict[str, list[Any]], rows: int) -> dict[str, list[Any]]:
        return {**columns, "model": [self.model.name] * rows, "weights_sha256": [self.model.weights_sha256] * rows}


def quarantine_files(result: ShardResult) -> dict[str, bytes]:
    """The file of a shard's images that could not be labeled, whatever the others become; empty if there is none."""
    if not result.broken:
        return {}
    return {_file_name(QUARANTINE, result.number): _content(_quarantine(result.broken))}


@lru_cache(maxsize=1)
def masks_schema() -> pa.Schema:
    """A row is a mask: `rle` is COCO's text of the run lengths of a picture of `height` x `width`.

    `mask` counts the masks of an image; `iou` is what the model predicts; `sha256` is of the image's file.
    """
    arrow = _arrow()
    return arrow.schema(
        [
            *_image_fields(),
            ("mask", arrow.int32()),
            ("rle", arrow.string()),
            ("box_xywh", arrow.list_(arrow.int32())),
            ("area_px", arrow.int64()),
            ("iou", arrow.float32()),
            ("stability", arrow.float32()),
            ("label", arrow.string()),
            ("model", arrow.string()),
            ("weights_sha256", arrow.string()),
        ]
    )


@lru_cache(maxsize=1)
def images_schema() -> pa.Schema:
    """A row is an image that was labeled, with the number of its masks, which may be 0."""
    arrow = _arrow()
    model = [("model", arrow.string()), ("weights_sha256", arrow.string())]
    return arrow.schema([*_image_fields(), ("masks", arrow.int32()), *model])


@lru_cache(maxsize=1)
def quarantine_schema() -> pa.Schema:
    """A row is an image that could not be labeled, and why."""
    arrow = _arrow()
    text = ("image_id", "path", "version", "reason")
    return arrow.schema([*((name, arrow.string()) for name in text), ("size_bytes", arrow.int64())])


def _image_fields() -> list[tuple[str, Any]]:
    arrow = _arrow()
    text = [("image_id", arrow.string()), ("path", arrow.string())]
    numbers = [("size_bytes", arrow.int64()), ("height", arrow.int32()), ("width", arrow.int32())]
    return [*text, *numbers, ("sha256", arrow.string())]


def _of_images(images: Sequence[LabeledImage]) -> dict[str, list[Any]]:
    return {
        "image_id": [image.item.image_id for image in images],
        "path": [image.item.path for image in images],
        "size_bytes": [image.size_bytes for image in images],
        "height": [image.size_hw[0] for image in images],
        "width": [image.size_hw[1] for image in images],
        "sha256": [image.sha256 for image in images],
    }


def _quarantine(broken: Sequence[BrokenItem]) -> pa.Table:
    columns = {
        "image_id": [each.item.image_id for each in broken],
        "path": [each.item.path for each in broken],
        "version": [each.item.version for each in broken],
        "reason": [each.reason for each in broken],
        "size_bytes": [each.item.size_bytes for each in broken],
    }
    return _table(quarantine_schema(), columns)


def _table(schema: pa.Schema, columns: dict[str, list[Any]]) -> pa.Table:
    return _arrow().Table.from_pydict(columns, schema=schema)


def _content(table: pa.Table) -> bytes:
    parquet = import_with_extra("pyarrow.parquet", "label", "samlet label")
    stream = io.BytesIO()
    parquet.write_table(table, stream, compression="zstd", compression_level=_ZSTD_LEVEL)
    return stream.getvalue()


def _file_name(folder: str, number: int) -> str:
    return f"{folder}/{shard_name(number)}.parquet"


def _arrow() -> Any:
    return import_with_extra("pyarrow", "label", "samlet label")
