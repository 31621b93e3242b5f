"""What goes over the wire as JSON: requests are checked by these classes, answers are documented by them.

Numbers are finite, lists and texts have bounds, unknown keys are refused: what is wrong is told, not guessed.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_POINTS = 64  # each is a turn of the decoder in `segment`
_FAR_PX = 1e7

Coordinate = Annotated[float, Field(ge=-_FAR_PX, le=_FAR_PX, allow_inf_nan=False)]
Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Threshold = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Ask(_Body):
    """A prompt about an image: clicks, a box or both. Image pixels, x before y."""

    embedding: Identifier = Field(description="What `/api/embed` answered.")
    points: list[tuple[Coordinate, Coordinate]] = Field(
        default=[], max_length=MOST_POINTS, description="Clicks [x, y].", examples=[[[250, 225]]]
    )
    labels: list[Annotated[int, Field(ge=0, le=1)]] | None = Field(
        default=None,
        max_length=MOST_POINTS,
        description="For each click 1 (on the object) or 0 (not on it); all 1 if left out.",
        examples=[[1]],
    )
    box: tuple[Coordinate, Coordinate, Coordinate, Coordinate] | None = Field(
        default=None, description="Left, top, right, bottom.", examples=[None]
    )
    hint: Identifier | None = Field(
        default=None, description="`id` of a mask answered before, which this prompt goes on from.", examples=[None]
    )


class PredictAsk(Ask):
    """A prompt for the network's own answers."""

    multimask: bool = Field(default=False, description="All candidates of an ambiguous prompt, best first.")


class FeaturesAsk(_Body):
    """Of which image the features are wanted."""

    embedding: Identifier = Field(description="What `/api/embed` answered.")


class EverythingAsk(_Body):
    """Which image is segmented without prompts, and how."""

    embedding: Identifier = Field(description="What `/api/embed` answered.")
    points_per_side: int = Field(default=32, ge=1, le=64, description="Clicks in a row of the grid.")
    pred_iou_thresh: Threshold | None = Field(default=None, description="Least predicted IoU; default: the model's.")
    stability_score_thresh: Threshold | None = Field(default=None, description="Least stability; default: the model's.")
    fast: bool = Field(default=True, description="Leave out clicks where things were found often enough.")


class ProjectImage(_Body):
    """An image of the project instead of a file."""

    project_image: Annotated[str, Field(min_length=1, max_length=256)]


class Embedded(BaseModel):
    """An image that can be asked about."""

    embedding: str = Field(description="What to call it. The same for the same file and the same weights.")
    size: tuple[int, int] = Field(description="Height and width in pixels, upright.")


class RunLengths(BaseModel):
    """COCO's uncompressed run-length code: column by column, the first run counts zeros."""

    size: tuple[int, int] = Field(description="Height and width in pixels.")
    counts: list[int]


class MaskAnswer(BaseModel):
    """One mask, in image pixels."""

    id: str = Field(description="May be sent as `hint` with a later prompt about the same image.")
    rle: RunLengths
    iou: float = Field(description="The IoU that the model predicts.")
    box: tuple[int, int, int, int] = Field(description="Left, top, width, height.")
    area: int = Field(description="Pixels.")


class MaskAnswers(BaseModel):
    """Masks, best first."""

    masks: list[MaskAnswer]


class Limits(BaseModel):
    """What the server takes."""

    body_bytes: int
    pixels: int


class Info(BaseModel):
    """What answers here."""

    version: str
    model: str
    models: list[str]
    limits: Limits
    page: bool = Field(description="Whether the annotation page is served too.")


class Health(BaseModel):
    """Whether the server takes requests: "UP", or "STOPPING"."""

    status: str


class Failure(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="One sentence: what is wrong, and what to do.")
