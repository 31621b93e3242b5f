"""What a protocol is: a way to ask a model, to sum up its answers, and to draw one of them.

A protocol is a frozen value whose fields are its options. Adding one is a module here and a line in `registry`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.data import Sample
from samlet.errors import InputError
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.selection import Scope, Selection
from samlet.evaluation.tables import Table
from samlet.spec import Task


@dataclass(frozen=True)
class EvaluationProtocol(ABC):
    """One way of measuring. Values are small and can be pickled: worker processes get a copy each."""

    name: ClassVar[str]
    """What `samlet eval --protocol` and reports call it."""
    score: ClassVar[str | None]
    """What `scores_of` counts, for the progress bar; None if images have no score of their own."""
    task: ClassVar[Task] = "promptable"
    """What the model that is asked is for."""

    @property
    @abstractmethod
    def title(self) -> str:
        """The protocol with its options in words, for tables and headings."""

    def check(self, scope: Scope) -> None:
        """InputError if options do not belong together; asked before the data is opened."""
        if scope.detections is not None:
            raise InputError("--protocol box_from_detector and --detections belong together: give both or neither.")

    @abstractmethod
    def choose(self, samples: Sequence[Sample], scope: Scope) -> Selection:
        """Which of the opened samples are measured, before any of them is read; InputError or DataError if none can."""

    @abstractmethod
    def evaluate(self, predictor: Any, sample: Sample) -> ImageResult:
        """Ask a model of the protocol's task about one image, and measure the answers in image pixels."""

    @abstractmethod
    def aggregate(self, results: Sequence[ImageResult], selection: Selection) -> dict[str, Any]:
        """The metrics of a run as JSON fields; `results` are in the order of the selection's samples."""

    @abstractmethod
    def tables(self, metrics: Mapping[str, Any]) -> list[Table]:
        """What `aggregate` returned, to be read on a terminal and on the page."""

    @abstractmethod
    def draw(self, predictor: Any, sample: Sample, instances: Sequence[InstanceResult]) -> list[NDArray[np.uint8]]:
        """A picture of each of these results of one image, uint8 RGB [H, W, 3]; the image is embedded once."""

    def scores_of(self, result: ImageResult) -> list[float]:
        """The running score of one image's instances, 0 to 1."""
        return [instance.true_iou for instance in result.instances] if self.score else []

    def to_json(self) -> dict[str, Any]:
        """The name and the options as JSON fields; `registry.from_json` reads them."""
        return {"start": self.name, **{field.name: getattr(self, field.name) for field in fields(self)}}
