"""What a run would do, for `--dry-run`: data, licenses, parameters, memory, teacher cache. Writes nothing."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from samlet.data import Broken, Sample
from samlet.data.classes import ClassSample
from samlet.errors import TrainingError
from samlet.reading import reading
from samlet.training.batches.feed import Batches
from samlet.training.batches.order import check_batch_size, choose
from samlet.training.batches.sources import Source
from samlet.training.class_configs import ClassConfig
from samlet.training.config import DistillEncoderConfig, TrainConfig
from samlet.training.loop.checkpoint import check_run
from samlet.training.loop.fsdp import check_fsdp
from samlet.training.loop.memory import activation_bytes, state_bytes
from samlet.training.loop.precision import autocast
from samlet.training.loop.processes import count, own_device
from samlet.training.stages.stage import Stage, Start

TABLES = ("manifest.tsv", "photos.tsv")
"""Where the licenses of a folder's images may stand: a table in it or in the folder above it, with a column `name`."""

NAMED = 5  # of the classes

_LICENSES = ("license_class", "licence_class", "license", "licence")


@dataclass(frozen=True)
class Folder:
    """What was found in one folder; `licenses` counts the images of each class, "not stated" among them.

    `masks` is None where images have classes instead.
    """

    path: str
    images: int
    masks: int | None
    licenses: dict[str, int]

    def __str__(self) -> str:
        licenses = ", ".join(f"{name} {number:,}" for name, number in sorted(self.licenses.items()))
        masks = "" if self.masks is None else f", {self.masks:,} masks"
        return f"{self.path}: {self.images:,} images{masks}; licenses: {licenses}"


@dataclass(frozen=True)
class DryRun:
    """A run before it begins. `learned_from` of the images are used; sizes are estimates, in bytes."""

    config: TrainConfig
    folders: list[Folder]
    in_shards: int
    learned_from: int
    learning: int
    frozen: int
    state: int
    activations: int
    embedding_bytes: int  # of one of the teacher's, float16; of the same size as the student's
    cache: Path | None
    notice: str | None
    broken: list[str]

    @property
    def epochs(self) -> float:
        """How often the run sees each of its images."""
        return self.config.steps * self.config.batch_size / self.learned_from

    @property
    def embeddings(self) -> int:
        """How many embeddings of views the teacher is asked for."""
        seen = self.config.steps * self.config.batch_size
        return min(seen, self.config.pool or seen, self.learned_from * self.config.views)

    def lines(self) -> list[tuple[str, str]]:
        """The plan as (what, sentence) pairs, in the order they are told."""
        config = self.config
        parts = f" in {config.grad_accum_steps} parts" if config.grad_accum_steps > 1 else ""
        steps = f"{config.steps:,} of {config.batch_size} images{parts}, {config.precision}"
        classes = config.classes if isinstance(config, ClassConfig) else ()
        return [
            ("run", f"{config.stage} of {config.student}"),
            ("steps", f"{steps}: {config.steps * config.batch_size:,} images seen, {self.epochs:.2f} epochs"),
            *(("data", str(folder)) for folder in self.folders),
            *([("data", f"{self.in_shards:,} images in shards, their records not read yet")] if self.in_shards else []),
            *([("classes", f"{len(classes):,}: {_first(classes)}")] if classes else []),
            ("images", f"{self.learned_from:,} to learn from, {config.validation_images:,} held out"),
            *([("images", self.notice)] if self.notice else []),
            *(("broken", sentence) for sentence in self.broken),
            ("parameters", f"{self.learning:,} learn, {self.frozen:,} are frozen"),
            ("memory", self._memory()),
            *([("teacher", self._cache())] if self.cache else []),
        ]

    def _memory(self) -> str:
        return (
            f"about {_mib(self.state + self.activations)} a process beside data and programs: {_mib(self.state)} for "
            f"weights, average and optimizer, {_mib(self.activations)} for a part of a step"
        )

    def _cache(self) -> str:
        there = sum(1 for _ in self.cache.glob("*.npz")) if self.cache else 0
        size = _mib(self.embeddings * self.embedding_bytes)
        return f"{self.embeddings:,} embeddings take {size}; {self.cache} holds {there:,}"


def describe_run(
    config: TrainConfig,
    start: Start,
    resume: bool,
    data: Source,
    stage: Stage,
    learned: Batches[Any],
    broken: Broken | None,
) -> DryRun:
    """DryRun the training of a stage, whose student's weights are given up, on the batches of data.

    Raises what the trainer would raise before its first step.
    """
    check_batch_size(config)
    check_fsdp(config)
    autocast(config.precision, own_device(start.device))
    check_run(start.output, config, resume)
    student = stage.whole_student
    learning = sum(parameter.numel() for parameter in stage.parameters() if parameter.requires_grad)
    return DryRun(
        config,
        folders=found_in(data[: data.known]),
        in_shards=len(data) - data.known,
        learned_from=len(choose(data, config)),
        learning=learning,
        frozen=sum(parameter.numel() for parameter in student.parameters()) - learning,
        state=state_bytes(stage) // (count() if config.fsdp else 1),
        activations=activation_bytes(student, config),
        embedding_bytes=2 * student.spec.image.channels * student.spec.image.grid**2,
        cache=None if start.teacher is None or _is_online(config) else start.teacher.folder(start.output),
        notice=learned.notice,
        broken=[] if broken is None else list(broken.reasons.values()),
    )


def _is_online(config: TrainConfig) -> bool:
    return isinstance(config, DistillEncoderConfig) and config.online


def found_in(samples: Iterable[Sample]) -> list[Folder]:
    """Samples counted by the folder their images lie in."""
    by_folder: dict[Path | None, list[Sample]] = {}
    for sample in samples:
        by_folder.setdefault(_folder_of(sample), []).append(sample)
    return [_folder(path, found) for path, found in by_folder.items()]


def _folder_of(sample: Sample) -> Path | None:
    """The folder an image lies in, of images of classes the one that holds all classes; None in an archive."""
    if not isinstance(sample.image, Path):
        return None
    depth = len(PurePath(sample.name).parts) if isinstance(sample, ClassSample) else 1
    return sample.image.parents[min(depth, len(sample.image.parents)) - 1]


def _folder(path: Path | None, samples: list[Sample]) -> Folder:
    stated = {} if path is None else _licenses(path)
    return Folder(
        str(path or "archives"),
        len(samples),
        None if any(sample.facts for sample in samples) else sum(len(sample.annotations) for sample in samples),
        dict(Counter(stated.get(sample.name, "not stated") for sample in samples)),
    )


def _licenses(folder: Path) -> dict[str, str]:
    """The license class of each image that a table of the folder, or of the one above, tells."""
    stated: dict[str, str] = {}
    for table in (place / name for place in (folder.resolve().parent, folder) for name in TABLES):
        if not table.is_file():
            continue
        with reading(table, "a table of licenses", TrainingError), table.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                terms = next((row[column] for column in _LICENSES if row.get(column)), None)
                if terms and row.get("name"):
                    stated[row["name"]] = terms
    return stated


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB" if size < 2**30 else f"{size / 2**30:,.1f} GiB"
