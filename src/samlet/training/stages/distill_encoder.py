"""Stage 1: the student's image encoder learns the teacher's embeddings.

Source: EfficientViT-SAM stage 1 and MobileSAM, whose training code was never published.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samlet.data import Broken, Sample
from samlet.errors import TrainingError
from samlet.models import Sam
from samlet.nn.layers import LayerNorm2d
from samlet.preprocess import to_pixels
from samlet.spec import ImageSpec
from samlet.training.batches.feed import Batches
from samlet.training.batches.order import Batch, Readable, choose, drawn, positions_of, valid_cells
from samlet.training.batches.views import draw_view, generator, jitter_color
from samlet.training.config import DistillEncoderConfig
from samlet.training.loop.processes import count, rank, wait_for_all
from samlet.training.stages.losses import masked_cosine, masked_mse
from samlet.training.stages.stage import Stage, Start, Told
from samlet.training.stages.students import new_student
from samlet.training.stages.teacher import Teacher, TeacherFile


@dataclass(frozen=True)
class EmbeddingBatch(Batch):
    """pixels [B, 3, S, S], valid [B, G, G] (False: padding), and of the teacher its embeddings [B, C, G, G] or, online,
    what it is to embed, as float16 [B, 3, T, T] on its own canvas.
    """

    pixels: Tensor
    valid: Tensor
    target: Tensor | None = None
    seen: Tensor | None = None


class DistillEncoder(Stage):
    """Trains `student.image_encoder` alone; its prompt encoder and mask decoder are the teacher's. Without a teacher,
    `make_batches` is of no use.
    """

    def __init__(
        self,
        student: Sam,
        config: DistillEncoderConfig,
        teacher: Teacher | None = None,
        fresh: bool = True,
        online: Sam | None = None,
    ) -> None:
        super().__init__()
        self.image_encoder = student.image_encoder
        # In a tuple it is no submodule: the parts that do not learn are in no checkpoint.
        self._student, self._teacher = (student,), teacher
        self._online = (online.eval().requires_grad_(False) if online else None,)
        self._cosine_weight = config.cosine_weight
        self._variance = 1.0
        self._fresh = fresh
        self._norm = (_last_norm(student),)

    @classmethod
    def open(cls, config: DistillEncoderConfig, start: Start) -> DistillEncoder:
        """A student of the teacher in `start`: a new one, or one with the weights of a checkpoint."""
        assert isinstance(start.teacher, TeacherFile)
        model, teacher = start.teacher.open(start.output, start.device)
        student = new_student(config.student, config.seed, model, start.checkpoint)
        return cls(student, config, teacher, start.checkpoint is None, model if config.online else None)

    @property
    def whole_student(self) -> Sam:
        """See `Stage`."""
        return self._student[0]

    def make_batches(
        self, samples: Sequence[Sample], config: DistillEncoderConfig, broken: Broken | None = None
    ) -> EmbeddingBatches:
        """Views of the samples with the teacher's embeddings."""
        assert self._teacher is not None
        return EmbeddingBatches(samples, self._teacher, self.whole_student.spec.image, config, broken)

    def begin(self, batches: EmbeddingBatches) -> None:
        """Start at the teacher's statistics."""
        self.start_at(*batches.statistics())

    def prepare(self, batches: EmbeddingBatches, told: Told | None) -> None:
        """Let the teacher embed all views, so that training is not held up."""
        batches.prepare(told)

    def start_at(self, mean: Tensor, std: Tensor) -> None:
        """Let a fresh student's last norm start at the teacher's `mean` and `std` [256] per channel.

        SAM's embeddings vary little around a constant, and a student that starts with unit variance first unlearns its
        features. The squared error is divided by the mean variance, so 1 is what the best constant achieves.
        """
        self._variance = std.square().mean().item()
        if not self._fresh:
            return
        with torch.no_grad():
            self._norm[0].weight.copy_(std)
            self._norm[0].bias.copy_(mean)

    def forward(self, batch: EmbeddingBatch) -> dict[str, Tensor]:
        """{"mse": …, "cosine": … where it has weight}: scalars."""
        embedding = self.image_encoder(batch.pixels)
        target = self._embedded(batch.seen) if batch.target is None else batch.target
        losses = {"mse": masked_mse(embedding, target, batch.valid) / self._variance}
        if self._cosine_weight:
            losses["cosine"] = self._cosine_weight * masked_cosine(embedding, target, batch.valid)
        return losses

    @torch.no_grad()
    def _embedded(self, seen: Tensor | None) -> Tensor:
        teacher = self._online[0]
        assert teacher is not None
        assert seen is not None
        return teacher.encode(seen.float()).float()


