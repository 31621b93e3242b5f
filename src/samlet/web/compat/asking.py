"""What the routes of all tools need: images out of base64, and masks for prompts, within a request."""

from __future__ import annotations

import base64
from binascii import Error as Base64Error

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from samlet.errors import ImageError, InputError
from samlet.masks import MaskSet
from samlet.prompts import Prompts
from samlet.web.kept import EmbeddedPhoto
from samlet.web.service import Service
from samlet.web.waiting import result_for

MOST_PROMPTS = 64
MOST_CLICKS = 256  # of all prompts of a request, a box being two


class Sent(BaseModel):
    """A body of another tool: what is not known of it is passed over."""

    model_config = ConfigDict(extra="ignore")


def image_of(text: str) -> bytes:
    """The bytes of an image file that is sent as base64, or as a data address. ImageError if it is neither."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise ImageError("The image's data address must be data:image/…;base64,….")
    try:
        return base64.b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise ImageError("The image is not base64: send the bytes of an image file in base64.") from None


class Asking:
    """Embeds and asks for the routes of one application."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.model_name: str = service.model.spec.name

    async def embed(self, request: Request, content: bytes) -> EmbeddedPhoto:
        """The embedded image of a file's bytes; errors as `Service.embed`."""
        return await result_for(request, self.service.embed(content), self.service.settings.answer_seconds)

    async def segment(self, request: Request, kept: EmbeddedPhoto, prompts: Prompts) -> MaskSet:
        """One clean mask for each prompt."""
        if prompts.labels.size > MOST_CLICKS:
            raise InputError(
                f"More than {MOST_CLICKS} points and corners are too much at once: ask in several requests."
            )
        prompts.check(kept.embedding.frame.size_hw)
        future = self.service.ask(lambda model: model.segment(kept.photo, prompts, embedding=kept.embedding))
        return await result_for(request, future, self.service.settings.answer_seconds)


def check_count(prompts: int) -> None:
    """InputError for no prompt, and for more than one request may ask."""
    if not prompts:
        raise InputError("There is no prompt: send a point or a box.")
    if prompts > MOST_PROMPTS:
        raise InputError(f"{prompts} prompts are more than {MOST_PROMPTS}: ask in several requests.")
