"""The options that all stages of `samlet train` share."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from cyclopts import Parameter, Token

from samlet.cli.options.bounds import Between
from samlet.errors import TrainingError
from samlet.training.config import OLD_NAMES, OLD_PRECISIONS, Precision
from samlet.training.recipes import RECIPES

if TYPE_CHECKING:
    from samlet.training.stages.registry import StageEntry


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """Which images are trained on."""

    data: Annotated[
        list[Path],
        Parameter(
            consume_multiple=True,
            help="Folders of images (with SA-1B records or labelme files, or without), SA-1B shards (.tar), COCO or "
            "LVIS annotations (.json, with --images); classify: a folder with a folder for each class, or a .csv; "
            "semantic: a folder with images, labels and classes.txt, Cityscapes or ADE20K.",
        ),
    ]
    images: Annotated[
        Path | None, Parameter(help="Folder of the images that a COCO or LVIS file or a .csv in --data lists.")
    ] = None
    allow_missing: Annotated[int, Parameter(help="Go on if at most so many images are missing.")] = 0
    limit: Annotated[int | None, Parameter(help="Use at most so many images, drawn by the seed.")] = None
    max_broken: Annotated[int | None, Parameter(help="Pass over at most so many unreadable images or records.")] = None
    validation_images: Annotated[
        int | None, Parameter(help="Hold out so many images; the weights that do best on them are the result.")
    ] = None

    def changes(self) -> dict[str, Any]:
        """What the options change of a recipe's config; None: nothing."""
        return {
            "images": self.limit,
            "max_broken": self.max_broken,
            "validation_images": self.validation_images,
        }


def _read_precision(_type: Any, tokens: Sequence[Token]) -> str:
    """What --precision takes, and its old names for one release."""
    given = tokens[0].value
    if given in OLD_PRECISIONS:
        new = OLD_PRECISIONS[given]
        warnings.warn(f"--precision {given} is now --precision {new}.", DeprecationWarning, stacklevel=2)
        return new
    if given not in get_args(Precision):
        raise ValueError(f"It must be {', '.join(get_args(Precision))}.")
    return given


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is done; what is None is the recipe's."""

    output: Annotated[Path, Parameter(help="Folder of the run: checkpoints, logs, student.safetensors.")]
    student: Annotated[
        str | None,
        Parameter(
            help="A name from `samlet models`, timm:NAME, or your own spec as module:SPEC; default: the recipe's."
        ),
    ] = None
    steps: Annotated[int | None, Parameter(help="Optimizer steps, instead of the recipe's.")] = None
    epochs: Annotated[
        float | None, Parameter(help="Instead of --steps: how often each image is seen.", validator=Between(1e-6))
    ] = None
    batch_size: Annotated[int | None, Parameter(help="Images per step, instead of the recipe's.")] = None
    learning_rate: Annotated[
        float | None,
        Parameter(
            name=("--learning-rate", "--lr"),
            help="The highest rate, after the warm-up, instead of the recipe's.",
            validator=Between(0, 1),
        ),
    ] = None
    grad_accum_steps: Annotated[
        int | None,
        Parameter(
            help="Cut each step into so many parts, for less memory; the same result where batch norms are frozen."
        ),
    ] = None
    fsdp: Annotated[
        bool | None,
        Parameter(help="Under torchrun, give each process a part of the student, for one too large to hold whole."),
    ] = None
    precision: Annotated[
        Literal["float32", "bfloat16", "float16"] | None,
        Parameter(help="Numbers to compute with; float16 on CUDA only.", converter=_read_precision),
    ] = None
    batch_norm: Annotated[
        Literal["synced", "per-process", "frozen", "re-estimated"] | None,
        Parameter(help="Batch statistics: of all processes, of each process, as they were, or anew at the end."),
    ] = None
    checkpoint_every: Annotated[int | None, Parameter(help="Steps between checkpoints, instead of the recipe's.")] = (
        None
    )
    keep: Annotated[int | None, Parameter(help="How many of the last checkpoints stay.")] = None
    seed: Annotated[
        int | None,
        Parameter(help="Decides what chance decides: start, order of images, crops, prompts; default: 0."),
    ] = None
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, mps; default: CUDA if there is one.")] = None
    resume: Annotated[bool, Parameter(help="Go on with the run in --output.")] = False
    workers: Annotated[
        int, Parameter(help="Processes that prepare batches, for a fast GPU; 0: a thread.", validator=Between(0, 1024))
    ] = 0
    dry_run: Annotated[bool, Parameter(help="Say what the run would do and need, and write nothing.")] = False
    accumulate: Annotated[int | None, Parameter(show=False)] = None
    sharded: Annotated[bool | None, Parameter(show=False)] = None

    def changes(self) -> dict[str, Any]:
        """What the options change of a recipe's config; None: nothing."""
        names = ("student", "steps", "batch_size", "learning_rate", "grad_accum_steps", "fsdp", "precision")
        given = {name: getattr(self, name) for name in (*names, "batch_norm", "checkpoint_every", "keep", "seed")}
        for old in ("accumulate", "sharded"):
            if getattr(self, old) is not None:
                new = OLD_NAMES[old]
                warnings.warn(f"--{old} is now --{new.replace('_', '-')}.", DeprecationWarning, stacklevel=2)
                given[new] = getattr(self, old)
        return given


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Who is imitated."""

    teacher: Annotated[str, Parameter(help="The teacher's name in `samlet models`.")]
    teacher_checkpoint: Annotated[Path, Parameter(help="The teacher's weights.")]
    cache: Annotated[Path | None, Parameter(help="Where teacher embeddings are kept (default: in --output).")] = None
    teacher_first: Annotated[
        bool, Parameter(help="Embed all views of distill-encoder before its first step, or each when it is needed.")
    ] = True

    def file(self, runs: Any) -> Any:
        """The `TeacherFile` of these options; `runs` is `samlet.training.runs`."""
        return runs.TeacherFile(self.teacher, self.teacher_checkpoint, self.cache)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ClassifierOptions:
    """Which classifier is imitated, if any is."""

    teacher: Annotated[str | None, Parameter(help="A classifier of `samlet models` to learn from as well.")] = None
    teacher_checkpoint: Annotated[Path | None, Parameter(help="The teacher's weights, of the same classes.")] = None

    def file(self, runs: Any) -> Any:
        """The `TeacherFile` of these options, or None; `runs` is `samlet.training.runs`."""
        if (self.teacher is None) != (self.teacher_checkpoint is None):
            raise TrainingError("--teacher and --teacher-checkpoint belong together: give both or neither.")
        return None if self.teacher is None else runs.TeacherFile(self.teacher, self.teacher_checkpoint)


def stage_signature(entry: StageEntry) -> inspect.Signature:
    """The options of a stage's command, all by name: what it starts from, its data, its run, and its own."""
    kinds: dict[str, Any] = {"data": DataOptions, "run": RunOptions}
    if entry.needs_checkpoint:
        kinds["checkpoint"] = Annotated[Path, Parameter(help="The weights to start from.")]
    if entry.needs_teacher:
        kinds["teacher"] = TeacherOptions
    needed = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in kinds.items()]
    start = [] if entry.needs_checkpoint else [_checkpoint(entry)]
    if entry.takes_teacher:
        start.append(_taken("classifier", ClassifierOptions, ClassifierOptions()))
    return inspect.Signature([*needed, _recipe(entry), *start, *_own_options(entry)], return_annotation=None)


