"""What samlet 0.1.0 wrote and called otherwise: its reports and logs, and two names that go with the next release."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samlet.data import Sample
    from samlet.evaluation.protocols.protocol import EvaluationProtocol

# 0.1.0 wrote every option with every protocol, also where it had no meaning.
_MEANT = {"everything": (), "box_from_detector": ("select",)}


def upgraded(content: Mapping[str, Any]) -> dict[str, Any]:
    """A report, or the header of a log, with its protocol as it is written today."""
    if not isinstance(content.get("protocol"), Mapping):
        return dict(content)
    return {**content, "protocol": upgraded_protocol(content["protocol"])}


def upgraded_protocol(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON fields of a protocol: `policy` became `select`, its words too; options without meaning are gone."""
    from samlet.evaluation.protocols.answers import select_of_earlier

    renamed = {"select" if key == "policy" else key: value for key, value in fields.items()}
    clicks = renamed.get("clicks")
    several = renamed.get("start") in ("point", "center") and isinstance(clicks, int) and clicks > 1
    if "select" in renamed:
        renamed["select"] = select_of_earlier(renamed["select"], several)
    meant = _MEANT.get(str(renamed.get("start")))
    return renamed if meant is None else {key: value for key, value in renamed.items() if key in ("start", *meant)}


def Protocol(  # noqa: N802 (it was a class)
    start: str = "box", clicks: int | None = None, policy: str = "best", feed_mask_back: bool = False
) -> EvaluationProtocol:
    """The protocol of that name; deprecated for `Box`, `Point`, `Center`, `Everything` and `BoxFromDetector`."""
    from samlet.evaluation.protocols.registry import make_protocol

    warnings.warn("Protocol(...) became Box(), Point(), …: use those, or make_protocol.", DeprecationWarning, 2)
    from samlet.evaluation.protocols.answers import select_of_earlier

    given = {"clicks": clicks or None, "feed_mask_back": feed_mask_back or None}
    given["select"] = None if start == "everything" and policy == "best" else policy
    given["select"] = select_of_earlier(given["select"], start in ("point", "center") and (clicks or 1) > 1)
    return make_protocol(start, **{option: value for option, value in given.items() if value is not None})


def select(
    samples: Sequence[Sample], limit: int | None = None, max_masks_per_image: int | None = None, crowds: bool = True
) -> list[Sample]:
    """The samples that count; deprecated for `select_samples`."""
    from samlet.evaluation.selection import select_samples

    warnings.warn("select became select_samples.", DeprecationWarning, 2)
    return select_samples(samples, limit, max_masks_per_image, crowds)
