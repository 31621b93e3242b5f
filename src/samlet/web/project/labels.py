"""The classes of a project: names with colors, kept in one file beside the annotations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from samlet.data.fields import load_json
from samlet.errors import DataError
from samlet.files import make_folder, write_aside

# Apart from each other, and seen on any photo; the page offers the same ones.
PALETTE = (
    "#2dd4bf", "#fb923c", "#a78bfa", "#facc15", "#60a5fa", "#f472b6",
    "#a3e635", "#f87171", "#22d3ee", "#e879f9", "#34d399", "#fda4af",
)  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A class: its name, and its color as #rrggbb."""

    name: str
    color: str


class Labels:
    """The classes of a project, in the user's order. Safe to use from many threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._labels = _read(path)

    @property
    def all(self) -> list[Label]:
        """All classes."""
        return list(self._labels)

    def replace(self, labels: Sequence[Label]) -> None:
        """Other classes instead."""
        with self._lock:
            self._write(list(labels))

    def add(self, names: Iterable[str]) -> None:
        """Give those names that are none of a class yet a color that few have."""
        with self._lock:
            labels = list(self._labels)
            for name in dict.fromkeys(names):
                if all(label.name != name for label in labels):
                    uses = [sum(label.color == color for label in labels) for color in PALETTE]
                    labels.append(Label(name, PALETTE[uses.index(min(uses))]))
            if labels != self._labels:
                self._write(labels)

    def _write(self, labels: list[Label]) -> None:
        make_folder(self._path.parent)
        with write_aside(self._path) as aside:
            aside.write_text(json.dumps({"labels": [asdict(label) for label in labels]}), encoding="utf-8")
        self._labels = labels


def _read(path: Path) -> list[Label]:
    if not path.exists():
        return []
    record: Any = load_json(path)
    try:
        return [Label(str(label["name"]), str(label["color"])) for label in record["labels"]]
    except (KeyError, TypeError) as error:
        raise DataError(f"{path} is no file of samlet's labels: move it away to begin anew.") from error
