"""What runs need that learn classes, of whole images or of pixels, to be repeated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from samlet.errors import TrainingError
from samlet.reading import shown
from samlet.training.config import BatchNorm, TrainConfig

ClassLoss = Literal["cross-entropy", "bce"]
Distill = Literal["soft", "hard"]
Resampling = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]

_SHARES = ("erase", "label_smoothing", "drop_path", "drop_path_ramp", "mesa_from", "distill_weight", "mix_share")


@dataclass(frozen=True)
class ClassConfig(TrainConfig):
    """What both stages share. `classes` are the names, in the order of the outputs; they come from the data.

    `freeze_backbone`: only the head learns.
    """

    classes: tuple[str, ...] = ()
    mirror: bool = True
    color: float = 0.4
    freeze_backbone: bool = field(default=False, metadata={"help": "Only the head learns."})
    batch_norm: BatchNorm = "per-process"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in (share for share in _SHARES if hasattr(self, share)):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(f"{name} is {shown(getattr(self, name))}: give at least 0 and at most 1.")


@dataclass(frozen=True)
class ClassifyConfig(ClassConfig):
    """Classes of whole images.

    `patch_stride` and `second_head` (one that learns from the teacher) are options of EfficientViT-M and CascadedViT.
    Views: a crop of `min_area`..1 of the image, scaled by a random one of `resampling`, then `rand_augment` (how many
    changes, how strong of 10, the deviation of the strength), and with the chance `erase` a rectangle of noise.
    `sizes`: of each step one of these canvases, drawn by the seed (empty: `canvases`). Each image is drawn `repeats`
    times in a row, in other views. Batches are mixed with the chance `mix_share`: by `mixup` or by `cutmix`, whose
    values are the parameters of their beta distributions; 0 turns one off.

    Targets are smoothed by `label_smoothing`. From the share `mesa_from` of the run on, `mesa` weighs the distance to
    the averaged weights' own answers. `drop_path` of what the last residual block adds is dropped, of earlier ones
    less, of the first `drop_path_from` nothing; with `drop_path_ramp` the chance grows over that share of the run;
    `zero_init`: what residual blocks add starts at zero. With a teacher its answers weigh `distill_weight` and the
    labels the rest; `temperature` softens soft ones. `crop_ratio`: how much of an
    image the model sees in use (0: as its spec says).
    """

    stage: ClassVar[str] = "classify"

    patch_stride: int = field(
        default=0, metadata={"help": "Pixels between the network's first cells: fewer, for small images; 0: its own."}
    )
    second_head: bool = False
    sizes: tuple[int, ...] = ()
    min_area: float = 0.08
    resampling: tuple[Resampling, ...] = ("bicubic",)
    rand_augment: tuple[float, ...] = ()
    erase: float = 0.0
    repeats: int = 1
    loss: ClassLoss = "cross-entropy"
    label_smoothing: float = 0.1
    mixup: float = 0.0
    cutmix: float = 0.0
    mix_share: float = 1.0
    mesa: float = 0.0
    mesa_from: float = 0.25
    drop_path: float = 0.0
    drop_path_from: int = 0
    drop_path_ramp: float = 0.0
    zero_init: bool = False
    distill: Distill = field(
        default="soft", metadata={"help": "Learn the teacher's probabilities (soft) or its best class (hard)."}
    )
    distill_weight: float = 0.5
    temperature: float = 1.0
    crop_ratio: float = 0.0
    canvases: tuple[tuple[float, int], ...] = ((1.0, 224),)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, kind in (("loss", ClassLoss), ("distill", Distill)):
            if getattr(self, name) not in get_args(kind):
                raise TrainingError(f"{name} is {shown(getattr(self, name))}: use {', '.join(get_args(kind))}.")
        unknown = sorted(set(self.resampling) - set(get_args(Resampling)))
        if unknown or not self.resampling:
            raise TrainingError(f"resampling is {shown(self.resampling)}: use {', '.join(get_args(Resampling))}.")
        if len(self.rand_augment) not in (0, 3):
            raise TrainingError(f"rand_augment is {shown(self.rand_augment)}: give how many, how strong, deviation.")
        if self.repeats < 1 or not 0 < self.min_area <= 1 or not 0 <= self.crop_ratio <= 1 or self.temperature <= 0:
            raise TrainingError(
                f"repeats is {self.repeats}, min_area {self.min_area}, crop_ratio {self.crop_ratio} and temperature "
                f"{self.temperature}: give at least 1, a share above 0, a share, and more than 0."
            )
        if self.mesa and self.fsdp:
            raise TrainingError(
                "mesa asks the averaged weights as a whole, of which --fsdp leaves each process a part."
            )
        if min(self.mixup, self.cutmix, self.mesa, self.drop_path_from) < 0 or self.drop_path == 1:
            raise TrainingError("mixup, cutmix, mesa and drop_path_from are 0 or more, drop_path is below 1.")

    def canvas_at(self, step: int) -> int:
        """The canvas in pixels at a step."""
        if not self.sizes:
            return super().canvas_at(step)
        from samlet.training.batches.views import generator

        return self.sizes[int(generator(self.seed, "size", step).integers(len(self.sizes)))]

    @property
    def largest_canvas(self) -> int:
        """The largest canvas of the run."""
        return max(self.sizes) if self.sizes else super().largest_canvas


@dataclass(frozen=True)
class SemanticConfig(ClassConfig):
    """Classes of pixels. Views: the image scaled so that its short side is `scales` (from, to) times the canvas, of
    which a square is cut; what the image does not fill is ignored.
    """

    stage: ClassVar[str] = "semantic"

    scales: tuple[float, float] = (0.5, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.scales
        if not 0 < low <= high:
            raise TrainingError(f"scales is {shown(self.scales)}: give two numbers above 0, the smaller one first.")
