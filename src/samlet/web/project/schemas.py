"""What the page sends to a project as JSON, checked."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from samlet.web.schemas import MOST_POINTS, Coordinate, RunLengths

MOST_LAYERS = 10_000
LabelName = Annotated[str, Field(min_length=1, max_length=100)]
LayerId = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LabelBody(_Body):
    """A class."""

    name: LabelName
    color: Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class Renamed(_Body):
    """A class that has another name now, on all photos."""

    from_: LabelName = Field(alias="from")
    to: LabelName


class ProjectBody(_Body):
    """The classes of a project."""

    labels: Annotated[list[LabelBody], Field(max_length=1000)]
    renamed: Renamed | None = None


class Asked(_Body):
    """What an object was asked with."""

    points: Annotated[list[tuple[Coordinate, Coordinate]], Field(max_length=MOST_POINTS)] = []
    labels: Annotated[list[Annotated[int, Field(ge=0, le=1)]], Field(max_length=MOST_POINTS)] = []
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = None


class Strokes(_Body):
    """What a brush added to a mask and took away from it."""

    added: RunLengths | None = None
    removed: RunLengths | None = None


class LayerBody(_Body):
    """One object."""

    id: LayerId
    label: LabelName
    visible: bool = True
    locked: bool = False
    rle: RunLengths
    iou: Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)] | None = None
    prompts: Asked | None = None
    strokes: Strokes | None = None
    draft: bool = Field(default=False, description="Not kept yet: the page goes on with it.")


class AnnotationsBody(_Body):
    """All objects of a photo, the uppermost first; `revision` is the one that was changed."""

    revision: Annotated[int, Field(ge=0)]
    done: bool = False
    layers: Annotated[list[LayerBody], Field(max_length=MOST_LAYERS)]


class Saved(BaseModel):
    """The revision that was made."""

    revision: int


class ExportBody(_Body):
    """What to export: formats, and ids of images (none: all)."""

    formats: Annotated[list[Annotated[str, Field(max_length=40)]], Field(min_length=1, max_length=20)]
    images: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=100_000)] | None = None


class ImageEntry(BaseModel):
    """An image as it is listed."""

    id: str
    name: str
    size: tuple[int, int] | None = Field(description="Height and width; null until somebody has looked.")
    state: str = Field(description='"new", "started" or "done".')
    masks: int
    removable: bool = Field(description="Whether it was sent here, and may be removed here.")


class ProjectEntry(BaseModel):
    """A project."""

    id: str = Field(description="Tells projects of one name apart.")
    name: str
    labels: list[LabelBody]
    images: list[ImageEntry]


class Imported(BaseModel):
    """What came in."""

    images: list[str]
    masks: int
    message: str
