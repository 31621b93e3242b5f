"""What `samlet label` costs beside the network, and how near its processes come to the encoder's own speed.

    python benchmarks/label.py overhead                       a manifest of 10⁶ rows, a backend that takes no time
    python benchmarks/label.py efficiency --photos FOLDER     the shipped model: one process, two, and the loop by hand

`overhead`: all rows name one tiny picture, each with a box; what is left is listing, reading, decoding, asking, rows,
Parquet and markers. Then the finished job is begun again. Memory is the most that a process has held, above what it
held when it began.
`efficiency`: images a second of the encoder alone; of `samlet label` with one process and with two, which answer a box
in each photo; and of a plain loop over photos. They take turns, each with one thread for its network and a core for
each process: the threads of a worker that read and encode ahead would use a second core if it were idle.
Each prints a table and one JSON line.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from typing import Any, Literal

import cyclopts
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from samlet.backend import ArrayMaskLogits, Embedding, MaskLogits
from samlet.benchmarking.processes import peak_memory_mb
from samlet.cli.tables import print_table
from samlet.data.image_folder import is_photo
from samlet.files import write_aside
from samlet.geometry.rle import encode
from samlet.images import read_image
from samlet.labeling.asking import Prompted
from samlet.labeling.driver import Order, label
from samlet.labeling.engines.local import LocalEngine
from samlet.labeling.items import Item, ObjectPrompt, Source
from samlet.labeling.job import ModelFacts
from samlet.labeling.places import Folder
from samlet.labeling.sources import open_sources
from samlet.labeling.status import Status
from samlet.labeling.worker import ShardDone
from samlet.loading import load
from samlet.masks import Mask, MaskSet
from samlet.png import picture_png
from samlet.predictor import Predictor
from samlet.preprocess import to_pixels
from samlet.prompts import Prompts
from samlet.runtime.cpu import cpu_name
from samlet.runtime.graphs import usable_cores
from samlet.spec import ImageSpec, ModelSpec
from samlet.tokens import PromptTokens

SIDE = 16  # of the tiny picture, and of all that a model of no time computes with
TINY = ImageSpec(canvas=SIDE, prompt_canvas=SIDE, grid=1, channels=1, low_res=SIDE)
ROWS_AT_ONCE = 100_000

app = cyclopts.App(help_format="plaintext")


class NoTimeBackend:
    """Every answer is the same square, there at once."""

    name = "no-time"
    spec = ModelSpec("no-time", "benchmark", TINY, "none:none", {}, 0, 0, "Apache-2.0")

    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """One number an image."""
        return {"image_embeddings": np.zeros((len(pixels), 1, 1, 1), np.float32)}

    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> MaskLogits:
        """The square, four times a prompt."""
        del features
        square = np.full((1, SIDE, SIDE), -8.0, np.float32)
        square[:, 4:12, 4:12] = 8.0
        iou = np.tile(np.array([0.5, 0.7, 0.9, 0.8], np.float32), (len(tokens), 1))
        return ArrayMaskLogits(iou, lambda rows, _: np.repeat(square, len(rows), axis=0))


@dataclass(frozen=True)
class NoTimeAsk:
    """One mask an image, made before; the predictor is not asked at all."""

    what: Literal["prompts"] = "prompts"
    embeds: bool = False

    def to_json(self) -> dict[str, Any]:
        """Nothing to say."""
        return {"what": self.what}

    def answer(
        self, predictor: Predictor, item: Item, image: NDArray[np.uint8], embedding: Embedding | None
    ) -> tuple[MaskSet, tuple[str | None, ...]]:
        """The mask."""
        del predictor, item, image, embedding
        return MaskSet([_MASK], _MASK.size_hw), (None,)


_MASK = Mask(encode(np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % 5 == 0), iou=0.9, stability=0.9)


@app.command
def overhead(
    *,
    images: int = 1_000_000,
    workers: int = 2,
    images_per_shard: int = 1000,
    through: Literal["predictor", "nothing"] = "predictor",
) -> None:
    """Label a manifest of so many rows with a model that takes no time.

    Parameters
    ----------
    through: predictor: its backend takes no time; nothing: it is not asked, and what is left is samlet label's own.
    images: rows of the manifest.
    workers: processes.
    images_per_shard: images in a shard.
    """
    with tempfile.TemporaryDirectory(prefix="samlet-") as folder:
        place = Path(folder)
        _write_manifest(place, images)
        predictor = Predictor(NoTimeBackend(), "none")
        order = Order(
            sources=tuple(open_sources([str(place / "many.parquet")])),
            ask=Prompted(refine="none", clean=False) if through == "predictor" else NoTimeAsk(),
            predictor=predictor,
            model=ModelFacts("no-time", "none", "no-time", threads=1),
            place=Folder(place / "out"),
            images_per_shard=images_per_shard,
        )
        held = peak_memory_mb() or 0.0
        first = _Watch()
        started, cpu = time.perf_counter(), sum(os.times()[:4])
        status = label(order, LocalEngine(workers), on_shard=first)
        spent, cpu = time.perf_counter() - started, sum(os.times()[:4]) - cpu
        started = time.perf_counter()
        label(order, LocalEngine(workers))
        resumed = time.perf_counter() - started
        written = sum(path.stat().st_size for path in (place / "out").rglob("*") if path.is_file())
    result = {
        "images": images,
        "through": through,
        "images_per_second": images / spent,
        "cpu_ms_per_image": cpu / images * 1e3,
        "images_per_second_while_labeling": images / (spent - first.before),
        "before_the_first_shard_s": first.before,
        "resume_s": resumed,
        "driver_mb": (peak_memory_mb() or 0.0) - held,
        "worker_mb": max(first.worker_mb.values(), default=0.0),
        "bytes_per_image": written / images,
        "workers": workers,
        "seconds_by_stage": dict(status.seconds),
    }
    _print("overhead", result)


class _Watch:
    """Notes when the first shard is done, and the most that each worker has held."""

    def __init__(self) -> None:
        self.before = 0.0
        self.worker_mb: dict[int, float] = {}
        self._started = time.perf_counter()

    def __call__(self, shard: ShardDone, _status: Status) -> None:
        self.before = self.before or time.perf_counter() - self._started
        if shard.shard % 50 == 0:
            self.worker_mb |= {child.pid or 0: _held_mb(child.pid or 0) for child in active_children()}


def _held_mb(process: int) -> float:
    """The most a process has held, in millions of bytes; 0 where the system does not tell."""
    status = Path(f"/proc/{process}/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), 0.0)


def _write_manifest(folder: Path, images: int) -> None:
    """One tiny picture, and a manifest that names it so many times."""
    (folder / "tiny.png").write_bytes(b"".join(picture_png(np.full((SIDE, SIDE, 3), 128, np.uint8))))
    boxes = pa.list_(pa.list_(pa.float32()))
    schema = pa.schema([("image_id", pa.string()), ("path", pa.string()), ("boxes_xyxy", boxes)])
    with pq.ParquetWriter(folder / "many.parquet", schema) as writer:
        for start in range(0, images, ROWS_AT_ONCE):
            numbers = range(start, min(start + ROWS_AT_ONCE, images))
            columns: dict[str, Any] = {
                "image_id": [f"{number:09}" for number in numbers],
                "path": ["tiny.png"] * len(numbers),
                "boxes_xyxy": [[[3.0, 3.0, 13.0, 13.0]]] * len(numbers),
            }
            writer.write_table(pa.table(columns, schema))


@app.command
def efficiency(*, photos: Path, limit: int = 64, rounds: int = 3, refine: Literal["none", "auto"] = "none") -> None:
    """Compare one process and two with the encoder's own speed and with a plain loop.

    Parameters
    ----------
    photos: a folder of photos.
    limit: at most so many.
    rounds: how often each way is measured; the median counts.
    refine: none is the network's own answer; auto looks twice, as `samlet segment` does.
    """
    paths = sorted(path for path in photos.iterdir() if is_photo(path.name))[:limit]
    predictor = load(threads=1)
    source = _Boxed(tuple(map(str, paths)))
    ways: dict[str, Callable[[], float]] = {
        "encoder alone": partial(_encoder_alone, predictor, paths),
        "plain loop": partial(_plain_loop, predictor, paths, refine),
        "samlet label, 1 process": partial(_labeled, predictor, source, refine, 1),
        "samlet label, 2 processes": partial(_labeled, predictor, source, refine, 2),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, measure in ways.items():
            seconds[way].append(measure())
    speeds = {way: len(paths) / statistics.median(times) for way, times in seconds.items()}
    encoder, loop, one, two = speeds.values()
    shares = {
        "two_of_twice_one": two / (2 * one),
        "two_of_twice_encoder": two / (2 * encoder),
        "two_of_loop": two / loop,
    }
    _print("efficiency", {"photos": len(paths), "refine": refine, "images_per_second": speeds, **shares})


@dataclass(frozen=True)
class _Boxed:
    """Photos, each with a box around its middle."""

    paths: tuple[str, ...]
    name: str = "photos"

    def items(self) -> Iterator[Item]:
        """In order."""
        for path in self.paths:
            height, width, _ = read_image(path).shape
            yield Item(path, path, prompts=(ObjectPrompt(box_xyxy=_middle(height, width)),))

    def state(self) -> str | None:
        """Not needed here."""
        return None

    def read(self, item: Item) -> bytes:
        """The file."""
        return Path(item.path).read_bytes()


def _middle(height: int, width: int) -> tuple[float, float, float, float]:
    return width / 4, height / 4, width * 3 / 4, height * 3 / 4


def _encoder_alone(predictor: Predictor, paths: Sequence[Path]) -> float:
    """Seconds of the network on pixels that are there."""
    pixels = [to_pixels(read_image(path), predictor.spec.image)[0][None] for path in paths]
    started = time.perf_counter()
    for each in pixels:
        predictor.backend.encode(each)
    return time.perf_counter() - started


def _plain_loop(predictor: Predictor, paths: Sequence[Path], refine: Literal["none", "auto"]) -> float:
    """Seconds of what one would write by hand, a JSON record a photo."""
    with tempfile.TemporaryDirectory(prefix="samlet-") as folder:
        started = time.perf_counter()
        for number, path in enumerate(paths):
            image = read_image(path)
            masks = predictor.segment(image, Prompts.boxes(_middle(*image.shape[:2])), refine=refine)
            with write_aside(Path(folder) / f"{number}.json") as aside:
                aside.write_text(json.dumps(masks.to_json(path.name)))
        return time.perf_counter() - started


def _labeled(predictor: Predictor, source: Source, refine: Literal["none", "auto"], processes: int) -> float:
    """Seconds from the first shard that is done to the last: processes that start are not what is measured."""
    with tempfile.TemporaryDirectory(prefix="samlet-") as folder, _on_cores(processes):
        facts = ModelFacts(predictor.spec.name, predictor.weights, predictor.backend.name, threads=1)
        order = Order((source,), Prompted(refine=refine), predictor, facts, Folder(Path(folder)), images_per_shard=4)
        times: list[float] = []
        status = label(order, LocalEngine(processes), on_shard=lambda *_: times.append(time.perf_counter()))
        # the first of each process came before or at the first of these
        return (times[-1] - times[processes - 1]) * status.images / (status.images - 4 * processes)


@contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """The block, and processes started in it, may use so many cores, where the system can say so."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _print(what: str, result: dict[str, Any]) -> None:
    rows = [(name, _shown(value)) for name, value in result.items()]
    print_table([(what, "left"), ("", "right")], rows)
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    machine = {"processor": cpu_name(), "usable_cores": usable_cores(), "load_average": busy}
    print(json.dumps({"what": what, **result, "machine": machine}))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    return f"{value:,.2f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


if __name__ == "__main__":
    app()