def own_changes(entry: StageEntry, given: dict[str, Any]) -> dict[str, Any]:
    """What a stage's own options change of a recipe's config, None: nothing; they are taken out of `given`."""
    changes: dict[str, Any] = {}
    for field in _own_fields(entry):
        value = given.pop(_option_name(field), None)
        changes[field.name] = value if value is None else field.metadata.get("read", lambda value: value)(value)
    return changes


def _checkpoint(entry: StageEntry) -> inspect.Parameter:
    part = "its image encoder starts" if entry.data == "masks" else "it, or only its backbone, starts"
    kind = Annotated[Path | None, Parameter(help=f"The weights {part} from; default: random ones.")]
    return _taken("checkpoint", kind, None)


def _taken(name: str, kind: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _recipe(entry: StageEntry) -> inspect.Parameter:
    names = ", ".join(name for name, recipe in RECIPES.items() if isinstance(recipe(), entry.config))
    help_text = f"The numbers to train with, which other options change: {names}. Default: {entry.recipe}."
    kind = Annotated[str, Parameter(help=help_text)]
    return inspect.Parameter("recipe", inspect.Parameter.KEYWORD_ONLY, default=entry.recipe, annotation=kind)


def _own_fields(entry: StageEntry) -> list[Field[Any]]:
    return [field for field in fields(entry.config) if "help" in field.metadata]


def _option_name(field: Field[Any]) -> str:
    return field.metadata.get("name", field.name)


def _own_options(entry: StageEntry) -> list[inspect.Parameter]:
    """The config's fields that are options of their own, each None unless it is given."""
    types = get_type_hints(entry.config)
    options = []
    for field in _own_fields(entry):
        kind = list[str] if get_origin(types[field.name]) is tuple else types[field.name]
        hint = Annotated[kind | None, Parameter(help=field.metadata["help"], negative=())]
        name = _option_name(field)
        options.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint))
    return options
