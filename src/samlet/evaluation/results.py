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

LOG_FILE = "images.jsonl"
_SHARE_FILES = "images.*-of-*.jsonl"


@dataclass(frozen=True, slots=True)
class InstanceResult:
    """One annotation: its area in pixels, the measured `true_iou` and the predicted `iou` of the scored mask.

    `boundary_iou` is measured too; `category` is the annotation's, None where the data set tells none; `recall` is the
    fraction of thresholds at which everything mode found it, among its first 10, 100 and 1000 masks. `pieces` counts
    the connected parts of the scored mask; None in what was measured before they were counted.
    """

    id: int | str
    area_px: float
    true_iou: float
    iou: float
    boundary_iou: float | None = None
    category: str | None = None
    recall: tuple[float, ...] = ()
    pieces: int | None = None


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

    With the protocol `box_from_detector` there are masks of `detections` instead, in the detector's order.
    """

    name: str
    source: str
    instances: tuple[InstanceResult, ...]
    seconds: Mapping[str, float]
    detections: tuple[DetectionResult, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The result as JSON fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> ImageResult:
        """The result that `to_json` wrote."""
        instances = tuple(
            InstanceResult(**{**instance, "recall": tuple(instance.get("recall", ()))})
            for instance in fields["instances"]
        )
        detections = tuple(DetectionResult(**detection) for detection in fields.get("detections", ()))
        return cls(fields["name"], fields["source"], instances, dict(fields["seconds"]), detections)


class ResultLog:
    """Results by image name, one JSON line each behind a header line that says what is being measured.

    Opening a log of the same header goes on with it; a last line cut off by a kill is dropped and measured again. What
    other processes have logged in the same folder (`Share`) counts as measured too.
    Raises InputError if the folder holds another measurement, DataError if a log is damaged, OutputError on writing.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._header: dict[str, Any] = json.loads(json.dumps(header))
        self._results: dict[str, ImageResult] = {}
        make_folder(path.parent)
        self._read_others()
        if lines := _whole_lines(path):
            self._results |= self._parsed(path, lines)
            _cut_off(path, lines)
        else:
            self._start()

    def __contains__(self, name: str) -> bool:
        return name in self._results

    def __getitem__(self, name: str) -> ImageResult:
        return self._results[name]

    def __len__(self) -> int:
        return len(self._results)

    def append(self, result: ImageResult) -> None:
        """Add one image; it is in the file when this returns."""
        try:
            # One unbuffered write: a kill leaves the whole line or a cut one, which the next start drops.
            with self.path.open("ab", buffering=0) as file:
                file.write(_line(result.to_json()))
        except OSError as error:
            raise output_error(self.path, error) from error
        self._results[result.name] = result

    def gather(self, names: Sequence[str]) -> list[ImageResult] | None:
        """All results in the order of `names`, or None while other processes are still measuring some of them.

        Once all are there they become one `images.jsonl`, whoever measured them; the logs of shares are removed.
        """
        self._read_others()
        if not all(name in self for name in names):
            return None
        results = [self[name] for name in names]
        folder = self.path.parent
        lines = [_line(fields) for fields in (self._header, *(result.to_json() for result in results))]
        write_files({folder / LOG_FILE: b"".join(lines)})
        for path in folder.glob(_SHARE_FILES):
            path.unlink(missing_ok=True)
        return results

    def _read_others(self) -> None:
        folder = self.path.parent
        for path in (folder / LOG_FILE, *folder.glob(_SHARE_FILES)):
            if path != self.path and (lines := _whole_lines(path)):
                self._results |= self._parsed(path, lines)

    def _parsed(self, path: Path, lines: list[bytes]) -> dict[str, ImageResult]:
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
    if not path.is_file():
        raise DataError(f"{path} is missing: it holds the results behind the report.")
    return _parse(path, _whole_lines(path))[1]


def _parse(path: Path, lines: list[bytes]) -> tuple[dict[str, Any], list[ImageResult]]:
    try:
        header = upgraded(dict(json.loads(lines[0]).items()))
        return header, [ImageResult.from_json(json.loads(line)) for line in lines[1:]]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it to measure again.") from error


def _whole_lines(path: Path) -> list[bytes]:
    """The complete lines of a file, without what a kill left of the last one; none if there is no file."""
    try:
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
