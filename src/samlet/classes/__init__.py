"""What a classifier or a semantic segmenter tells apart: class lists of the data sets, and lists of your own.

A list is a text file, a class a line in the order of the model's outputs: its name and, after a tab, its color as
"R G B" where it has one of its own. The three in this folder are ImageNet-1k's (first lemma of each WordNet synset),
Cityscapes' 19 (train ids) and ADE20K's 150.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from samlet.errors import ModelError
from samlet.reading import is_missing, reading

Color = tuple[int, int, int]

MOST_CLASSES = 65535  # of a 16-bit label map


@dataclass(frozen=True)
class ClassList:
    """The classes of a model in the order of its outputs. `colors`: RGB of each, where the data set defines them.

    `name` is that of a data set, or what a list of your own is called. ModelError for no class, two of one name, or
    colors that do not fit.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[Color, ...] | None = None

    def __post_init__(self) -> None:
        if not 1 <= len(self.names) <= MOST_CLASSES:
            raise ModelError(f"The classes {self.name} are {len(self.names)}: a model has 1 to {MOST_CLASSES}.")
        if len(set(self.names)) < len(self.names):
            twice = next(name for name in self.names if self.names.count(name) > 1)
            raise ModelError(f'Two of the classes {self.name} are called "{twice}": give each a name of its own.')
        if self.colors is not None and (
            len(self.colors) != len(self.names) or not all(_is_color(color) for color in self.colors)
        ):
            raise ModelError(
                f"The colors of the classes {self.name} are not {len(self.names)} times R, G, B in 0..255."
            )

    def __len__(self) -> int:
        return len(self.names)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        colors = None if self.colors is None else [list(color) for color in self.colors]
        return {"name": self.name, "names": list(self.names), "colors": colors}

    @classmethod
    def from_json(cls, record: object) -> ClassList:
        """Rebuild what `to_json` wrote; `ModelError` if it is something else."""
        if not isinstance(record, Mapping) or not isinstance(record.get("name"), str):
            raise ModelError("The classes of the model description have no name: export the model again.")
        names, colors = record.get("names"), record.get("colors")
        if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
            raise ModelError("The classes of the model description are no list of names: export the model again.")
        if colors is not None and not (isinstance(colors, Sequence) and all(map(_is_color, colors))):
            raise ModelError("The colors of the model description are no list of R, G, B: export the model again.")
        return cls(record["name"], tuple(names), None if colors is None else tuple(map(_color, colors)))


def read_class_list(path: Path) -> ClassList:
    """The list of a text file, called by the file's stem; ModelError names the file and the line at fault."""
    if is_missing(path):
        raise ModelError(f"There is no list of classes at {path}: give a text file with a class a line.")
    with reading(path, "a list of classes", ModelError):
        lines = path.read_text(encoding="utf-8").splitlines()
    names, colors = [], []
    for number, line in enumerate((line for line in lines if line.strip()), 1):
        name, _, color = line.partition("\t")
        names.append(name.strip())
        if color.strip():
            values = color.split()
            if len(values) != 3 or not all(value.isdigit() and int(value) < 256 for value in values):
                raise ModelError(f'Class {number} of {path} has the color "{color}": give R G B, each 0 to 255.')
            colors.append(_color([int(value) for value in values]))
    return ClassList(path.stem, tuple(names), tuple(colors) or None)


@cache
def class_list(name: str) -> ClassList:
    """The list of a data set: "imagenet-1k", "cityscapes" or "ade20k"."""
    return read_class_list(Path(__file__).parent / f"{name}.txt")


def _is_color(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and len(value) == 3
        and all(isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= 255 for level in value)
    )


def _color(values: Sequence[int]) -> Color:
    red, green, blue = values
    return red, green, blue
