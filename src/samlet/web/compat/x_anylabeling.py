"""X-AnyLabeling's remote server (4.2): `GET /v1/models` and `POST /v1/predict`, marks in, polygons out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from samlet.errors import InputError
from samlet.masks import Mask, MaskSet
from samlet.prompts import Prompts
from samlet.web.compat.asking import Asking, Sent, check_count, image_of
from samlet.web.schemas import Coordinate

OBJECT = "AUTOLABEL_OBJECT"  # a label that the application asks its user to replace
_WIDGETS = (
    "button_add_point", "button_remove_point", "button_add_rect", "button_clear", "button_finish_object",
    "mask_fineness_slider",
)  # fmt: skip


class Mark(Sent):
    """A click [x, y], or a box [left, top, right, bottom]; label 1: on the object, 0: not on it."""

    type: Literal["point", "rectangle"] = Field(examples=["point"])
    data: list[Coordinate] = Field(min_length=2, max_length=4, examples=[[250, 225]])
    label: Annotated[int, Field(ge=0, le=1)] = 1


class Params(Sent):
    """What is asked; `epsilon_factor`: how far a left-out corner may be off, as a share of the outline's length."""

    marks: list[Mark] | None = Field(default=None, max_length=256)
    epsilon_factor: float = Field(default=0.001, ge=0, le=1, allow_inf_nan=False)
    text_prompt: str | None = Field(default=None, max_length=1000)


class Predict(Sent):
    """An image file as a data address, and marks on it."""

    model: str = Field(max_length=200, examples=["samlet"])
    image: str = Field(examples=["data:image/jpeg;base64,…"])
    params: Params = Field(
        default_factory=Params, examples=[{"marks": [{"type": "point", "data": [250, 225], "label": 1}]}]
    )


def x_anylabeling_routes(asking: Asking) -> APIRouter:
    """The routes of its remote server."""
    router = APIRouter(tags=["X-AnyLabeling"])

    @router.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model, and what the application shows for it."""
        widgets = [{"name": name, "value": None} for name in _WIDGETS]
        return {"data": {asking.model_name: {"display_name": f"samlet ({asking.model_name})", "widgets": widgets}}}

    @router.post("/v1/predict")
    async def predict(request: Request, body: Predict) -> dict[str, Any]:
        """The outlines of the object that the marks mean."""
        if body.model not in ("samlet", asking.model_name):
            raise InputError(f"There is no model {body.model[:80]!r} here: ask for {asking.model_name}.")
        if body.params.text_prompt:
            raise InputError("This model takes no texts: set points and rectangles.")
        prompts = _prompts(body.params.marks or [])
        masks = await asking.segment(request, await asking.embed(request, image_of(body.image)), prompts)
        shapes = await asyncio.to_thread(_shapes, masks, body.params.epsilon_factor)
        return {"data": {"shapes": shapes, "replace": False, "description": ""}}

    return router


def _prompts(marks: list[Mark]) -> Prompts:
    """All points belong to every rectangle; without a rectangle they are one object."""
    check_count(len(marks))
    for mark in marks:
        if len(mark.data) != (2 if mark.type == "point" else 4):
            raise InputError(f"A mark of type {mark.type} has {len(mark.data)} numbers.")
    points = [mark.data for mark in marks if mark.type == "point"]
    labels = [mark.label for mark in marks if mark.type == "point"]
    boxes = [_upright(mark.data) for mark in marks if mark.type == "rectangle"]
    if not boxes:
        return Prompts.points(points, labels)
    return Prompts.boxes(boxes, points, labels) if points else Prompts.boxes(boxes)


def _upright(corners: list[float]) -> list[float]:
    """The box, from whichever corner it was drawn."""
    left, top, right, bottom = corners
    return [min(left, right), min(top, bottom), max(left, right), max(top, bottom)]


def _shapes(masks: MaskSet, epsilon: float) -> list[dict[str, Any]]:
    """A closed outline for each part of each mask."""
    return [shape for mask in masks if mask.area_px for shape in _outlines(mask, epsilon)]


def _outlines(mask: Mask, epsilon: float) -> list[dict[str, Any]]:
    _, _, width, height = mask.box_xywh
    polygons = mask.polygons(max(0.5, epsilon * 2 * (width + height)))
    rings = [polygon[0].tolist() for polygon in polygons]
    shared = {"label": OBJECT, "shape_type": "polygon", "score": mask.iou}
    return [{**shared, "points": [*ring, ring[0]]} for ring in rings if len(ring) > 2]
