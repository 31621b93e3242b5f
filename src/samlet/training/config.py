"""What a run needs to be repeated: a frozen dataclass, saved beside every checkpoint."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samlet.errors import TrainingError


@dataclass(frozen=True)
class TrainConfig:
    """One run of one stage. Images are counted, not batches: `batch_size` images make one optimizer step.

    `canvases` are (share of the run, student canvas in pixels): early steps may see a smaller canvas, which costs
    less; the last entry's share is 1. `views` is how many different views of an image there are over the epochs,
    `images` how many images are used (0: all). `decoder_rate` multiplies the mask decoder's learning rate,
    `box_share` of the prompts are boxes and the others clicks. The loss weights apply to the stages that have them.
    """

    stage: str
    student: str
    steps: int
    batch_size: int = 8
    seed: int = 0
    learning_rate: float = 2e-3
    final_learning_rate: float = 1e-5
    decoder_rate: float = 1.0
    warmup_steps: int = 50
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    ema_decay: float = 0.998
    canvases: tuple[tuple[float, int], ...] = ((1.0, 512),)
    views: int = 1
    min_crop: float = 0.5
    images: int = 0
    cosine_weight: float = 0.0
    masks_per_image: int = 4
    box_share: float = 0.5
    bce_weight: float = 20.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0
    checkpoint_every: int = 200

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "views", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {getattr(self, name)}: give at least 1.")

    def canvas_at(self, step: int) -> int:
        """The student's canvas in pixels at a step."""
        return next(canvas for share, canvas in self.canvases if step < share * self.steps or share >= 1)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> TrainConfig:
        """Rebuild what `to_json` wrote; KeyError or TypeError for anything else."""
        canvases = tuple((float(share), int(canvas)) for share, canvas in record["canvases"])
        return cls(**{**record, "canvases": canvases})

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read a saved config; TrainingError if the file is missing or not one."""
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"{path} is not the config of a run: give the folder of one to resume.") from error
