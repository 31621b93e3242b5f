"""What the protocols share that ask for annotated masks one by one: prompts, rounds of clicks, IoU."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from samlet.backend import Embedding
from samlet.data import Annotation, Sample
from samlet.errors import InputError
from samlet.evaluation.metrics.means import measure
from samlet.evaluation.metrics.overlap import mask_iou
from samlet.evaluation.metrics.scoring import score
from samlet.evaluation.protocols.answers import PROMPTS_PER_BATCH, Answer, Select, ask, ask_refined, known_select
from samlet.evaluation.protocols.interaction import Interaction
from samlet.evaluation.protocols.protocol import EvaluationProtocol
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.selection import Scope, Selection, annotation_of, choose_annotated
from samlet.evaluation.side_by_side import side_by_side
from samlet.evaluation.stopwatch import Stopwatch
from samlet.evaluation.tables import Table, iou_tables
from samlet.geometry.frames import ImageFrame
from samlet.predictor import Predictor
from samlet.segmenting import REFINE, Refine

_MOST_CLICKS = 20  # what the clicking papers report at most


@dataclass(frozen=True)
class PromptedProtocol(EvaluationProtocol):
    """Prompts each annotated mask, and clicks where the answer is wrong; every round sees all clicks so far.

    The last mask is scored; of those before it, the IoU is told. `select` says which mask that is, see
    `samlet.evaluation.protocols.answers.Select`. `feed_mask_back`: each round also sees the mask before. `refine`: the
    masks are those of `Predictor.segment`, which chooses and feeds back by itself; None measures the network's own
    answers.
    """

    clicks: int = 0
    select: Select = "iou"
    feed_mask_back: bool = False
    refine: Refine | None = None

    score: ClassVar[str | None] = "mIoU"
    fewest_clicks: ClassVar[int] = 0

    def __post_init__(self) -> None:
        several = self.fewest_clicks > 0 and self.clicks > 1  # without a box
        object.__setattr__(self, "select", known_select(self.select, several))
        if self.refine is not None and (self.select != "iou" or self.feed_mask_back):
            raise InputError("--refine chooses masks and feeds them back itself: leave --select and --feed-mask-back.")
        if self.refine is not None and self.refine not in REFINE:
            raise InputError(f"refine is {self.refine!r}; it must be one of {', '.join(REFINE)}.")
        if not self.fewest_clicks <= self.clicks <= _MOST_CLICKS:
            raise InputError(
                f"Protocol {self.name} takes {self.fewest_clicks} to {_MOST_CLICKS} clicks, not {self.clicks}."
            )

    @property
    @abstractmethod
    def rounds(self) -> int:
        """How often the decoder answers for one instance."""

    @abstractmethod
    def begin(self, annotations: Sequence[Annotation], frame: ImageFrame) -> Interaction:
        """What is asked with in the first round."""

    @property
    def title(self) -> str:
        """The protocol with its options in words."""
        clicks = f", {self.clicks} click{'s' if self.clicks > 1 else ''}" if self.clicks else ""
        fed_back = ", mask fed back" if self.feed_mask_back else ""
        if self.refine is not None:
            return f"{self.name}{clicks}, segment with refine {self.refine}"
        return f"{self.name}{clicks}, select {self.select}{fed_back}"

    def to_json(self) -> dict[str, Any]:
        """The name and the options as JSON fields; `refine` only where it is asked for, as before there was one."""
        return {key: value for key, value in super().to_json().items() if (key, value) != ("refine", None)}

    def choose(self, samples: Sequence[Sample], scope: Scope) -> Selection:
        """The annotated samples with the masks that count."""
        return choose_annotated(samples, scope)

    def evaluate(self, predictor: Predictor, sample: Sample) -> ImageResult:
        """Prompt every annotation of one image, in batches on one embedding."""
        watch = Stopwatch()
        with watch.time("read"):
            image = sample.read_image()
        with watch.time("embed"):
            embedding = predictor.embed(image)
        instances: list[InstanceResult] = []
        for start in range(0, len(sample.annotations), PROMPTS_PER_BATCH):
            batch = sample.annotations[start : start + PROMPTS_PER_BATCH]
            instances += self._measure(predictor, image, embedding, batch, watch)
        return ImageResult(sample.name, sample.source, tuple(instances), watch.seconds)

    def _measure(
        self,
        predictor: Predictor,
        image: NDArray[np.uint8],
        embedding: Embedding,
        annotations: Sequence[Annotation],
        watch: Stopwatch,
    ) -> list[InstanceResult]:
        """A batch's last answers; where there are several rounds, the IoU of each."""
        found: list[InstanceResult] = []
        before: list[list[float]] = [[] for _ in annotations]
        rounds = self.interact(predictor, image, embedding, annotations, watch)
        for number, (interaction, answer) in enumerate(rounds, start=1):
            with watch.time("score"):
                pairs = list(zip(annotations, interaction.truths, answer.masks, strict=True))
                if number < self.rounds:
                    for ious, (_, truth, mask) in zip(before, pairs, strict=True):
                        ious.append(mask_iou(mask, truth))
                else:
                    found = [score(*pair, float(iou)) for pair, iou in zip(pairs, answer.iou, strict=True)]
        if self.rounds == 1:
            return found
        return [replace(last, by_round=(*ious, last.true_iou)) for last, ious in zip(found, before, strict=True)]

    def interact(
        self,
        predictor: Predictor,
        image: NDArray[np.uint8],
        embedding: Embedding,
        annotations: Sequence[Annotation],
        watch: Stopwatch | None = None,
    ) -> Iterator[tuple[Interaction, Answer]]:
        """All rounds for a batch of annotations, one by one: the prompts so far, and the answer to them."""
        watch = watch or Stopwatch()
        with watch.time("read"):
            interaction = self.begin(annotations, embedding.frame)
        answer: Answer | None = None
        for _ in range(self.rounds):
            with watch.time("score"):
                prompts = interaction.next_prompts(answer.masks if answer else None)
            with watch.time("predict"):
                if answer and self.feed_mask_back:
                    prompts = prompts.with_mask_hint(answer.low_res)
                if self.refine is not None:
                    answer = ask_refined(predictor, image, embedding, prompts, self.refine)
                else:
                    answer = ask(predictor, embedding, prompts, self.select, interaction.truths)
            yield interaction, answer

    def aggregate(self, results: Sequence[ImageResult], selection: Selection) -> dict[str, Any]:  # noqa: ARG002
        """Means of IoU and of boundary IoU over instances."""
        return measure(results)

    def tables(self, metrics: Mapping[str, Any]) -> list[Table]:
        """IoU by size, by source and by category."""
        return iou_tables(metrics)

    def draw(
        self, predictor: Predictor, sample: Sample, instances: Sequence[InstanceResult]
    ) -> list[NDArray[np.uint8]]:
        """The truth beside the answer with its prompts."""
        image = sample.read_image()
        embedding = predictor.embed(image)
        pictures = []
        for instance in instances:
            asked = [annotation_of(sample, instance.id)]
            [(interaction, answer)] = deque(self.interact(predictor, image, embedding, asked), maxlen=1)
            pictures.append(side_by_side(image, interaction.truths[0], answer.masks[0], interaction.prompts()))
        return pictures


def truths_of(annotations: Sequence[Annotation]) -> list[NDArray[np.bool_]]:
    """The masks of annotations, bool [H, W] each."""
    return [annotation.to_array() for annotation in annotations]
