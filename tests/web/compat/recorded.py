"""Requests as other tools' clients sent them, with a photo in the place of theirs."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from tests.web.conftest import photo_file

from samlet import Prompts
from samlet.predictor import Predictor

FOLDER = Path(__file__).parents[2] / "fixtures" / "requests"
PHOTO = photo_file(600, 400)


def recorded(tool: str) -> dict[str, Any]:
    """The bodies of a tool's requests, by path; their photo has 600 x 400 pixels."""
    text = (FOLDER / f"{tool}.json").read_text(encoding="utf-8")
    return json.loads(text.replace("IMAGE", base64.b64encode(PHOTO).decode()))


def expected(model: Predictor, *prompts: Prompts):
    """The masks that Python gives for them."""
    return model.segment(PHOTO, Prompts.stack(prompts))
