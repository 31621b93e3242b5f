"""The options that all stages of `samlet train` share."""

from __future__ import annotations

import inspect
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_origin, get_type_hints

from cyclopts import Parameter

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
            "LVIS annotations (.json, with --images).",
        ),
    ]
    images: Annotated[Path | None, Parameter(help="Folder of the images that a COCO or LVIS file in --data lists.")] = (
        None
    )
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
    batch_size: Annotated[int | None, Parameter(help="Images per step, instead of the recipe's.")] = None
    accumulate: Annotated[
        int | None, Parameter(help="Cut each step into so many parts: the same result in less memory.")
    ] = None
    sharded: Annotated[
        bool | None,
        Parameter(help="Under torchrun, give each process a part of the student, for one too large to hold whole."),
    ] = None
    precision: Annotated[
        Literal["fp32", "bf16", "fp16"] | None, Parameter(help="Numbers to compute with; fp16 on CUDA only.")
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
        int | None, Parameter(help="Decides what chance decides: start, order of the images, crops, prompts.")
    ] = None
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, mps; default: CUDA if there is one.")] = None
    resume: Annotated[bool, Parameter(help="Go on with the run in --output.")] = False
    dry_run: Annotated[bool, Parameter(help="Say what the run would do and need, and write nothing.")] = False

    def changes(self) -> dict[str, Any]:
        """What the options change of a recipe's config; None: nothing."""
        names = ("student", "steps", "batch_size", "accumulate", "sharded", "precision", "batch_norm")
        return {name: getattr(self, name) for name in (*names, "checkpoint_every", "keep", "seed")}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class TeacherOptions:
    """Who is imitated."""

    teacher: Annotated[str, Parameter(help="The teacher's name in `samlet models`.")]
    teacher_checkpoint: Annotated[Path, Parameter(help="The teacher's weights.")]
    cache: Annotated[Path | None, Parameter(help="Where teacher embeddings are kept (default: in --output).")] = None

    def file(self, runs: Any) -> Any:
        """The `TeacherFile` of these options; `runs` is `samlet.training.runs`."""
        return runs.TeacherFile(self.teacher, self.teacher_checkpoint, self.cache)


def stage_signature(entry: StageEntry) -> inspect.Signature:
    """The options of a stage's command, all by name: what it starts from, its data, its run, and its own."""
    kinds: dict[str, Any] = {"data": DataOptions, "run": RunOptions}
    if entry.needs_checkpoint:
        kinds["checkpoint"] = Annotated[Path, Parameter(help="The weights to start from.")]
    if entry.needs_teacher:
        kinds["teacher"] = TeacherOptions
    needed = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind) for name, kind in kinds.items()]
    return inspect.Signature([*needed, _recipe(entry), *_own_options(entry)], return_annotation=None)


def own_changes(entry: StageEntry, given: dict[str, Any]) -> dict[str, Any]:
    """What a stage's own options change of a recipe's config, None: nothing; they are taken out of `given`."""
    changes: dict[str, Any] = {}
    for field in _own_fields(entry):
        value = given.pop(_option_name(field), None)
        changes[field.name] = value if value is None else field.metadata.get("read", lambda value: value)(value)
    return changes


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
