"""Which images a job has: its sources, listed once, in order of image id, kept as Parquet in pieces.

A shard is a run of that order, and one row group of a piece. The digest is of what the sources say, in their order: a
source that changed is found by listing it again, without sorting.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from samlet.errors import InputError, OutputError
from samlet.extras import import_with_extra
from samlet.geometry.rle import Rle
from samlet.labeling.items import Item, ItemPrompts, ObjectPrompt, Source
from samlet.labeling.places import Place
from samlet.labeling.runs import SortedRows

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "listing"
_ROWS_AT_ONCE = 16_384
_ROWS_OF_PIECE = 65_536
_SHARDS_OF_PIECE = 1024
_encode = json.JSONEncoder(separators=(",", ":")).encode


class Listed(NamedTuple):
    """An image, and the number of the source that it is read from."""

    item: Item
    source: int


class Listing:
    """All images of a job in order of image id; few are held in memory, many lie in runs on the disk."""

    def __init__(self, rows: SortedRows, sha256: str, sources: Sequence[Source]) -> None:
        self._rows = rows
        self._sources = sources
        self.sha256 = sha256

    def __len__(self) -> int:
        return len(self._rows)

    @classmethod
    def of(cls, sources: Sequence[Source]) -> Listing:
        """List all sources. InputError if there is no image."""
        arrow = _arrow()
        digest, sorted_rows = hashlib.sha256(), SortedRows("image_id")
        rows = _rows(sources, digest)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            columns = [list(column) for column in zip(*some, strict=True)]
            sorted_rows.add(arrow.Table.from_arrays(_arrays(columns), schema=_schema()))
        if not len(sorted_rows):
            raise InputError(f"There is no image to label in {', '.join(source.name for source in sources)}.")
        return cls(sorted_rows, digest.hexdigest(), sources)

    def sample(self, count: int) -> list[Listed]:
        """At most so many images, spread evenly over what the sources listed."""
        count = min(count, len(self))
        step = len(self) / count
        return _listed(self._rows.take([int((number + 0.5) * step) for number in range(count)]))

    def check(self) -> None:
        """InputError if two images have one id."""
        for _ in self._checked():
            pass

    def write(self, place: Place, images_per_shard: int) -> None:
        """Keep the listing in pieces; a row group is a shard. InputError if two images have one id."""
        parquet = import_with_extra("pyarrow.parquet", "label", "samlet label")
        rows = images_per_shard * shards_of_piece(images_per_shard)
        for number, piece in enumerate(_in_pieces(self._checked(), rows)):
            stream = io.BytesIO()
            parquet.write_table(piece, stream, row_group_size=images_per_shard, compression="zstd")
            place.write(_piece_name(number), stream.getvalue())

    def _checked(self) -> Iterator[pa.Table]:
        """The rows in order; InputError names two images of one id."""
        compute = import_with_extra("pyarrow.compute", "label", "samlet label")
        last = None
        for table in self._rows.blocks():
            seen = table if last is None else _arrow().concat_tables([last, table])
            ids = seen["image_id"]
            twice = compute.index(compute.equal(ids[:-1], ids[1:]), value=True).as_py()
            if twice >= 0:
                raise self._twice(*seen.slice(twice, 2).to_pylist())
            last = table.slice(table.num_rows - 1)
            yield table

    def _twice(self, first: dict[str, Any], second: dict[str, Any]) -> InputError:
        places = [f"{row['path']} of {self._sources[row['source']].name}" for row in (first, second)]
        return InputError(
            f'Two images have the id "{first["image_id"]}": {places[0]} and {places[1]}. Label them into two outputs, '
            "or give a manifest with ids of its own."
        )


def _in_pieces(tables: Iterator[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same rows, so many in each table, the last with fewer."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        while sum(each.num_rows for each in waiting) >= rows:
            together = _arrow().concat_tables(waiting)
            yield together.slice(0, rows)
            waiting = [together.slice(rows)]
    if sum(each.num_rows for each in waiting):
        yield _arrow().concat_tables(waiting)


def digest_of(sources: Sequence[Source]) -> tuple[int, str]:
    """How many images the sources have now, and their digest, without keeping any."""
    digest = hashlib.sha256()
    return sum(1 for _ in _rows(sources, digest)), digest.hexdigest()


class KeptListing:
    """The listing in an output, read a shard at a time; the piece that was read last stays in memory.

    OutputError if the listing was lost.
    """

    def __init__(self, place: Place, images_per_shard: int) -> None:
        self._place = place
        self._of_piece = shards_of_piece(images_per_shard)
        self._opened: tuple[int, Any] = (-1, None)

    def shard(self, number: int) -> list[Listed]:
        """The images of one shard."""
        wanted, row_group = divmod(number, self._of_piece)
        if self._opened[0] != wanted:
            self._opened = wanted, _parquet_file(self._place, _piece_name(wanted))
        return _listed(self._opened[1].read_row_group(row_group))


def image_ids(place: Place) -> list[str]:
    """The ids of all images of a job, in order; OutputError if the listing was lost."""
    pieces = (_parquet_file(place, f"{FOLDER}/{name}") for name in place.names(FOLDER))
    return [image_id for piece in pieces for image_id in piece.read(columns=["image_id"])["image_id"].to_pylist()]


def difference(place: Place, sources: Sequence[Source]) -> str:
    """What the sources have now that the kept listing has not, or the other way round, as half a sentence."""
    before: dict[str, str] = {}
    for name in place.names(FOLDER):
        for listed in _listed(_parquet_file(place, f"{FOLDER}/{name}").read()):
            before[listed.item.image_id] = _identity(listed.item)
    for source in sources:
        for item in source.items():
            known = before.pop(item.image_id, None)
            if known is None:
                return f"{item.image_id} of {source.name} is new"
            if known != _identity(item):
                return f"{item.image_id} of {source.name} has changed"
    return f"{next(iter(before))} is gone" if before else "the order or the sources have changed"


def shards_of_piece(images_per_shard: int) -> int:
    """How many shards one piece of the listing holds."""
    return max(1, min(_SHARDS_OF_PIECE, _ROWS_OF_PIECE // images_per_shard))


def _rows(sources: Sequence[Source], digest: Any) -> Iterator[tuple[str, int, str, int, str, str | None]]:
    """A row for each image, all of which the digest is told."""
    for number, source in enumerate(sources):
        for item in source.items():
            prompts = None if item.prompts is None else prompts_to_json(item.prompts)
            row = (item.image_id, number, item.path, item.size_bytes, item.version, prompts)
            _check_text(item, source)
            digest.update(repr(row).encode())
            yield row


def _check_text(item: Item, source: Source) -> None:
    if not (item.image_id.isprintable() and item.path.isascii()):
        try:
            f"{item.image_id}{item.path}".encode()
        except UnicodeEncodeError as error:
            name = item.path.encode(errors="backslashreplace").decode()
            raise InputError(f"{name} in {source.name} is no name in UTF-8, which tables need: rename it.") from error


def _identity(item: Item) -> str:
    return repr((item.path, item.size_bytes, item.version, item.prompts))


def _listed(table: pa.Table) -> list[Listed]:
    names = ("image_id", "path", "size_bytes", "version", "prompts", "source")
    columns = [table[name].to_pylist() for name in names]
    return [
        Listed(Item(image_id, path, size_bytes, version, _prompts_of(prompts)), source)
        for image_id, path, size_bytes, version, prompts, source in zip(*columns, strict=True)
    ]


def prompts_to_json(prompts: ItemPrompts) -> str:
    """Prompts as compact JSON, of which what is not given is left out."""
    return _encode([_record(each) for each in prompts])


def _record(each: ObjectPrompt) -> dict[str, Any]:
    # by hand: dataclasses.asdict takes as long as all else of a listing
    record: dict[str, Any] = {}
    if each.box_xyxy is not None:
        record["box_xyxy"] = each.box_xyxy
    if each.points_xy:
        record["points_xy"], record["point_labels"] = each.points_xy, each.point_labels
    if each.mask is not None:
        record["mask"] = {"size": list(each.mask["size"]), "counts": each.mask["counts"].decode()}
    if each.label is not None:
        record["label"] = each.label
    return record


def _prompts_of(text: str | None) -> ItemPrompts | None:
    return None if text is None else tuple(_prompt(record) for record in json.loads(text))


def _prompt(record: dict[str, Any]) -> ObjectPrompt:
    mask, box = record.get("mask"), record.get("box_xyxy")
    return ObjectPrompt(
        box_xyxy=None if box is None else tuple(box),
        points_xy=tuple((x, y) for x, y in record.get("points_xy", ())),
        point_labels=tuple(record.get("point_labels", ())),
        mask=None if mask is None else Rle(size=list(mask["size"]), counts=mask["counts"].encode()),
        label=record.get("label"),
    )


def _arrow() -> Any:
    return import_with_extra("pyarrow", "label", "samlet label")


@lru_cache(maxsize=1)
def _schema() -> pa.Schema:
    arrow = _arrow()
    return arrow.schema(
        [
            ("image_id", arrow.large_string()),
            ("source", arrow.int16()),
            ("path", arrow.large_string()),
            ("size_bytes", arrow.int64()),
            ("version", arrow.large_string()),
            ("prompts", arrow.large_string()),
        ]
    )


def _arrays(columns: Sequence[list[Any]]) -> list[Any]:
    arrow = _arrow()
    return [arrow.array(column, field.type) for column, field in zip(columns, _schema(), strict=True)]


def _piece_name(number: int) -> str:
    return f"{FOLDER}/{number:06}.parquet"


def _parquet_file(place: Place, name: str) -> Any:
    parquet = import_with_extra("pyarrow.parquet", "label", "samlet label")
    content = place.read(name)
    if content is None:
        raise OutputError(f"{place.name}/{name} is gone: without its listing a job cannot go on; start it elsewhere.")
    return parquet.ParquetFile(io.BytesIO(content))
