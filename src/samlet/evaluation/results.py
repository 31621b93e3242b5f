"""What was measured on one image, and the append-only logs that let a killed run go on where it stopped.

Each of several processes has a log of its own; the last to finish puts them together.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samlet.data import Sample
from samlet.errors import DataError, InputError
from samlet.evaluation.earlier import upgraded
from samlet.files import make_folder, output_error, write_files
from samlet.reading import check_regular, decoding, is_missing, shown

LOG_FILE = "images.jsonl"
_LARGEST = 1e15
_CLASSES = ("label", "ranked", "confusion")
_SHARE_FILES = "images.*-of-*.jsonl"


@dataclass(frozen=True, slots=True)
class InstanceResult:
    """One annotation: its area in pixels, the measured `true_iou` and the predicted `iou` of the scored mask.

    `iou` is None where a model predicts none. `boundary_iou` is measured too; `category` is the annotation's, None
    where the data set tells none; `recall` is the fraction of thresholds at which everything mode found it, among its
    first 10, 100 and 1000 masks. `pieces` are the connected parts of the scored mask, `true_pieces` those of the
    annotation's; None in logs of 0.1.0. `by_round` is the measured IoU after each of several rounds of prompts.
    """

    id: int | str
    area_px: float
    true_iou: float
    iou: float | None
    boundary_iou: float | None = None
    category: str | None = None
    recall: tuple[float, ...] = ()
    pieces: int | None = None
    true_pieces: int | None = None
    by_round: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class DetectionResult:
    """The mask of one detected box: category and score are the detector's, `iou` is predicted.

    `counts` is COCO's text form of the mask's run lengths; its size is the image's.
    """

    category_id: int
    score: float
    iou: float
    counts: str


@dataclass(frozen=True)
class ImageResult:
    """All instances of one image in annotation order, and the seconds spent per stage.

    With the protocol `box_from_detector` there are masks of `detections` instead, in the detector's order. `content` is
    the sha256 of what was measured, the photo and its masks; None in logs of 0.1.0.

    With the protocol `classification` there are the true class, `label`, and the best classes, `ranked`; with
    `semantic` the `confusion`: (true class, class of the answer, pixels).
    """

    name: str
    source: str
    instances: tuple[InstanceResult, ...]
    seconds: Mapping[str, float]
    detections: tuple[DetectionResult, ...] = ()
    content: str | None = None
    label: int | None = None
    ranked: tuple[int, ...] = ()
    confusion: tuple[tuple[int, int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as JSON fields; those of classes only where there are some."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if name not in _CLASSES or value not in (None, ())}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ImageResult:
        """The result that `to_json` wrote; KeyError, TypeError or ValueError for anything else."""
        instances = tuple(
            InstanceResult(**instance | {name: tuple(instance.get(name, ())) for name in ("recall", "by_round")})
            for instance in fields["instances"]
        )
        detections = tuple(DetectionResult(**detection) for detection in fields.get("detections", ()))
        seconds = dict(fields["seconds"])
        for instance in instances:
            _check_numbers(instance.area_px, instance.true_iou, *instance.recall, *instance.by_round)
            _check_numbers(*(value for value in (instance.iou, instance.boundary_iou) if value is not None))
        for found in detections:
            _check_numbers(found.category_id, found.score, found.iou)
        _check_numbers(*seconds.values())
        if not (isinstance(fields["name"], str) and isinstance(fields["source"], str)):
            raise TypeError(f"the name is {shown(fields['name'])} and the source {shown(fields['source'])}")
        label, ranked = fields.get("label"), tuple(fields.get("ranked", ()))
        confusion = tuple((int(true), int(answer), int(pixels)) for true, answer, pixels in fields.get("confusion", ()))
        _check_numbers(*ranked, *(() if label is None else (label,)))
        content = fields.get("content")
        return cls(fields["name"], fields["source"], instances, seconds, detections, content, label, ranked, confusion)


def _check_numbers(*values: Any) -> None:
    for value in values:
        if not isinstance(value, (int, float)) or abs(value) > _LARGEST:  # NaN is one: a model may answer so
            raise TypeError(f"{shown(value)} is no number that was measured")


@dataclass(frozen=True)
class BrokenImage:
    """An image that could not be read, and why."""

    name: str
    broken: str

    def to_json(self) -> dict[str, Any]:
        """Name and reason as JSON fields."""
        return asdict(self)


class ResultLog:
    """Results by image name, one JSON line each behind a header line that says what is being measured.

    Images that were passed over have a line too, so that of several processes the last knows they need not be waited
    for; they are no results, and a run that goes on tries them again.

    Opening a log of the same header goes on with it; a last line cut off by a kill is dropped and measured again. What
    other processes have logged in the same folder (`Share`) counts as measured too.
    Raises InputError if the folder holds another measurement, DataError if a log is damaged, OutputError on writing.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._header: dict[str, Any] = json.loads(json.dumps(header))
        self._own: dict[str, ImageResult | BrokenImage] = {}
        self._others: dict[str, ImageResult | BrokenImage] = {}
        make_folder(path.parent)
        self._read_others()
        if lines := _whole_lines(path):
            self._own = self._parsed(path, lines)
            _cut_off(path, lines)
        else:
            self._start()

    def __contains__(self, name: str) -> bool:
        return isinstance(self._line_of(name), ImageResult)

    def __getitem__(self, name: str) -> ImageResult:
        found = self._line_of(name)
        if not isinstance(found, ImageResult):
            raise KeyError(name)
        return found

    def __len__(self) -> int:
        return sum(name in self for name in {**self._others, **self._own})

    def broken(self, names: Sequence[str]) -> dict[str, str]:
        """Which of these images were passed over, and why."""
        lines = [self._line_of(name) for name in names]
        return {line.name: line.broken for line in lines if isinstance(line, BrokenImage)}

    def append(self, result: ImageResult | BrokenImage) -> None:
        """Add one image; it is in the file when this returns."""
        try:
            # One unbuffered write: a kill leaves the whole line or a cut one, which the next start drops.
            with self.path.open("ab", buffering=0) as file:
                file.write(_line(result.to_json()))
        except OSError as error:
            raise output_error(self.path, error) from error
        self._own[result.name] = result

    def gather(self, names: Sequence[str]) -> list[ImageResult] | None:
        """All results in the order of `names`, or None while other processes are still measuring some of them.

        There is none of an image that was passed over. Once all are there they become one `images.jsonl`, whoever
        measured them; the logs of shares are removed.
        """
        self._read_others()
        found = [self._line_of(name) for name in names]
        known = [line for line in found if line is not None]
        if len(known) < len(names):
            return None
        folder = self.path.parent
        lines = [_line(fields) for fields in (self._header, *(line.to_json() for line in known))]
        write_files({folder / LOG_FILE: b"".join(lines)})
        for path in folder.glob(_SHARE_FILES):
            path.unlink(missing_ok=True)
        return [line for line in known if isinstance(line, ImageResult)]

    def _line_of(self, name: str) -> ImageResult | BrokenImage | None:
        """What was logged last: what this process found stands above what others did."""
        own, others = self._own.get(name), self._others.get(name)
        return others if own is None or (isinstance(own, BrokenImage) and isinstance(others, ImageResult)) else own

    def _read_others(self) -> None:
        folder = self.path.parent
        for path in (folder / LOG_FILE, *folder.glob(_SHARE_FILES)):
            if path != self.path and (lines := _whole_lines(path)):
                self._others |= self._parsed(path, lines)

    def _parsed(self, path: Path, lines: list[bytes]) -> dict[str, ImageResult | BrokenImage]:
        found, results = _parse(path, lines)
        differing = sorted(key for key in {*found, *self._header} if found.get(key) != self._header.get(key))
        if differing:
            raise InputError(
                f"{path.parent} holds another measurement (different {', '.join(differing)}); "
                "choose another --output or delete that folder."
            )
        return {result.name: result for result in results}

    def _start(self) -> None:
        try:
            self.path.write_bytes(_line(self._header))
        except OSError as error:
            raise output_error(self.path, error) from error


