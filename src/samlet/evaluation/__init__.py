"""Measuring like the papers: protocols are data, the predictor is any model on any backend. No torch here."""

from __future__ import annotations

from samlet.evaluation.metrics.average_precision import detected
from samlet.evaluation.protocols.protocol import Protocol
from samlet.evaluation.report.summary import build_report, read_report, write_report
from samlet.evaluation.results import ImageResult, InstanceResult, ResultLog, Share
from samlet.evaluation.run import evaluate, evaluate_image
from samlet.evaluation.selection import hash_of, left_out, select

__all__ = [
    "ImageResult",
    "InstanceResult",
    "Protocol",
    "ResultLog",
    "Share",
    "build_report",
    "detected",
    "evaluate",
    "evaluate_image",
    "hash_of",
    "left_out",
    "read_report",
    "select",
    "write_report",
]
