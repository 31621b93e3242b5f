"""What a run needs to be repeated: a frozen dataclass per stage, saved beside every checkpoint."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from samlet.errors import TrainingError
from samlet.reading import reading, shown

Precision = Literal["float32", "bfloat16", "float16"]
BatchNorm = Literal["synced", "per-process", "frozen", "re-estimated"]
NoWeightDecay = Literal["vectors", "by-name"]

# What a resumed run may change: none of these touches what a step computes, beyond the last digits.
FREE = ("grad_accum_steps", "checkpoint_every", "keep", "max_broken", "fsdp", "online")
# Names of fields and of numbers, in configs saved earlier.
OLD_NAMES = {
    "colour": "color",
    "centre_share": "center_share",
    "accumulate": "grad_accum_steps",
    "sharded": "fsdp",
    "undecayed": "no_weight_decay",
}
OLD_PRECISIONS: dict[str, Precision] = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
PARTS = ("image_encoder", "prompt_encoder", "mask_decoder")


def _option(default: Any, text: str, **more: Any) -> Any:
    """A field that is an option of the stage's command, too: `text` is its help, `name` the option if it is another,
    `read` what makes the field of what the option takes.
    """
    return field(default=default, metadata={"help": text, **more})


def _with_prompt_encoder(parts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(("prompt_encoder", *parts)))


_MOST = 10**12
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("steps", "views", "checkpoint_every", "keep"), (1, _MOST)),
    **dict.fromkeys(("batch_size", "grad_accum_steps"), (1, 65_536)),
    **dict.fromkeys(("seed", "images", "validation_images", "max_broken", "warmup_steps"), (0, _MOST)),
    **dict.fromkeys(
        ("learning_rate", "final_learning_rate", "decoder_rate", "weight_decay", "clip_adaptive"), (0, 1_000)
    ),
    **dict.fromkeys(("ema_decay", "layer_decay", "min_crop", "color"), (0, 1)),
}


@dataclass(frozen=True)
class TrainConfig:
    """What every stage has. Images are counted, not batches: `batch_size` images make one optimizer step.

    `canvases` are (share of the run, student canvas in pixels): early steps may see a smaller canvas, which costs
    less; the last entry's share is 1. `views` is how many different views of an image there are over the epochs,
    `images` how many images are used (0: all), `pool` how many of the views, again and again (0: all); `zoom` of the
    views are windows as a second look at an object takes (0: see `draw_view`); half of the views are mirrored if
    `mirror`, and the student sees colors changed by factors within `color` of 1. `decoder_rate` multiplies the mask
    decoder's learning rate. The modules `optimizer`, `batch_norm` and `precision` of the loop explain the fields they
    read. `grad_accum_steps` cuts each step into that many parts, to save memory, and `fsdp` cuts the model into as many
    as there are processes (see the module `fsdp`); `validation_images` are held out; `keep` is how many checkpoints
    stay.
    """

    stage: ClassVar[str]

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
    zoom: float = 0.0
    mirror: bool = True
    color: float = 0.3
    images: int = 0
    pool: int = 0
    checkpoint_every: int = 200
    clip_value: float = 0.0
    clip_adaptive: float = 0.0
    no_weight_decay: NoWeightDecay = "vectors"
    layer_decay: float = 1.0
    precision: Precision = "float32"
    batch_norm: BatchNorm = "synced"
    grad_accum_steps: int = 1
    fsdp: bool = False
    validation_images: int = 0
    max_broken: int = 10
    keep: int = 2

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:  # NaN lies nowhere
                raise TrainingError(f"{name} is {shown(value)}: give at least {low:,} and at most {high:,}.")
        for name, kind in (("precision", Precision), ("batch_norm", BatchNorm), ("no_weight_decay", NoWeightDecay)):
            if getattr(self, name) not in get_args(kind):
                raise TrainingError(f"{name} is {shown(getattr(self, name))}: use {', '.join(get_args(kind))}.")

    def canvas_at(self, step: int) -> int:
        """The student's canvas in pixels at a step."""
        return next(canvas for share, canvas in self.canvases if step < share * self.steps or share >= 1)

    @property
    def largest_canvas(self) -> int:
        """The largest canvas of the run in pixels, which needs the most memory."""
        return max(canvas for _, canvas in self.canvases)

    def to_json(self) -> dict[str, Any]:
        """Return the stage and the fields as JSON values."""
        return {"stage": self.stage, **dataclasses.asdict(self)}

    @staticmethod
    def from_json(record: dict[str, Any]) -> TrainConfig:
        """Rebuild what `to_json` wrote; KeyError or TypeError for anything else."""
        named = {OLD_NAMES.get(name, name): value for name, value in record.items() if name != "stage"}
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in named.items()}
        fields["precision"] = OLD_PRECISIONS.get(fields.get("precision", ""), fields.get("precision", "float32"))
        fields["canvases"] = tuple((float(share), int(canvas)) for share, canvas in record["canvases"])
        from samlet.training.stages.registry import configs  # which knows the classes below

        kinds = configs()
        kind = kinds[record["stage"]]
        own = {known.name for known in dataclasses.fields(kind)}
        # Until there was a class per stage, every file held the fields of all.
        foreign = {known.name for config in kinds.values() for known in dataclasses.fields(config)} - own
        return kind(**{name: value for name, value in fields.items() if name not in foreign})

    @staticmethod
    def load(path: Path) -> TrainConfig:
        """Read a saved config; TrainingError if the file is missing or not one."""
        with reading(path, "the config of a run", TrainingError):
            return TrainConfig.from_json(json.loads(path.read_text(encoding="utf-8")))


