"""What inference must know of a model, as plain data.

A `ModelSpec` names a model, its two canvases, its normalization, where its weights come from and which function builds
it. It travels with the weights as JSON (the manifest of an exported artifact). It knows nothing of torch, of files on
this machine, or of how a backend runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal, TypeVar, get_args

from samlet.classes import ClassList
from samlet.errors import ModelError
from samlet.geometry.windows import WIDE, Framing
from samlet.reading import shown

RGB = tuple[float, float, float]
Fit = Literal["pad", "stretch", "crop", "short_side"]
Resampling = Literal["bilinear", "bicubic", "opencv_bicubic"]
Task = Literal[
    "promptable", "classification", "semantic_segmentation", "autoencoder", "generation", "concepts", "video"
]

# The statistics of ImageNet on a 0..255 scale, which every model of the SAM line was trained with.
IMAGENET_MEAN: RGB = (123.675, 116.28, 103.53)
IMAGENET_STD: RGB = (58.395, 57.12, 57.375)

# The verb of the command line for models of a task.
VERBS: Mapping[str, str] = {
    "promptable": "segment",
    "classification": "classify",
    "semantic_segmentation": "parse",
}
WITH_CLASSES = ("classification", "semantic_segmentation")
_MOST_MASK_TOKENS = 1024  # SAM has 4
_LEAST_IOU = 1e-3  # some models predict an IoU of 0 or below, or above 1
_LARGEST_EXPONENT = 700.0  # of what a float can hold

# What artifacts exported earlier do not state.
LATER_SIZES = ("grid", "channels", "low_res", "size_multiple")
LATER_NUMBERS = ("pred_iou_thresh", "stability_score_thresh", "edge_radius", "edge_eps", "click_size_penalty")


@dataclass(frozen=True)
class ImageSpec:
    """How an image becomes the pixels an encoder sees.

    `canvas` is the side of the encoder's square input, `prompt_canvas` the side of the square in which prompt
    coordinates are given, both in pixels. `mean` and `std` are RGB on a 0..255 scale. `fit`: how an image is laid on
    both: "pad" = its longest side fills the canvas, the rest is padding on the right or below (SAM); "stretch" = both
    sides fill it (SAM 3). `grid` is the side of the image embedding in cells, `channels` their number of channels;
    `low_res` is the side of the decoder's logits.

    Models for whole images have two more: "crop" = the shortest side is scaled to canvas / `crop_ratio` (rounded up)
    and the middle is cut out (classification); "short_side" = the shortest side is scaled to the canvas, the other in
    proportion, rounded up to a multiple of `size_multiple`, so that pixels are no square (semantic segmentation).
    `resampling`: Pillow's (antialiased), or "opencv_bicubic", which is not and which segmenters were measured with.
    """

    canvas: int
    prompt_canvas: int = 1024
    mean: RGB = IMAGENET_MEAN
    std: RGB = IMAGENET_STD
    resampling: Resampling = "bilinear"
    fit: Fit = "pad"
    grid: int = 64
    channels: int = 256
    low_res: int = 256
    crop_ratio: float = 1.0
    size_multiple: int = 32

    def __post_init__(self) -> None:
        if self.canvas < 1 or self.prompt_canvas < 1:
            raise ModelError(f"A canvas is at least 1 pixel wide, not {min(self.canvas, self.prompt_canvas)}.")
        if min(self.grid, self.channels, self.low_res) < 1:
            raise ModelError(
                f"grid, channels and low_res are 1 or more, not {self.grid}, {self.channels} and {self.low_res}."
            )
        if self.fit not in get_args(Fit):
            raise ModelError(f'An image is fitted by {_quoted(get_args(Fit))}, not "{self.fit}".')
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ModelError(f"Mean and std are three RGB values, std above 0, not {self.mean} and {self.std}.")
        if self.resampling not in get_args(Resampling):
            raise ModelError(f'Resampling "{self.resampling}" is unknown: use {_quoted(get_args(Resampling))}.')
        if not 0 < self.crop_ratio <= 1 or self.size_multiple < 1:
            raise ModelError(
                f"crop_ratio is above 0 and at most 1, size_multiple 1 or more, not {self.crop_ratio} and "
                f"{self.size_multiple}."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self) | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ImageSpec:
        """Rebuild what `to_json` wrote; `ModelError` names a missing or mistyped field."""
        return cls(
            canvas=_take(record, "canvas", int),
            prompt_canvas=_take(record, "prompt_canvas", int),
            mean=_rgb(record, "mean"),
            std=_rgb(record, "std"),
            resampling=_take(record, "resampling", str),
            fit=_take(record, "fit", str) if "fit" in record else "pad",
            crop_ratio=float(_take(record, "crop_ratio", (int, float))) if "crop_ratio" in record else 1.0,
            **{name: _take(record, name, int) for name in LATER_SIZES if name in record},
        )


@dataclass(frozen=True)
class ThingRule:
    """How stable a mask of everything mode must be: the less, the surer the model is of it and the larger it is.

    A mask is a thing if `level + iou * logit(predicted IoU) + size * sqrt(share of the image) + logit(stability)` is
    0 or more. Fitted by benchmarks/thing_rule.py.
    """

    level: float
    iou: float
    size: float

    def least_stability(self, iou: float, share: float) -> float:
        """The stability from which a mask of that predicted IoU and share of the image is a thing, in 0..1."""
        odds = math.log(max(iou, _LEAST_IOU) / max(1 - iou, _LEAST_IOU))
        return 1 / (1 + math.exp(min(self.level + self.iou * odds + self.size * math.sqrt(share), _LARGEST_EXPONENT)))


Numbers = TypeVar("Numbers", Framing, ThingRule)


@dataclass(frozen=True)
class Checkpoint:
    """One official weights file and the places it can be downloaded from.

    `size_bytes` is what the publisher states, often rounded to a megabyte: it is shown, never compared. `sha256` is
    64 hexadecimal digits, or None where the publisher gives none.
    """

    file_name: str
    size_bytes: int | None
    sha256: str | None
    urls: tuple[str, ...]
    license: str

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self) | {"urls": list(self.urls)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Checkpoint:
        """Rebuild what `to_json` wrote; `ModelError` names a missing or mistyped field."""
        return cls(
            file_name=_take(record, "file_name", str),
            size_bytes=_take(record, "size_bytes", (int, type(None))),
            sha256=_take(record, "sha256", (str, type(None))),
            urls=tuple(_take(record, "urls", list)),
            license=_take(record, "licence" if "licence" in record else "license", str),
        )


@dataclass(frozen=True)
class ModelSpec:
    """A model's name and everything inference needs to know of it.

    `builder` is an import string "module:function"; `options` are that function's keyword arguments. `parameters`
    counts the whole network, `encoder_macs` the multiply-accumulates of one encoder run; 0 means not counted yet.
    `pred_iou_thresh` and `stability_score_thresh` are what everything mode asks of its masks: SAM's, or lower for a
    model that is less sure of itself; a `thing_rule` stands in for the latter. `edge_radius` (a share of the photo's
    diagonal) and `edge_eps` are those of the guided filter that lets the photo place the edges of a mask: the sharper
    the model, the smaller the radius. `look` is how close `segment` looks a second time: the smaller the canvas, the
    more there is to gain. `click_size_penalty` times ln(share of the image / 0.3) is taken off the predicted IoU of
    larger masks where `segment` chooses the answer to one click: a large mask is seldom very wrong, so predicted IoU
    alone takes the table for the cup. Fitted by benchmarks/click_size.py.

    `mask_tokens` is how many masks a decoder answers with; of these, column `single_column` is the answer to prompts
    that leave no doubt, and `multimask_columns` (None: all others, or the only one) those of ambiguous prompts. `task`:
    what the model is for; `classes`: what a model for classification or semantic segmentation tells apart.
    """

    name: str
    family: str
    image: ImageSpec
    builder: str
    options: Mapping[str, Any] = field(hash=False)
    parameters: int
    encoder_macs: int
    license: str
    aliases: tuple[str, ...] = ()
    checkpoint: Checkpoint | None = None
    mask_tokens: int = 4
    summary: str = ""
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    edge_radius: float = 0.006
    edge_eps: float = 1e-4
    look: Framing = WIDE
    thing_rule: ThingRule | None = None
    click_size_penalty: float = 0.0
    single_column: int = 0
    multimask_columns: tuple[int, ...] | None = None
    task: Task = "promptable"
    classes: ClassList | None = None

    def __post_init__(self) -> None:
        if self.task not in get_args(Task):
            raise ModelError(f'The task "{self.task}" is unknown: use {", ".join(get_args(Task))}.')
        if (self.classes is None) is (self.task in WITH_CLASSES):
            has = "needs" if self.classes is None else "has no"
            raise ModelError(f"{self.name} is for {self.task.replace('_', ' ')}: that {has} classes.")
        if not 1 <= self.mask_tokens <= _MOST_MASK_TOKENS:
            raise ModelError(f"{self.name} has {self.mask_tokens} mask tokens: a model has 1 to {_MOST_MASK_TOKENS}.")
        columns, known = (self.single_column, *self.multimask), range(self.mask_tokens)
        if not self.multimask or not all(type(column) is int and column in known for column in columns):
            raise ModelError(f"A model of {self.mask_tokens} mask tokens has no columns {shown(columns)}.")

    @property
    def multimask(self) -> tuple[int, ...]:
        """The columns of `MaskLogits` that answer ambiguous prompts."""
        if self.multimask_columns is not None:
            return self.multimask_columns
        others = tuple(column for column in range(self.mask_tokens) if column != self.single_column)
        return others or (self.single_column,)

    def check_task(self, task: Task) -> None:
        """ModelError unless the model is for `task`; it says which verb the model is for."""
        if self.task != task:
            verb = VERBS.get(self.task)
            remedy = f"use `samlet {verb}`, or choose a model" if verb else "choose a model"
            raise ModelError(
                f"{self.name} is a model for {self.task.replace('_', ' ')}; this needs one whose task is "
                f'"{task}": {remedy} from `samlet models`.'
            )

    def with_classes(self, classes: ClassList) -> ModelSpec:
        """The same network with an output for each of other classes; no published weights fit it.

        ModelError for a model of a task without classes.
        """
        if self.classes is None:
            raise ModelError(f"{self.name} is a model for {self.task.replace('_', ' ')}, which knows no classes.")
        options = dict(self.options) | {"classes": len(classes)}
        return replace(self, classes=classes, options=options, checkpoint=None, parameters=0, encoder_macs=0)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values, nested specs included."""
        return asdict(self) | {
            "image": self.image.to_json(),
            "options": dict(self.options),
            "aliases": list(self.aliases),
            "multimask_columns": None if self.multimask_columns is None else list(self.multimask_columns),
            "checkpoint": self.checkpoint.to_json() if self.checkpoint else None,
            "classes": self.classes.to_json() if self.classes else None,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> ModelSpec:
        """Rebuild what `to_json` wrote; `ModelError` names a missing or mistyped field.

        Fields it does not know are ignored, so that a manifest may say more than the spec.
        """
        checkpoint = _take(record, "checkpoint", (dict, type(None)))
        return cls(
            name=_take(record, "name", str),
            family=_take(record, "family", str),
            image=ImageSpec.from_json(_take(record, "image", dict)),
            builder=_take(record, "builder", str),
            options=_take(record, "options", dict),
            parameters=_take(record, "parameters", int),
            encoder_macs=_take(record, "encoder_macs", int),
            license=_take(record, "licence" if "licence" in record else "license", str),
            aliases=tuple(_take(record, "aliases", list)),
            checkpoint=None if checkpoint is None else Checkpoint.from_json(checkpoint),
            mask_tokens=_take(record, "mask_tokens", int),
            summary=_take(record, "summary", str),
            **{name: _take(record, name, float) for name in LATER_NUMBERS if name in record},
            **_later_fields(record),
        )


def _take(record: Mapping[str, Any], name: str, kind: type | tuple[type, ...]) -> Any:
    """Return `record[name]` if it is of `kind`, else raise a `ModelError` that names the field."""
    if not isinstance(record, Mapping) or name not in record:
        raise ModelError(f'The model description lacks the field "{name}": export the model again.')
    value = record[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ModelError(f'The field "{name}" of the model description is {shown(value)}: export the model again.')
    return value


def _later_fields(record: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the look, mask tokens, task and classes that a record states; earlier ones do not."""
    found = {"single_column": int, "task": str}
    stated = {name: _take(record, name, kind) for name, kind in found.items() if name in record}
    if "look" in record:
        stated["look"] = _numbers(Framing, _take(record, "look", dict))
    if record.get("thing_rule") is not None:
        stated["thing_rule"] = _numbers(ThingRule, _take(record, "thing_rule", dict))
    columns = _take(record, "multimask_columns", (list, type(None))) if "multimask_columns" in record else None
    classes = record.get("classes")
    return stated | {
        "multimask_columns": None if columns is None else tuple(columns),
        "classes": None if classes is None else ClassList.from_json(classes),
    }


def _numbers(kind: type[Numbers], record: Mapping[str, Any]) -> Numbers:
    """A dataclass of numbers from a record of them."""
    return kind(**{each.name: float(_take(record, each.name, (int, float))) for each in fields(kind)})


def _quoted(words: Iterable[str]) -> str:
    return " or ".join(f'"{word}"' for word in words)


def _rgb(record: Mapping[str, Any], name: str) -> RGB:
    values = _take(record, name, list)
    if len(values) != 3 or not all(isinstance(value, (int, float)) for value in values):
        raise ModelError(f'The field "{name}" of the model description is {shown(values)}: three numbers are needed.')
    red, green, blue = values
    return float(red), float(green), float(blue)
