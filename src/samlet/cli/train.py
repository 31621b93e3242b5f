"""`samlet train`: one command per stage."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from samlet.extras import import_with_extra

app = App(name="train", help="Train a student (distill-encoder, distill-prompted, finetune) and draw its curves.")

Prepared = Callable[[int, int], None]
Stepped = Callable[[int, dict[str, float]], None]

Data = Annotated[
    list[Path],
    Parameter(
        consume_multiple=True,
        help="Folders of images (with SA-1B records or labelme files, or without), SA-1B shards (.tar), COCO or LVIS "
        "annotations (.json, with --images).",
    ),
]
Images = Annotated[Path | None, Parameter(help="Folder of the images that a COCO or LVIS file in --data lists.")]
Missing = Annotated[int, Parameter(help="Go on if at most so many images are missing.")]
Limit = Annotated[int | None, Parameter(help="Use at most so many images, drawn by the seed.")]
Checkpoint = Annotated[Path, Parameter(help="The weights to start from.")]
TeacherName = Annotated[str, Parameter(help="The teacher's name in `samlet models`.")]
TeacherCheckpoint = Annotated[Path, Parameter(help="The teacher's weights.")]
Cache = Annotated[Path | None, Parameter(help="Where teacher embeddings are kept (default: in --output).")]
Resume = Annotated[bool, Parameter(help="Go on with the run in --output.")]
Steps = Annotated[int | None, Parameter(help="Optimizer steps, instead of the recipe's.")]
BatchSize = Annotated[int | None, Parameter(help="Images per step, instead of the recipe's.")]
Every = Annotated[int | None, Parameter(help="Steps between checkpoints, instead of the recipe's.")]
Student = Annotated[str | None, Parameter(help="A name from `samlet models`, instead of the recipe's.")]


@app.command(name="distill-encoder")
def distill_encoder(
    *,
    teacher: TeacherName,
    teacher_checkpoint: TeacherCheckpoint,
    data: Data,
    output: Path,
    images: Images = None,
    allow_missing: Missing = 0,
    student: Student = None,
    recipe: str = "efficientvit_sam_b0_stage1",
    steps: Steps = None,
    batch_size: BatchSize = None,
    limit: Limit = None,
    checkpoint_every: Every = None,
    seed: int | None = None,
    cache: Cache = None,
    resume: Resume = False,
) -> None:
    """Teach a student's image encoder the embeddings of a teacher."""
    configs, recipes, runs = _training()
    config = recipes.get_recipe(
        recipe,
        configs.DistillEncoderConfig,
        student=student,
        steps=steps,
        batch_size=batch_size,
        images=limit,
        checkpoint_every=checkpoint_every,
        seed=seed,
    )
    with runs.joined(), bars(config.steps, runs.is_first) as (prepared, progress):
        path = runs.run_distill_encoder(
            config,
            teacher=teacher,
            teacher_checkpoint=teacher_checkpoint,
            data=runs.open_source(data, images, allow_missing),
            output=output,
            cache=cache,
            resume=resume,
            prepared=prepared,
            progress=progress,
        )
    print(path)


@app.command(name="distill-prompted")
def distill_prompted(
    *,
    checkpoint: Checkpoint,
    teacher: TeacherName,
    teacher_checkpoint: TeacherCheckpoint,
    data: Data,
    output: Path,
    images: Images = None,
    allow_missing: Missing = 0,
    student: Student = None,
    recipe: str = "efficientvit_sam_b0_stage4",
    steps: Steps = None,
    batch_size: BatchSize = None,
    limit: Limit = None,
    checkpoint_every: Every = None,
    seed: int | None = None,
    cache: Cache = None,
    resume: Resume = False,
) -> None:
    """Teach a student the masks of a teacher, with clicks where the two disagree; photos need no masks."""
    configs, recipes, runs = _training()
    config = recipes.get_recipe(
        recipe,
        configs.DistillPromptedConfig,
        student=student,
        steps=steps,
        batch_size=batch_size,
        images=limit,
        checkpoint_every=checkpoint_every,
        seed=seed,
    )
    with runs.joined(), bars(config.steps, runs.is_first) as (_, progress):
        path = runs.run_distill_prompted(
            config,
            checkpoint=checkpoint,
            teacher=teacher,
            teacher_checkpoint=teacher_checkpoint,
            data=runs.open_source(data, images, allow_missing),
            output=output,
            cache=cache,
            resume=resume,
            progress=progress,
        )
    print(path)


