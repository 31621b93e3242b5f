"""`samlet train`: one command per stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.progress import TaskID

from samlet.cli.options.bounds import Between
from samlet.cli.options.model import ModelOptions
from samlet.cli.options.training import DataOptions, RunOptions, TeacherOptions, own_changes, stage_signature
from samlet.cli.progress import progress_bars
from samlet.errors import TrainingError
from samlet.extras import import_with_extra
from samlet.training import recipes
from samlet.training.config import TrainConfig
from samlet.training.stages.registry import STAGES, StageEntry

app = App(name="train", help="Train a student, stage by stage, and draw its curves.")

VIEWS = 1100  # of which the default model's last stage has the teacher's masks
Prepared = Callable[[int, int], None]
Stepped = Callable[[TrainConfig, int, dict[str, float]], None]
Said = Callable[[str], None]


@app.command
def default(
    *,
    data: Annotated[list[Path], Parameter(consume_multiple=True, help="Folders of photos, with masks and without.")],
    teacher_checkpoint: Annotated[Path, Parameter(help="The weights of the teacher, mobile-sam.")],
    val: Annotated[Path | None, Parameter(help="Photos with masks to measure each stage on; never trained on.")] = None,
    state: Annotated[Path, Parameter(help="Folder of the runs.")] = Path("runs/default"),
    weights: Annotated[Path, Parameter(help="Where the weights after each stage go.")] = Path("checkpoints"),
    ledger: Annotated[Path, Parameter(help="Where a row for each stage goes.")] = Path(
        "docs/models/training-ledger.md"
    ),
    device: Annotated[str | None, Parameter(help="cpu, cuda, cuda:1, mps; default: CUDA if there is one.")] = None,
    precision: Annotated[
        Literal["float32", "bfloat16"] | None, Parameter(help="Numbers to compute with; default: the recipe's.")
    ] = None,
    online: Annotated[
        bool, Parameter(help="Let the teacher embed each batch on the device, without a cache: for a fast GPU.")
    ] = False,
    workers: Annotated[
        int, Parameter(help="Processes that prepare batches, in stages that allow it.", validator=Between(0, 1024))
    ] = 0,
    steps: Annotated[int | None, Parameter(help="Optimizer steps of the stage, to try it.")] = None,
) -> None:
    """Train the next stage of the default model, or go on with the one that was stopped."""
    program = import_with_extra("samlet.training.program", "train", "Training")
    stage = program.next_stage(state)
    teacher = TeacherOptions(
        teacher="mobile-sam", teacher_checkpoint=teacher_checkpoint, cache=state / "teacher", teacher_first=False
    )
    with program.joined():
        if not stage.checkpoint.exists():
            program.begin(stage, teacher_checkpoint, data)
        if not stage.entry.needs_teacher:
            data = [*data, state / "teacher-masks"]
            teacher_masks(data[:-1], output=data[-1], teacher=teacher)
        start: dict[str, Any] = {"recipe": stage.name, "checkpoint": stage.checkpoint}
        if stage.entry.needs_teacher:
            start |= {"teacher": teacher, "online": online}
        several = workers if online or not stage.entry.needs_teacher else 0
        run = RunOptions(
            output=stage.output, resume=True, device=device, precision=precision, workers=several, steps=steps
        )
        _command(stage.entry)(data=DataOptions(data=data), run=run, **start)
        if not program.is_first():  # the first process keeps what all have made
            return
    kept = program.keep(stage, weights)
    measured = {} if val is None else {name: _measured(kept, val, stage.output, name) for name in ("box", "point")}
    print(kept, program.enter(stage, ledger, measured), sep="\n")


def _measured(weights: Path, val: Path, output: Path, protocol: Literal["box", "point"]) -> float:
    """The mean of sources of the ledger's measurement, in 0..1."""
    from samlet.cli import eval as measuring
    from samlet.evaluation import read_report

    model = ModelOptions(model=weights.stem, checkpoint=weights)
    folder = output / f"val-{protocol}"
    measuring.run(data=[val], output=folder, protocol=protocol, model=model, limit=134, max_masks_per_image=3)
    return read_report(folder)["metrics"]["mean_of_sources"]


@app.command
def pack(
    data: Annotated[list[Path], Parameter(help="Folders of photos, with masks and without, or other data.")],
    /,
    *,
    output: Annotated[Path, Parameter(help="Folder of the packs, which are SA-1B shards.")],
    max_side: Annotated[int, Parameter(help="Long side of a photo, in pixels.", validator=Between(16, 65_536))] = 384,
    max_mb: Annotated[float, Parameter(help="Size of a pack, in 10^6 bytes.", validator=Between(1, 1e6))] = 45,
) -> None:
    """Make photos small and put them together, for a machine that has little time and takes few bytes."""
    packs = import_with_extra("samlet.training.packs", "train", "Packing")
    sources = import_with_extra("samlet.training.batches.sources", "train", "Packing")
    with progress_bars(kept=True) as progress:
        samples = sources.open_source(data, tell=progress.console.print)
        task = progress.add_task("pack", total=len(samples))
        told = partial(_advance, progress, task)
        print(*packs.pack(samples, output, max_side, int(max_mb * 1e6), told), sep="\n")


