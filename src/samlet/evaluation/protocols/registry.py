"""The protocols by name. Each is imported when it is used, so that `--help` can list them at no cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from samlet.errors import InputError

if TYPE_CHECKING:
    from samlet.evaluation.protocols.protocol import EvaluationProtocol
    from samlet.spec import Task

# Name, where it lives, and what the model is given.
PROTOCOLS = (
    ("box", "samlet.evaluation.protocols.box:Box", "the true box"),
    ("point", "samlet.evaluation.protocols.point:Point", "RITM's clicks, as EfficientViT-SAM does"),
    ("center", "samlet.evaluation.protocols.center:Center", "the mask's center, as EdgeSAM does"),
    ("everything", "samlet.evaluation.protocols.everything:Everything", "nothing: the recall of everything mode"),
    (
        "box_from_detector",
        "samlet.evaluation.protocols.box_from_detector:BoxFromDetector",
        "the boxes of --detections: COCO's or LVIS's AP",
    ),
    (
        "classification",
        "samlet.evaluation.protocols.classification:Classification",
        "an image, for a classifier: top-1 and top-5",
    ),
    ("semantic", "samlet.evaluation.protocols.semantic:Semantic", "an image, for a semantic segmenter: mIoU"),
)


def make_protocol(name: str, **options: Any) -> EvaluationProtocol:
    """The protocol of that name; what `options` leaves out has the protocol's own default.

    InputError for an unknown name, an option that the protocol does not take, and values out of range.
    """
    kind = _class_of(name)
    taken = {field.name for field in fields(kind)}
    for option in options:
        if option not in taken:
            offered = f"it takes {', '.join(sorted(taken))}" if taken else "it takes no options"
            raise InputError(f"Protocol {name} has no {option}: {offered}.")
    return kind(**options)


def from_json(content: Mapping[str, Any]) -> EvaluationProtocol:
    """The protocol that `to_json` wrote, in this version or an earlier one."""
    from samlet.evaluation.earlier import upgraded_protocol

    options = upgraded_protocol(content)
    return make_protocol(options.pop("start"), **options)


def protocols_for(task: Task) -> list[str]:
    """The names of the protocols that ask models of a task."""
    return [name for name, *_ in PROTOCOLS if _class_of(name).task == task]


def _class_of(name: str) -> Any:
    for known, home, _ in PROTOCOLS:
        if known == name:
            module, _, attribute = home.partition(":")
            return getattr(import_module(module), attribute)
    raise InputError(f"Protocol {name!r} is unknown; choose one of {', '.join(known for known, *_ in PROTOCOLS)}.")
