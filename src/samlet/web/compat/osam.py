"""osam's server (0.8): `POST /api/generate`, an image with a prompt in, masks as PNG out."""

from __future__ import annotations

import asyncio
import base64
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Request
from pydantic import Field

from samlet.errors import InputError
from samlet.masks import Mask, MaskSet
from samlet.png import png_chunks
from samlet.prompts import PointLabel, Prompts
from samlet.web.compat.asking import Asking, Sent, image_of
from samlet.web.schemas import MOST_POINTS, Coordinate


class Prompt(Sent):
    """Points with labels: 0 background, 1 foreground, 2 and 3 the corners of a box."""

    points: list[tuple[Coordinate, Coordinate]] | None = Field(None, max_length=MOST_POINTS, examples=[[[250, 225]]])
    point_labels: list[Annotated[int, Field(ge=0, le=3)]] | None = Field(None, max_length=MOST_POINTS, examples=[[1]])
    texts: list[str] | None = None


class Generate(Sent):
    """An image and what is asked of it."""

    model: str = Field(max_length=200, examples=["samlet"])
    image: str | None = Field(None, description="The bytes of an image file, in base64.", examples=["…"])
    prompt: Prompt | None = None


def osam_routes(asking: Asking) -> APIRouter:
    """The route of osam."""
    router = APIRouter(tags=["osam"])

    @router.post("/api/generate")
    async def generate(request: Request, body: Generate) -> dict[str, Any]:
        """A mask for the prompt, as osam answers. It embeds each image once; `image_embedding` is never sent."""
        _check_model(body.model, asking.model_name)
        if body.image is None:
            raise InputError("There is no image: send its file in base64. Embeddings are kept here, not sent.")
        if body.prompt is None:
            raise InputError("There is no prompt: send points with point_labels.")
        prompts = _prompts(body.prompt)
        kept = await asking.embed(request, image_of(body.image))
        masks = await asking.segment(request, kept, prompts)
        annotations = await asyncio.to_thread(_annotations, masks)
        return {"model": body.model, "image_embedding": None, "annotations": annotations}

    return router


def _check_model(asked: str, name: str) -> None:
    known = ("samlet", name)
    if asked.removesuffix(":latest") not in known:
        raise InputError(f"There is no model {asked[:80]!r} here: ask for {' or '.join(known)}.")


def _prompts(prompt: Prompt) -> Prompts:
    if prompt.texts:
        raise InputError("This model takes no texts: send points with point_labels.")
    points, labels = prompt.points or [], prompt.point_labels or []
    if len(points) != len(labels) or not points:
        raise InputError(f"There are {len(points)} points and {len(labels)} point_labels: send one label per point.")
    pairs = list(zip(points, labels, strict=True))
    clicks = [pair for pair in pairs if pair[1] <= PointLabel.FOREGROUND]
    corners = sorted((label, point) for point, label in pairs if label > PointLabel.FOREGROUND)
    asked = ([point for point, _ in clicks], [label for _, label in clicks]) if clicks else ()
    if not corners:
        return Prompts.points(*asked)
    if [label for label, _ in corners] != [PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]:
        raise InputError("A box is one point with label 2 (top left) and one with label 3 (bottom right).")
    return Prompts.boxes([*corners[0][1], *corners[1][1]], *asked)


def _annotations(masks: MaskSet) -> list[dict[str, Any]]:
    return [_annotation(mask) for mask in masks if mask.area_px]


def _annotation(mask: Mask) -> dict[str, Any]:
    """A mask cropped to its box, whose corners are pixels of it."""
    left, top, width, height = mask.box_xywh
    inside = mask.to_array()[top : top + height, left : left + width].view(np.uint8) * np.uint8(255)
    return {
        "bounding_box": {"xmin": left, "ymin": top, "xmax": left + width - 1, "ymax": top + height - 1},
        "text": None,
        "score": mask.iou,
        "mask": base64.b64encode(b"".join(png_chunks([inside], (height, width)))).decode(),
    }