@app.command
def finetune(
    *,
    checkpoint: Checkpoint,
    data: Data,
    output: Path,
    images: Images = None,
    allow_missing: Missing = 0,
    student: Student = None,
    recipe: str = "efficientvit_sam_b0_stage2",
    steps: Steps = None,
    batch_size: BatchSize = None,
    limit: Limit = None,
    checkpoint_every: Every = None,
    seed: int | None = None,
    rounds: Annotated[int | None, Parameter(help="Prompts in a row: later ones add a click on an error.")] = None,
    lora: Annotated[
        int | None, Parameter(help="Learn additions of this rank instead of weights: for few images.")
    ] = None,
    freeze: Annotated[
        list[str] | None,
        Parameter(
            help="A part that stays as it is, image_encoder or mask_decoder; the prompt encoder always does.",
            negative=(),
        ),
    ] = None,
    resume: Resume = False,
) -> None:
    """Fine-tune a student end to end on images with masks."""
    configs, recipes, runs = _training()
    config = recipes.get_recipe(
        recipe,
        configs.FinetuneConfig,
        student=student,
        steps=steps,
        batch_size=batch_size,
        images=limit,
        checkpoint_every=checkpoint_every,
        seed=seed,
        rounds=rounds,
        lora=lora,
        frozen=tuple(dict.fromkeys(("prompt_encoder", *freeze))) if freeze else None,
    )
    with runs.joined(), bars(config.steps, runs.is_first) as (_, progress):
        path = runs.run_finetune(
            config,
            checkpoint=checkpoint,
            data=runs.open_source(data, images, allow_missing),
            output=output,
            resume=resume,
            progress=progress,
            say=_say if runs.is_first() else None,
        )
    print(path)


@app.command
def rpn(
    *,
    checkpoint: Annotated[Path, Parameter(help="The weights of an edge-sam to start from; they stay as they are.")],
    data: Data,
    output: Path,
    images: Images = None,
    allow_missing: Missing = 0,
    recipe: str = "edge_sam_stage3",
    steps: Steps = None,
    batch_size: BatchSize = None,
    limit: Limit = None,
    checkpoint_every: Every = None,
    seed: int | None = None,
    resume: Resume = False,
) -> None:
    """Teach EdgeSAM, from the boxes of your data, which region a lone click means; it becomes edge-sam-rpn."""
    configs, recipes, runs = _training()
    config = recipes.get_recipe(
        recipe,
        configs.RpnConfig,
        steps=steps,
        batch_size=batch_size,
        images=limit,
        checkpoint_every=checkpoint_every,
        seed=seed,
    )
    with runs.joined(), bars(config.steps, runs.is_first) as (_, progress):
        path = runs.run_rpn(
            config,
            checkpoint=checkpoint,
            data=runs.open_source(data, images, allow_missing),
            output=output,
            resume=resume,
            progress=progress,
        )
    print(path)


@app.command
def curves(
    runs: Annotated[list[Path], Parameter(help="The --output folders of runs.")],
    /,
    *,
    output: Annotated[Path, Parameter(help="The picture to write (.png).")],
) -> None:
    """Draw the losses of runs, side by side."""
    import_with_extra("samlet.training.curves", "train", "Drawing curves").draw_curves(runs, output)
    print(output)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def _training():  # noqa: ANN202 - three modules of an optional part
    names = ("samlet.training.config", "samlet.training.recipes", "samlet.training.runs")
    return [import_with_extra(name, "train", "Training") for name in names]


@contextmanager
def bars(steps: int, shown: Callable[[], bool]) -> Iterator[tuple[Prepared, Stepped]]:
    """Progress of the teacher's embeddings and of training, on stderr; of several processes one shows it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(stderr=True), disable=not shown()) as progress:

        def show(name: str, text: str, done: int, total: int) -> None:
            task = tasks.setdefault(name, progress.add_task(text, total=total)) if name not in tasks else tasks[name]
            progress.update(task, completed=done, description=text)

        yield (
            lambda done, total: show("teacher", "teacher", done, total),
            lambda step, values: show("train", f"loss {values['loss']:.4f}", step, steps),
        )
