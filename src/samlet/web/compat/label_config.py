"""Label Studio's label config: which tag a mask answers to, and under which name a task has its image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from xml.etree import ElementTree as ET

from samlet.errors import InputError

Kind = Literal["brushlabels", "polygonlabels"]
_KINDS: tuple[Kind, ...] = ("brushlabels", "polygonlabels")  # a brush first: it has holes


@dataclass(frozen=True)
class AnswerTag:
    """A tag of the config that masks can be results of."""

    kind: Kind
    name: str
    to_name: str


def answer_tag(config: str) -> AnswerTag:
    """The tag for masks; InputError if the config has none, or is no XML."""
    tags = [(tag.tag.lower(), tag) for tag in _tags(config)]
    for kind in _KINDS:
        for name, tag in tags:
            if name == kind:
                return AnswerTag(kind, tag.get("name", ""), tag.get("toName", ""))
    raise InputError("The label config has no BrushLabels and no PolygonLabels: add one, so that masks can be drawn.")


def image_field(config: str) -> str:
    """The key of the image in a task's data: "image" of `<Image value="$image"/>`."""
    for tag in _tags(config):
        if tag.tag.lower() == "image":
            return tag.get("value", "").lstrip("$")
    raise InputError("The label config has no Image.")


def _tags(config: str) -> list[ET.Element]:
    if "<!" in config:  # a document type may define entities without end
        raise InputError("The label config has a document type or comments, which are not read.")
    try:
        return list(ET.fromstring(config).iter())
    except (ET.ParseError, ValueError, RecursionError):
        raise InputError("The label config is no XML that can be read.") from None
