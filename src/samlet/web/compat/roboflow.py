"""Roboflow's inference server, as its SDK (inference-sdk 1.8) asks for SAM 2 and SAM 3: `/sam2/…` and `/sam3/…`.

Boxes are center x, center y, width, height; masks go out as polygons or as COCO's run-length code. The SDK sends the
server's token as `api_key` in the body.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from samlet.errors import InputError
from samlet.geometry.rle import Rle
from samlet.masks import Mask
from samlet.prompts import Prompts
from samlet.web.compat.asking import Asking, Sent, check_count, image_of
from samlet.web.guard import check_token_of_body
from samlet.web.kept import EmbeddedPhoto
from samlet.web.schemas import MOST_POINTS, Coordinate


class Image(Sent):
    """An image file in base64; addresses are not fetched."""

    type: str = Field(max_length=32, examples=["base64"])
    value: str = Field(examples=["…"])


class Point(Sent):
    """A click."""

    x: Coordinate
    y: Coordinate
    positive: bool = True


class Box(Sent):
    """A box by its center."""

    x: Coordinate
    y: Coordinate
    width: Coordinate
    height: Coordinate


class Prompt(Sent):
    """One object: a box, clicks, or both."""

    box: Box | None = None
    points: list[Point] | None = Field(None, max_length=MOST_POINTS)


class PromptList(Sent):
    """All that is asked of an image."""

    prompts: list[Prompt] | None = None


class Embed(Sent):
    """An image to encode."""

    image: Image | None = None
    image_id: str | None = Field(None, max_length=200)
    api_key: str | None = Field(None, max_length=1000)


class Segment(Embed):
    """An image, or the id of one that was embedded, and prompts about it."""

    prompts: PromptList | None = Field(
        None, examples=[{"prompts": [{"points": [{"x": 250, "y": 225, "positive": True}]}]}]
    )
    format: Literal["json", "polygon", "rle", "binary"] = "json"


class Concept(Embed):
    """What SAM 3 finds by words or examples."""


def roboflow_routes(asking: Asking) -> APIRouter:
    """The routes of the SDK."""
    router, routes = APIRouter(tags=["Roboflow"]), _Routes(asking)
    for version in ("sam2", "sam3"):
        router.add_api_route(f"/{version}/embed_image", routes.embed, methods=["POST"])
    for path in ("/sam2/segment_image", "/sam3/visual_segment"):
        router.add_api_route(path, routes.segment, methods=["POST"])
    router.add_api_route("/sam3/concept_segment", routes.concept, methods=["POST"])
    return router


class _Routes:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def embed(self, request: Request, body: Embed) -> dict[str, Any]:
        """Encode an image, so that it can be asked about by the `image_id` of the answer (not one of your own)."""
        check_token_of_body(request.scope, body.api_key)
        start = time.perf_counter()
        kept = await self._kept(request, body)
        return {"image_id": body.image_id or kept.key, "time": time.perf_counter() - start}

    async def segment(self, request: Request, body: Segment) -> dict[str, Any]:
        """One mask for each prompt."""
        check_token_of_body(request.scope, body.api_key)
        start = time.perf_counter()
        asked = (body.prompts and body.prompts.prompts) or []
        check_count(len(asked))
        if body.format == "binary":
            raise InputError("The format binary is not sent: ask for json or rle.")
        prompts = Prompts.stack([_prompts(prompt) for prompt in asked])
        masks = await self._asking.segment(request, await self._kept(request, body), prompts)
        form = _run_lengths if body.format == "rle" else _polygons
        predictions = await asyncio.to_thread(lambda: [{**form(mask), "confidence": mask.iou} for mask in masks])
        return {"predictions": predictions, "time": time.perf_counter() - start}

    async def concept(self, request: Request, body: Concept) -> dict[str, Any]:
        """Not to be had: no model here takes words."""
        check_token_of_body(request.scope, body.api_key)
        raise InputError(
            f"The model {self._asking.model_name} takes no words and no examples: "
            "send points and boxes to /sam3/visual_segment."
        )

    async def _kept(self, request: Request, body: Embed) -> EmbeddedPhoto:
        if body.image is None:
            if body.image_id is None:
                raise InputError("There is no image: send its file in base64.")
            return self._asking.service.kept(body.image_id)
        if body.image.type != "base64":
            raise InputError(f"Images of type {body.image.type!r} are not taken: send the file in base64.")
        return await self._asking.embed(request, image_of(body.image.value))


def _prompts(prompt: Prompt) -> Prompts:
    points = [(point.x, point.y) for point in prompt.points or ()]
    labels = [int(point.positive) for point in prompt.points or ()]
    if prompt.box is None:
        return Prompts.points(points, labels)
    half_width, half_height = prompt.box.width / 2, prompt.box.height / 2
    x, y = prompt.box.x, prompt.box.y
    box = [x - half_width, y - half_height, x + half_width, y + half_height]
    return Prompts.boxes(box, points, labels) if points else Prompts.boxes(box)


def _polygons(mask: Mask) -> dict[str, Any]:
    """Outer rings in whole pixels: this form has no holes."""
    rings = [polygon[0].round().astype(int).tolist() for polygon in mask.polygons()] if mask.area_px else []
    return {"masks": rings, "format": "polygon"}


def _run_lengths(mask: Mask) -> dict[str, Any]:
    code: Rle = mask.rle
    return {"masks": {"size": list(code["size"]), "counts": code["counts"].decode()}, "format": "rle"}