def _last_norm(student: Sam) -> LayerNorm2d:
    norms = [module for module in student.image_encoder.modules() if isinstance(module, LayerNorm2d)]
    if not norms:
        raise TrainingError(
            f"The encoder of {student.spec.name} has no last norm for the teacher's statistics to start from: end it "
            "with a samlet.nn.layers.LayerNorm2d(256)."
        )
    return norms[-1]


class EmbeddingBatches(Batches[EmbeddingBatch]):
    """Images and the teacher's embeddings of the same views."""

    def __init__(
        self,
        samples: Sequence[Sample],
        teacher: Teacher,
        image: ImageSpec,
        config: DistillEncoderConfig,
        broken: Broken | None = None,
    ) -> None:
        super().__init__(config, Readable(choose(samples, config), broken))
        self._teacher, self._image, self._config = teacher, image, config

    def prepare(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Embed every view the run will ask for, so that training is not held up; `progress(done, of)`.

        Several processes embed a share each, into one cache. Online there is nothing to do.
        """
        if self._config.online:
            return
        images = len(self.images)
        seen = self._config.steps * self._config.batch_size
        needed = min(seen, self._config.pool or seen, self._config.views * images)
        todo = range(rank(), needed, count())
        for done, position in enumerate(todo, start=1):
            view, index = drawn(self._config, images, position)
            self.images.make(index, lambda sample, view=view: self._teacher.embed(self._view(sample, view)))
            if progress is not None:
                progress(done, len(todo))
        wait_for_all()

    def statistics(self, images: int = 32) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the teacher's embeddings over a few images, each [256]."""
        first = range(min(images, len(self.images)))
        made = [self.images.make(i, lambda sample: self._teacher.embed(self._view(sample, 0))) for i in first]
        embeddings = torch.from_numpy(np.stack(made)).float()
        return embeddings.mean(dim=(0, 2, 3)), embeddings.std(dim=(0, 2, 3))

    def at(self, step: int, part: int = 0) -> EmbeddingBatch:
        """The batch of a part of a step; depends on nothing but the seed."""
        canvas = replace(self._image, canvas=self._config.canvas_at(step))
        items = [self._item(position, canvas) for position in positions_of(self._config, step, part)]
        names, *arrays = zip(*items, strict=True)
        pixels, valid, told = (torch.from_numpy(np.stack(array)) for array in arrays)
        if self._config.online:
            return EmbeddingBatch(names, pixels, valid, seen=told)
        return EmbeddingBatch(names, pixels, valid, told.float())

    def _view(self, sample: Sample, index: int) -> NDArray[np.uint8]:
        image = sample.read_image()
        return draw_view(image.shape[:2], sample.name, index, self._config).apply(image)

    def _item(self, position: int, canvas: ImageSpec) -> tuple[str, NDArray, NDArray, NDArray]:
        epoch, index = drawn(self._config, len(self.images), position)

        def make(sample: Sample) -> tuple[str, NDArray, NDArray, NDArray]:
            seen = self._view(sample, epoch % self._config.views)
            pixels, frame = to_pixels(
                jitter_color(seen, generator(self._config.seed, "colour", position), self._config.color), canvas
            )
            return sample.name, pixels, valid_cells(frame.content_hw, canvas.canvas, canvas.grid), self._told(seen)

        return self.images.make(index, make)

    def _told(self, seen: NDArray[np.uint8]) -> NDArray[np.float16]:
        """Of a view what the teacher says, or what it will be shown: its pixels, exact to a tenth of a level."""
        if self._config.online:
            return to_pixels(seen, self._teacher.backend.spec.image)[0].astype(np.float16)
        return self._teacher.embed(seen)