@dataclass(frozen=True)
class DistillEncoderConfig(TrainConfig):
    """Stage 1. `cosine_weight` adds the angle between embeddings to their squared error.

    `online`: the teacher embeds each batch as it comes, where the student trains and in its precision, and nothing is
    cached. A GPU does so faster than a disk reads 2 MB a view.
    """

    stage: ClassVar[str] = "distill-encoder"

    cosine_weight: float = 0.0
    online: bool = _option(False, "Let the teacher embed each batch on the run's device; nothing is cached.")


@dataclass(frozen=True)
class PromptedConfig(TrainConfig):
    """What the stages with prompts and masks share; `box_share` of the prompts are boxes, the others clicks.

    `rounds` of prompts: the first is given, later ones add a click on an error. `box_jitter` is the standard deviation
    of a box's edges in sides of the box; clicks are 1 to `max_clicks`, `center_share` of the first ones deepest
    inside the mask. Batch statistics are frozen: a few images a step would spoil them.
    """

    batch_norm: BatchNorm = "frozen"
    masks_per_image: int = 4
    box_share: float = 0.5
    box_jitter: float = 0.05
    max_clicks: int = 3
    center_share: float = 0.5
    rounds: int = 1
    bce_weight: float = 20.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("rounds", "masks_per_image", "max_clicks"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} is {shown(getattr(self, name))}: give at least 1.")


@dataclass(frozen=True)
class DistillPromptedConfig(PromptedConfig):
    """Stage 2. Clicks of later rounds are where student and teacher disagree.

    `teacher_share` of the annotated images take their prompts from the teacher's own masks, as the others all do;
    `anywhere_share` of all prompts are one click anywhere, on background and parts too, as everything mode clicks.
    """

    stage: ClassVar[str] = "distill-prompted"

    rounds: int = 2
    teacher_share: float = 0.5
    anywhere_share: float = 0.0


@dataclass(frozen=True)
class FinetuneConfig(PromptedConfig):
    """Stage 3, on ground-truth masks. In later rounds, `hint_share` of the prompts show the model its last mask.

    `points` (0: every pixel) is how many points of a mask the losses look at, most of them where the mask is
    uncertain; `focal` is the focal loss's power (0: plain BCE). With `boxes_teach_all` a box, which leaves no doubt
    what is meant, teaches all masks and not the best alone. `as_dialogue` asks and answers as `segment` does. With
    `held_clicks` lone clicks are held to what the start answers, and as many more anywhere in each image; but a mask
    of the start with a true IoU above `taught_from` learns the truth. The parts in `frozen` do not learn; with `lora`
    above 0, only additions of that rank do.
    """

    stage: ClassVar[str] = "finetune"

    rounds: int = _option(1, "Prompts in a row: later ones add a click on an error.")
    hint_share: float = 0.5
    points: int = 0
    focal: float = 0.0
    boxes_teach_all: bool = False
    as_dialogue: bool = False
    held_clicks: int = 0
    taught_from: float = 1.0
    frozen: tuple[str, ...] = _option(
        ("prompt_encoder",),
        "A part that stays as it is, image_encoder or mask_decoder; the prompt encoder always does.",
        name="freeze",
        read=_with_prompt_encoder,
    )
    lora: int = _option(0, "Learn additions of this rank instead of weights: for few images.")

    def __post_init__(self) -> None:
        super().__post_init__()
        unknown = sorted(set(self.frozen) - set(PARTS))
        if unknown:
            raise TrainingError(f"a model has no part {shown(unknown[0])} to freeze: use {', '.join(PARTS)}.")
        if set(self.frozen) >= {"image_encoder", "mask_decoder"}:
            raise TrainingError("image_encoder and mask_decoder are both frozen: leave one of them to learn.")
        for name in ("lora", "points", "held_clicks"):
            if getattr(self, name) < 0:
                raise TrainingError(f"{name} is {shown(getattr(self, name))}: give 0 or more.")


@dataclass(frozen=True)
class RpnConfig(TrainConfig):
    """EdgeSAM's region proposal network, on boxes. Its coarsest map halves seven times: canvases divide by 128."""

    stage: ClassVar[str] = "rpn"

    def __post_init__(self) -> None:
        super().__post_init__()
        for _, canvas in self.canvases:
            if canvas % 128:
                raise TrainingError(f"the canvas is {canvas} pixels: proposals need a multiple of 128.")
