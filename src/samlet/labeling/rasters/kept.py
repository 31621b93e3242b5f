"""What is done of a raster: the masks of each window, a line of a file for each row of windows; or answers to prompts.

A line is written once its window, or its prompt, is done, so a process that is killed loses what it was at. A line that
was cut, and what follows it, is done again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samlet.errors import DataError
from samlet.files import make_folder, output_error
from samlet.geometry.rle import Rle
from samlet.geometry.runs import Runs
from samlet.geometry.seams import Grid, Piece
from samlet.geometry.windows import Window
from samlet.reading import decoding

FOLDER = "windows"


@dataclass(frozen=True)
class KeptWindows:
    """The windows of a grid that are done, in `folder`."""

    folder: Path
    grid: Grid

    def row(self, number: int) -> list[tuple[Window, list[Piece]]]:
        """The windows of a row that are done, from left to right, and their pieces; fewer than there are, or none."""
        return [(window, pieces) for window, pieces, _ in self._lines(number)]

    def done(self) -> list[int]:
        """How many windows of each row are done; of the one that was being written, the lines that are whole."""
        return [sum(1 for _ in self._lines(number)) for number in range(len(self.grid.tops))]

    def start(self, number: int, done: int) -> None:
        """Before windows are added to a row of which `done` are: what a killed process left half-written goes."""
        ends = [0, *(end for _, _, end in self._lines(number))]
        _cut(self._path(number), ends[done])

    def add(self, number: int, window: Window, pieces: Sequence[Piece]) -> None:
        """The next window of a row is done. OutputError if it cannot be written."""
        record = {"window_xyxy": window.xyxy, "masks": [_to_json(piece) for piece in pieces]}
        _append(self._path(number), record)

    def _lines(self, number: int) -> Iterator[tuple[Window, list[Piece], int]]:
        """Windows, pieces, and where the line ends in the file."""
        path, end = self._path(number), 0
        if not path.exists():
            return
        with path.open("rb") as file:
            for window in self.grid.row(number):
                line = file.readline()
                end += len(line)
                pieces = _of_line(line, window, self.grid.size_hw)
                if pieces is None:
                    return
                yield window, pieces, end

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:06d}.jsonl"


@dataclass(frozen=True)
class Found:
    """A mask of a raster, empty where it shows nothing; predicted IoU and stability, None where nobody knows."""

    runs: Runs
    iou: float | None = None
    stability: float | None = None


@dataclass(frozen=True)
class KeptAnswers:
    """The answers to prompts so far, in a file of `folder`."""

    folder: Path

    def start(self) -> list[Found]:
        """The answers that are there; what a killed process left half-written goes."""
        answers, end = self._read()
        _cut(self._path, end)
        return answers

    def count(self) -> int:
        """How many answers are there."""
        return len(self._read()[0])

    def add(self, answer: Found) -> None:
        """The answer to the next prompt. OutputError if it cannot be written."""
        runs = answer.runs
        table = [edge.tolist() for edge in (runs.columns, runs.tops, runs.bottoms)]
        _append(self._path, {"runs": table, "iou": answer.iou, "stability": answer.stability})

    def _read(self) -> tuple[list[Found], int]:
        """The answers, and where the last one ends in the file."""
        answers: list[Found] = []
        end = 0
        if self._path.exists():
            with self._path.open("rb") as file:
                for line in file:
                    answer = _answer_of(line)
                    if answer is None:
                        break
                    answers.append(answer)
                    end += len(line)
        return answers, end

    @property
    def _path(self) -> Path:
        return self.folder / "answers.jsonl"


def _answer_of(line: bytes) -> Found | None:
    """The answer of a line; None if it was cut."""
    try:
        record = json.loads(line) if line.endswith(b"\n") else {}
        columns, tops, bottoms = (np.array(edge, np.int64) for edge in record["runs"])
        return Found(Runs(columns, tops, bottoms), record["iou"], record["stability"])
    except (KeyError, TypeError, ValueError):
        return None


def _append(path: Path, record: dict[str, Any]) -> None:
    try:
        with path.open("ab") as file:
            file.write(json.dumps(record, separators=(",", ":")).encode() + b"\n")
    except OSError as error:
        raise output_error(path, error) from error


def _cut(path: Path, size_bytes: int) -> None:
    make_folder(path.parent)
    try:
        with path.open("ab") as file:
            file.truncate(size_bytes)
    except OSError as error:
        raise output_error(path, error) from error


def _to_json(piece: Piece) -> dict[str, Any]:
    window = piece.window
    code = piece.runs.to_rle(window.size_hw, (window.left, window.top))
    return {
        "counts": code["counts"].decode(),
        "number": piece.number,
        "iou": piece.iou,
        "stability": piece.stability,
        "point_xy": piece.point_xy,
    }


def _of_line(line: bytes, window: Window, size_hw: tuple[int, int]) -> list[Piece] | None:
    """The pieces of a line; None if it was cut, or is damaged."""
    try:
        with decoding("a line", "what is kept of a window"):
            record = json.loads(line) if line.endswith(b"\n") else {}
            if tuple(record["window_xyxy"]) != window.xyxy:
                return None
            return [_piece(mask, window, size_hw) for mask in record["masks"]]
    except DataError:
        return None


def _piece(record: dict[str, Any], window: Window, size_hw: tuple[int, int]) -> Piece:
    code: Rle = {"size": list(window.size_hw), "counts": record["counts"].encode()}
    point = record["point_xy"]
    return Piece.of(
        Runs.of(code, (window.left, window.top)),
        window,
        record["number"],
        size_hw,
        record["iou"],
        record["stability"],
        None if point is None else (point[0], point[1]),
    )
