"""`samlet train`: one command per stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.progress import TaskID

from samlet.cli.options.training import DataOptions, RunOptions, TeacherOptions
from samlet.cli.progress import progress_bars
from samlet.extras import import_with_extra

app = App(name="train", help="Train a student (distill-encoder, distill-prompted, finetune) and draw its curves.")

Prepared = Callable[[int, int], None]
Stepped = Callable[[int, dict[str, float]], None]
Said = Callable[[str], None]
Checkpoint = Annotated[Path, Parameter(help="The weights to start from.")]


@app.command(name="distill-encoder")
def distill_encoder(
    *, teacher: TeacherOptions, data: DataOptions, run: RunOptions, recipe: str = "efficientvit_sam_b0_stage1"
) -> None:
    """Teach a student's image encoder the embeddings of a teacher."""
    stage = _Stage("DistillEncoderConfig", recipe, data, run, teacher)
    stage.go(lambda runs, *given, **named: runs.run_distill_encoder(*given, **named))


@app.command(name="distill-prompted")
def distill_prompted(
    *,
    checkpoint: Checkpoint,
    teacher: TeacherOptions,
    data: DataOptions,
    run: RunOptions,
    recipe: str = "efficientvit_sam_b0_stage4",
) -> None:
    """Teach a student the masks of a teacher, with clicks where the two disagree; photos need no masks."""
    stage = _Stage("DistillPromptedConfig", recipe, data, run, teacher)
    stage.go(lambda runs, *given, **named: runs.run_distill_prompted(*given, checkpoint=checkpoint, **named))


@app.command
def finetune(
    *,
    checkpoint: Checkpoint,
    data: DataOptions,
    run: RunOptions,
    recipe: str = "efficientvit_sam_b0_stage2",
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
) -> None:
    """Fine-tune a student end to end on images with masks."""
    frozen = tuple(dict.fromkeys(("prompt_encoder", *freeze))) if freeze else None
    stage = _Stage("FinetuneConfig", recipe, data, run)
    stage.go(
        lambda runs, *given, **named: runs.run_finetune(*given, checkpoint=checkpoint, **named),
        rounds=rounds,
        lora=lora,
        frozen=frozen,
    )


@app.command
def rpn(
    *,
    checkpoint: Annotated[Path, Parameter(help="The weights of an edge-sam to start from; they stay as they are.")],
    data: DataOptions,
    run: RunOptions,
    recipe: str = "edge_sam_stage3",
) -> None:
    """Teach EdgeSAM, from the boxes of your data, which region a lone click means; it becomes edge-sam-rpn."""
    stage = _Stage("RpnConfig", recipe, data, run)
    stage.go(lambda runs, *given, **named: runs.run_rpn(*given, checkpoint=checkpoint, **named))


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


@dataclass(frozen=True)
class _Stage:
    """A stage as it was asked for on the command line; `kind` is the class of its configs."""

    kind: str
    recipe: str
    data: DataOptions
    run: RunOptions
    teacher: TeacherOptions | None = None

    def go(self, train: Callable[..., Path], **changes: Any) -> None:
        """Call `train(runs, config, run, data=…)`, with `teacher` if there is one; or, with --dry-run, plan that."""
        configs, recipes, runs = _training()
        changes = {**self.data.changes(), **self.run.changes(), **changes}
        config = recipes.get_recipe(self.recipe, getattr(configs, self.kind), **changes)
        with runs.joined(), bars(config, runs.is_first() and not self.run.dry_run) as (prepared, progress, say):
            broken = runs.Broken(config.max_broken, say)
            run = runs.Run(self.run.output, self.run.resume, self.run.device, broken, prepared, progress, say)
            named = {"data": runs.open_source(self.data.data, self.data.images, self.data.allow_missing, broken)}
            if self.teacher is not None:
                named["teacher"] = self.teacher.file(runs)
            if self.run.dry_run:
                lines = [f"{what:10}  {sentence}" for what, sentence in runs.plan(config, run, **named).lines()]
            else:
                lines = [str(train(runs, config, run, **named))]
        if runs.is_first():
            print(*lines, sep="\n")


def _training():  # noqa: ANN202 - three modules of an optional part
    names = ("samlet.training.config", "samlet.training.recipes", "samlet.training.runs")
    return [import_with_extra(name, "train", "Training") for name in names]


@contextmanager
def bars(config: Any, shown: bool) -> Iterator[tuple[Prepared, Stepped, Said]]:
    """Progress of the teacher's embeddings and of training, and sentences above it, on stderr.

    Of several processes one shows its bars; all may say something.
    """
    tasks: dict[str, TaskID] = {}
    with progress_bars(kept=True, shown=shown) as progress:

        def show(name: str, text: str, done: int, total: int) -> None:
            if name not in tasks:  # a resumed run begins where it is, or the time left would be too short
                tasks[name] = progress.add_task(text, total=total, completed=done)
            progress.update(tasks[name], completed=done, description=text)

        def step(number: int, values: dict[str, float]) -> None:
            speed = config.batch_size / values["seconds"]
            text = f"loss {values['loss']:.4f}  {speed:.1f} images/s  {values['memory_mib']:,.0f} MiB"
            show("train", text, number, config.steps)

        yield (
            lambda done, total: show("teacher", "teacher", done, total),
            step,
            lambda sentence: progress.console.print(sentence, markup=False, highlight=False, soft_wrap=True),
        )
