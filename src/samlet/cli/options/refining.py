"""How a prompt's mask is chosen and refined, for the verbs that answer prompts."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

SelectOption: TypeAlias = Annotated[
    Literal["iou", "stability"],
    Parameter(help="Which mask is best: by the IoU the model predicts (default), or (EdgeSAM) by its stability."),
]
RefineOption: TypeAlias = Annotated[
    Literal["auto", "none", "edges", "look"],
    Parameter(
        help="look: look again, at a window around the answer; edges: the photo places them; auto (default): both."
    ),
]