@app.command
def teacher_masks(
    data: Annotated[list[Path], Parameter(help="Folders of photos, with masks and without, or other data.")],
    /,
    *,
    output: Annotated[Path, Parameter(help="Folder of the photos with the teacher's masks, as SA-1B records.")],
    teacher: TeacherOptions,
    views: Annotated[int, Parameter(help="How many views of the photos.", validator=Between(1, 1e9))] = VIEWS,
    recipe: Annotated[str, Parameter(help="The recipe whose views they are.")] = "mobile_sam_slim_stage1",
) -> None:
    """Write a teacher's masks of photos, to fine-tune on beside those of people; called again, it goes on."""
    runs = import_with_extra("samlet.training.runs", "train", "Asking a teacher")
    writing = import_with_extra("samlet.training.teacher_masks", "train", "Asking a teacher")
    config = recipes.get_recipe(recipe, TrainConfig)
    with runs.joined(), progress_bars(kept=True, shown=runs.is_first()) as progress:
        samples = runs.open_source(data, tell=progress.console.print)
        config = replace(config, validation_images=min(config.validation_images, len(samples) // 10))  # of few, few
        _, asked = teacher.file(runs).open(output)
        told = partial(_advance, progress, progress.add_task("teacher's masks", total=views))
        found = writing.write_teacher_masks(samples, asked, config, output, views, told)
        first = runs.is_first()  # of the processes, which part at the end of this block
    if first:
        print(f"{found:,} photos with masks in {output}")


def _advance(progress: Any, task: TaskID, done: int, total: int) -> None:
    progress.update(task, completed=done, total=total)


@app.command
def average(
    checkpoints: Annotated[list[Path], Parameter(help="Two or more weights files of one model.")],
    /,
    *,
    output: Annotated[Path, Parameter(help="The weights file to write (.safetensors).")],
) -> None:
    """Average the weights of a student before and after a stage: it keeps much of what either is better at."""
    print(import_with_extra("samlet.training.average", "torch", "Averaging weights").average(checkpoints, output))


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


def _command(entry: StageEntry) -> Callable[..., None]:
    """The command that trains a stage or, with --dry-run, says what that would do."""

    def command(*, data: DataOptions, run: RunOptions, recipe: str = entry.recipe, **start: Any) -> None:
        runs = import_with_extra("samlet.training.runs", "train", "Training")
        changes = {**data.changes(), **run.changes(), **own_changes(entry, start)}
        config = recipes.get_recipe(recipe, entry.config, **changes)
        if run.steps is not None and run.epochs is not None:
            raise TrainingError("--steps and --epochs both say how long to train: give one of them.")
        with runs.joined(), bars(runs.is_first() and not run.dry_run) as (prepared, stepped, say):
            broken = runs.Broken(config.max_broken, say)
            if entry.data == "masks":
                start["data"] = runs.open_source(data.data, data.images, data.allow_missing, broken, say)
            else:
                start["data"] = runs.open_class_source(data.data, entry.data, data.images, data.allow_missing)
            if run.epochs is not None:
                config = runs.for_epochs(config, run.epochs, start["data"])
            progress = partial(stepped, config)
            where = runs.Run(run.output, run.resume, run.device, broken, prepared, progress, say, run.workers)
            if "teacher" in start:
                where = replace(where, teacher_first=start["teacher"].teacher_first)
                start["teacher"] = start["teacher"].file(runs)
            elif "classifier" in start:
                start["teacher"] = start.pop("classifier").file(runs)
            if run.dry_run:
                lines = [f"{what:10}  {sentence}" for what, sentence in runs.dry_run(config, where, **start).lines()]
            else:
                lines = [str(runs.train(config, where, **start))]
            first = runs.is_first()  # of the processes, which part at the end of this block
        if first:
            print(*lines, sep="\n")

    command.__signature__ = stage_signature(entry)  # pyright: ignore[reportFunctionMemberAccess] - read by inspect
    command.__annotations__ = {}
    return command


for _entry in STAGES:
    app.command(_command(_entry), name=_entry.name, help=_entry.help)


@contextmanager
def bars(shown: bool) -> Iterator[tuple[Prepared, Stepped, Said]]:
    """Progress of the teacher's embeddings and of a config's training, and sentences above it, on stderr.

    Of several processes one shows its bars; all may say something.
    """
    tasks: dict[str, TaskID] = {}
    validated: dict[str, float] = {}
    with progress_bars(kept=True, shown=shown) as progress:

        def show(name: str, text: str, done: int, total: int) -> None:
            if name not in tasks:  # a resumed run begins where it is, or the time left would be too short
                tasks[name] = progress.add_task(text, total=total, completed=done)
            progress.update(tasks[name], completed=done, description=text)

        def step(config: TrainConfig, number: int, values: dict[str, float]) -> None:
            validated.update({name: values[name] for name in ("validation",) if name in values})
            speed = config.batch_size / values["seconds"]
            held_out = "".join(f"  held-out {loss:.4f}" for loss in validated.values())
            text = f"loss {values['loss']:.4f}{held_out}  {speed:.1f} images/s  {values['memory_mib']:,.0f} MiB"
            show("train", text, number, config.steps)

        yield (
            lambda done, total: show("teacher", "teacher", done, total),
            step,
            lambda sentence: progress.console.print(sentence, markup=False, highlight=False, soft_wrap=True),
        )
