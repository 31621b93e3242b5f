"""Measuring like the papers: protocols are objects, the predictor is any model on any backend. No torch here.

Names are resolved when first used, so that a list of the protocols costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from samlet.evaluation.protocols.box import Box
    from samlet.evaluation.protocols.box_from_detector import BoxFromDetector, detected
    from samlet.evaluation.protocols.center import Center
    from samlet.evaluation.protocols.everything import Everything
    from samlet.evaluation.protocols.point import Point
    from samlet.evaluation.protocols.protocol import EvaluationProtocol
    from samlet.evaluation.protocols.registry import make_protocol
    from samlet.evaluation.report.summary import build_report, read_report, write_report
    from samlet.evaluation.results import ImageResult, InstanceResult, ResultLog, Share
    from samlet.evaluation.run import evaluate, evaluate_image
    from samlet.evaluation.selection import Scope, Selection, hash_of, left_out, select_samples

__all__ = [
    "Box",
    "BoxFromDetector",
    "Center",
    "EvaluationProtocol",
    "Everything",
    "ImageResult",
    "InstanceResult",
    "Point",
    "ResultLog",
    "Scope",
    "Selection",
    "Share",
    "build_report",
    "detected",
    "evaluate",
    "evaluate_image",
    "hash_of",
    "left_out",
    "make_protocol",
    "read_report",
    "select_samples",
    "write_report",
]

_HOMES = {
    "protocols.box": ("Box",),
    "protocols.box_from_detector": ("BoxFromDetector", "detected"),
    "protocols.center": ("Center",),
    "protocols.everything": ("Everything",),
    "protocols.point": ("Point",),
    "protocols.protocol": ("EvaluationProtocol",),
    "protocols.registry": ("make_protocol",),
    "report.summary": ("build_report", "read_report", "write_report"),
    "results": ("ImageResult", "InstanceResult", "ResultLog", "Share"),
    "run": ("evaluate", "evaluate_image"),
    "selection": ("Scope", "Selection", "hash_of", "left_out", "select_samples"),
    "earlier": ("Protocol", "select"),  # deprecated
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"samlet.evaluation.{home}"), name)
            globals()[name] = value  # the next use is an ordinary attribute
            return value
    raise AttributeError(f"module 'samlet.evaluation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