@dataclass(frozen=True)
class Share:
    """The images that this process measures, when several work on one folder: every `of`-th from number `rank` on.

    `local_rank` counts the processes of one machine, which share its devices.
    """

    rank: int = 0
    of: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> Share:
        """What torchrun tells by RANK, WORLD_SIZE and LOCAL_RANK; everything without them.

        InputError if they make no sense.
        """
        rank, of = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        local_rank = os.environ.get("LOCAL_RANK", "0")
        if not (rank.isdecimal() and of.isdecimal() and int(rank) < int(of) and local_rank.isdecimal()):
            raise InputError(
                f"RANK is {rank}, WORLD_SIZE {of} and LOCAL_RANK {local_rank}; leave them unset, or set them as "
                "torchrun does."
            )
        return cls(int(rank), int(of), int(local_rank))

    @property
    def log_name(self) -> str:
        """The file this process logs to: one each, so that no line is written into another one's."""
        return LOG_FILE if self.of == 1 else f"images.{self.rank}-of-{self.of}.jsonl"

    def device(self, asked: str | None) -> str | None:
        """The device this process uses when all were asked to use `asked`: of several GPUs each takes its own."""
        return f"cuda:{self.local_rank}" if asked == "cuda" and self.of > 1 else asked

    def take(self, samples: Sequence[Sample]) -> list[Sample]:
        """This process's images; those of all shares together are all images, each once."""
        return list(samples[self.rank :: self.of])


def read_results(path: Path) -> list[ImageResult]:
    """The results in a log, in the order they were measured; DataError if it is missing or damaged."""
    if is_missing(path):
        raise DataError(f"{path} is missing: it holds the results behind the report.")
    by_name = {result.name: result for result in _parse(path, _whole_lines(path))[1]}  # the last line counts
    return [result for result in by_name.values() if isinstance(result, ImageResult)]


def _parse(path: Path, lines: list[bytes]) -> tuple[dict[str, Any], list[ImageResult | BrokenImage]]:
    try:
        with decoding(str(path), "a log of samlet eval"):
            header = upgraded(dict(json.loads(lines[0]).items()))
            return header, [_from_json(json.loads(line)) for line in lines[1:]]
    except DataError as error:
        raise DataError(
            f"{path} is damaged, or no log of samlet eval ({error.__cause__}): choose another --output, or delete it "
            "to measure again."
        ) from error


def _from_json(fields: Mapping[str, Any]) -> ImageResult | BrokenImage:
    if "broken" not in fields:
        return ImageResult.from_json(fields)
    if not isinstance(fields.get("name"), str):
        raise TypeError(f"the name is {shown(fields.get('name'))}")
    return BrokenImage(**fields)


def _whole_lines(path: Path) -> list[bytes]:
    """The complete lines of a file, without what a kill left of the last one; none if there is no file."""
    try:
        check_regular(path)
        content = path.read_bytes()
    except FileNotFoundError:  # also: put together and removed by another process just now
        return []
    except OSError as error:
        raise output_error(path, error) from error
    return content[: content.rfind(b"\n") + 1].splitlines(keepends=True)


def _cut_off(path: Path, lines: list[bytes]) -> None:
    """Remove what follows the complete lines, so that the next line starts on its own."""
    try:
        os.truncate(path, sum(map(len, lines)))
    except OSError as error:
        raise output_error(path, error) from error


def _line(fields: Mapping[str, Any]) -> bytes:
    return (json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
