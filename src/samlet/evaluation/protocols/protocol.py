"""The papers' ways of measuring, as data: how a mask is prompted, and which candidate mask is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from samlet.errors import InputError

Start = Literal["box", "point", "center", "everything", "box_from_detector"]
Policy = Literal["best", "first", "stability", "oracle"]

_FEWEST_CLICKS = {"box": 0, "point": 1, "center": 1, "everything": 0, "box_from_detector": 0}
_MOST_CLICKS = 20  # what the clicking papers report at most


@dataclass(frozen=True)
class Protocol:
    """How one instance is prompted and scored.

    `start`: "box" = the annotation's box, "point" = RITM's first click (EfficientViT-SAM), "center" = EdgeSAM's
    mask center. `clicks`: all clicks, the first point included; with "box" the corrections after it. Every round sees
    all clicks so far; only the last mask is scored. "everything" prompts by its own grid and counts what is found: it
    takes no clicks and no policy. "box_from_detector" = each box of a detector; it takes no clicks.
    `feed_mask_back`: each round also sees the mask before.
    `policy`: which mask counts: of the three of ambiguous prompts the one of "best" predicted IoU, the most stable
    ("stability") or the nearest to the truth ("oracle"); "first" is the decoder's single-mask answer.
    """

    start: Start = "box"
    clicks: int = 0
    policy: Policy = "best"
    feed_mask_back: bool = False

    def __post_init__(self) -> None:
        if self.start not in get_args(Start):
            raise InputError(f"Protocol {self.start!r} is unknown; choose one of {', '.join(get_args(Start))}.")
        if self.policy not in get_args(Policy):
            raise InputError(f"Mask policy {self.policy!r} is unknown; choose one of {', '.join(get_args(Policy))}.")
        fewest = _FEWEST_CLICKS[self.start]
        if not fewest <= self.clicks <= _MOST_CLICKS:
            raise InputError(f"Protocol {self.start} takes {fewest} to {_MOST_CLICKS} clicks, not {self.clicks}.")
        if self.start == "everything" and (self.clicks or self.policy != "best" or self.feed_mask_back):
            raise InputError("Protocol everything clicks and chooses by itself: leave out clicks, policy and feedback.")
        if self.start == "box_from_detector" and (self.clicks or self.policy == "oracle" or self.feed_mask_back):
            raise InputError("Protocol box_from_detector knows no truth: leave out clicks, feedback and policy oracle.")

    @property
    def rounds(self) -> int:
        """How often the decoder answers for one instance."""
        return self.clicks + 1 if self.start == "box" else self.clicks

    @property
    def title(self) -> str:
        """The protocol in words, for tables and headings."""
        if self.start == "everything":
            return "everything"
        clicks = f", {self.clicks} click{'s' if self.clicks > 1 else ''}" if self.clicks else ""
        fed_back = ", mask fed back" if self.feed_mask_back else ""
        return f"{self.start}{clicks}, policy {self.policy}{fed_back}"

    def to_json(self) -> dict[str, Any]:
        """The protocol as JSON fields."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Protocol:
        """The protocol that `to_json` wrote."""
        return cls(**fields)


def default_clicks(start: Start) -> int:
    """The fewest clicks a start allows: none after a box, one for a point."""
    return _FEWEST_CLICKS.get(start, 0)
