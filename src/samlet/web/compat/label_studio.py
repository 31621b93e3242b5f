"""Label Studio's ML backend (1.23): `/setup`, `/webhook` and `/predict`; `/health` is the server's own.

A click or a box on an image comes as percent of its sides; the answer is a brush, or polygons where the project's
labels are polygons. The image is fetched from the one Label Studio that the operator named, from nowhere else.
"""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field

from samlet import __version__
from samlet.errors import InputError
from samlet.masks import Mask
from samlet.prompts import Prompts
from samlet.web.compat.asking import Asking, Sent, check_count
from samlet.web.compat.brush import brush_code
from samlet.web.compat.label_config import AnswerTag, answer_tag, image_field
from samlet.web.compat.label_studio_files import LabelStudioFiles
from samlet.web.kept import EmbeddedPhoto

Percent = Annotated[float, Field(ge=-1000, le=1000, allow_inf_nan=False)]
_LONGEST_CONFIG = 100_000


class Setup(Sent):
    """A project that connects."""

    project: str = Field(max_length=200)
    label_config: str | None = Field(None, alias="schema", max_length=_LONGEST_CONFIG)
    access_token: str | None = Field(None, max_length=2000)


class Value(Sent):
    """A click, or a box with its top left corner at x, y: percent of the image."""

    x: Percent = 0.0
    y: Percent = 0.0
    width: Percent = 0.0
    height: Percent = 0.0
    keypointlabels: list[str] | None = None
    rectanglelabels: list[str] | None = None


class Region(Sent):
    """What the annotator drew with a smart tool."""

    type: str = Field(max_length=100)
    value: Value = Value()
    is_positive: bool | int | None = None


class Context(Sent):
    """All that was drawn for this object."""

    result: list[Region] = Field(default=[], max_length=512)


class Params(Sent):
    """What `/predict` carries besides tasks."""

    context: Context | None = None


class Task(Sent):
    """One image of the project."""

    data: dict[str, Any]


class Predict(Sent):
    """Tasks of a project; interactive requests have one, with a context."""

    tasks: list[Task] = Field(max_length=1000)
    project: str | None = Field(None, max_length=200)
    label_config: str | None = Field(None, max_length=_LONGEST_CONFIG)
    params: Params | None = None


def label_studio_routes(asking: Asking) -> APIRouter:
    """The routes of an ML backend."""
    router, routes = APIRouter(tags=["Label Studio"]), _Routes(asking)
    router.add_api_route("/setup", routes.setup, methods=["POST"])
    router.add_api_route("/webhook", routes.webhook, methods=["POST"])
    router.add_api_route("/predict", routes.predict, methods=["POST"])
    return router


class _Routes:
    def __init__(self, asking: Asking) -> None:
        settings = asking.service.settings
        self._asking = asking
        self._files = LabelStudioFiles(settings.label_studio, settings.label_studio_key, settings.body_bytes)
        self._version = f"samlet-{__version__}-{asking.model_name}"

    async def setup(self, body: Setup) -> dict[str, Any]:
        """Connect a project. Its token, if it comes with one, is used for that Label Studio's files only."""
        if body.label_config:
            answer_tag(body.label_config)
        if body.access_token:
            self._files.learn_key(body.access_token)
        return {"model_version": self._version}

    async def webhook(self, request: Request) -> dict[str, Any]:
        """Events of a project are heard and change nothing: the model does not learn from them."""
        await request.body()
        return {}

    async def predict(self, request: Request, body: Predict) -> dict[str, Any]:
        """A mask for what was clicked. Tasks without a click get no prediction."""
        regions = body.params.context.result if body.params and body.params.context else []
        if not regions or not body.tasks:
            empty = [{"result": [], "score": 0.0, "model_version": self._version} for _ in body.tasks]
            return {"results": empty, "model_version": self._version}
        config = body.label_config or ""
        tag = answer_tag(config)
        address = body.tasks[0].data.get(image_field(config))
        if not isinstance(address, str):
            raise InputError("The task has no image under the name that the label config gives.")
        kept = await self._asking.embed(request, await asyncio.to_thread(self._files.fetch, address))
        prompts, label = _asked(regions, kept.embedding.frame.size_hw)
        (mask,) = await self._asking.segment(request, kept, prompts)
        result = await asyncio.to_thread(_results, mask, tag, label, kept)
        prediction = {"result": result, "score": mask.iou, "model_version": self._version}
        return {"results": [prediction], "model_version": self._version}


def _asked(regions: list[Region], size_hw: tuple[int, int]) -> tuple[Prompts, str | None]:
    """Clicks and the last box as one prompt, in pixels, and the label that was chosen for them."""
    height, width = size_hw
    points, labels, box, label = [], [], None, None
    for region in regions:
        value = region.value
        x, y = value.x / 100 * width, value.y / 100 * height
        if region.type.startswith("keypoint"):
            points.append((min(max(x, 0), width - 1), min(max(y, 0), height - 1)))
            labels.append(0 if region.is_positive is not None and not region.is_positive else 1)
        elif region.type.startswith("rectangle"):
            right, bottom = x + value.width / 100 * width, y + value.height / 100 * height
            box = [max(x, 0), max(y, 0), min(right, width), min(bottom, height)]
        chosen = value.keypointlabels or value.rectanglelabels
        label = chosen[0] if chosen else label
    check_count(len(points) + (box is not None))
    if box is None:
        return Prompts.points(points, labels), label
    return (Prompts.boxes(box, points, labels) if points else Prompts.boxes(box)), label


def _results(mask: Mask, tag: AnswerTag, label: str | None, kept: EmbeddedPhoto) -> list[dict[str, Any]]:
    if not mask.area_px:
        return []
    height, width = kept.embedding.frame.size_hw
    shared = {
        "from_name": tag.name,
        "to_name": tag.to_name,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "score": mask.iou,
        "readonly": False,
    }
    named = {tag.kind: [label]} if label is not None else {}
    if tag.kind == "brushlabels":
        values: list[dict[str, Any]] = [{"format": "rle", "rle": brush_code(mask.to_array())}]
    else:
        scale = [100 / width, 100 / height]
        values = [{"points": (polygon[0] * scale).tolist(), "closed": True} for polygon in mask.polygons()]
    return [{"id": secrets.token_hex(5), "type": tag.kind, "value": value | named} | shared for value in values]
