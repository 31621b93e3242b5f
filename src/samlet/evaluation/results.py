"""What was measured on one image, and the append-only file that lets a killed run go on where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from samlet.errors import DataError, InputError
from samlet.files import make_folder, output_error

LOG_FILE = "images.jsonl"


@dataclass(frozen=True)
class InstanceResult:
    """One annotation: its area in pixels, the measured `true_iou` and the predicted `iou` of the scored mask.

    `boundary_iou` is measured too; `category` is the annotation's, None where the data set tells none; `recall` is the
    share of thresholds at which everything mode found it, among its first 10, 100 and 1000 masks.
    """

    id: int | str
    area_px: float
    true_iou: float
    iou: float
    boundary_iou: float | None = None
    category: str | None = None
    recall: tuple[float, ...] = ()


@dataclass(frozen=True)
class ImageResult:
    """All instances of one image in annotation order, and the seconds spent per stage."""

    name: str
    source: str
    instances: tuple[InstanceResult, ...]
    seconds: Mapping[str, float]

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
        return cls(fields["name"], fields["source"], instances, dict(fields["seconds"]))


class ResultLog:
    """Results by image name, one JSON line each behind a header line that says what is being measured.

    Opening a log of the same header goes on with it; a last line cut off by a kill is dropped and measured again.
    Raises InputError if the file belongs to another measurement, DataError if it is damaged, OutputError on writing.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self._results: dict[str, ImageResult] = {}
        make_folder(path.parent)
        lines = _whole_lines(path)
        if lines:
            self._read(lines, header)
        else:
            self._write_line(dict(header))

    def __contains__(self, name: str) -> bool:
        return name in self._results

    def __getitem__(self, name: str) -> ImageResult:
        return self._results[name]

    def __len__(self) -> int:
        return len(self._results)

    def append(self, result: ImageResult) -> None:
        """Add one image; it is in the file when this returns."""
        self._write_line(result.to_json())
        self._results[result.name] = result

    def _read(self, lines: list[bytes], header: Mapping[str, Any]) -> None:
        found, results = _parse(self.path, lines)
        differing = sorted(key for key in {*found, *header} if found.get(key) != _as_json(header.get(key)))
        if differing:
            raise InputError(
                f"{self.path.parent} holds another measurement (different {', '.join(differing)}); "
                "choose another --output or delete that folder."
            )
        self._results = {result.name: result for result in results}

    def _write_line(self, fields: Mapping[str, Any]) -> None:
        line = json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"
        try:
            # One unbuffered write: a kill leaves the whole line or a cut one, which the next start drops.
            with self.path.open("ab", buffering=0) as file:
                file.write(line.encode())
        except OSError as error:
            raise output_error(self.path, error) from error


def read_results(path: Path) -> list[ImageResult]:
    """The results in a log, in the order they were measured; DataError if it is missing or damaged."""
    if not path.is_file():
        raise DataError(f"{path} is missing: it holds the results behind the report.")
    return _parse(path, _whole_lines(path))[1]


def _parse(path: Path, lines: list[bytes]) -> tuple[dict[str, Any], list[ImageResult]]:
    try:
        header = dict(json.loads(lines[0]).items())
        return header, [ImageResult.from_json(json.loads(line)) for line in lines[1:]]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise DataError(f"{path} is damaged ({error}); delete it to measure again.") from error


def _whole_lines(path: Path) -> list[bytes]:
    """The complete lines of the file; what a kill left of the last one is cut off."""
    try:
        content = path.read_bytes() if path.exists() else b""
        end = content.rfind(b"\n") + 1
        if end < len(content):
            os.truncate(path, end)
    except OSError as error:
        raise output_error(path, error) from error
    return content[:end].splitlines()


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value))
