"""The longer training of the default model, stage after stage: which is next, where it starts, what is kept of it.

A folder holds a run for each stage, and so says what is done. What a stage does is its recipe's and `runs`' affair.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import torch
from safetensors.torch import save_file

from samlet.errors import TrainingError
from samlet.files import make_folder, write_aside, write_files
from samlet.models.checkpoints import read_state_dict
from samlet.training.average import average
from samlet.training.batches.sources import open_source
from samlet.training.config import TrainConfig
from samlet.training.loop.checkpoint import CONFIG, LOG, STUDENT
from samlet.training.loop.log import VALIDATION
from samlet.training.loop.processes import is_first, joined
from samlet.training.prune import prune
from samlet.training.recipes.default import MEANS, STAGES
from samlet.training.stages.registry import StageEntry, stage_of

START = "start.safetensors"  # the pruned teacher; with a stage's name before it, the mean that stage begins with
__all__ = ["NAMES", "START", "StageRun", "begin", "enter", "is_first", "joined", "keep", "next_stage"]

NAMES = tuple(recipe.__name__ for recipe in STAGES)
LAST_ROWS = 10  # of a log, for the loss a stage ended with where none was held out
HEAD = """\
# What the default model was trained on

A row for each stage, written by `just train-default`. Views are images as the student saw them; hours are those of
the steps alone. The loss is that of held-out views, where there are any; losses of different kinds of stages do not
compare. Box and click are mIoU in percent on `val`, the mean of sources, of 134 photos and at most 3 masks each:
`samlet eval --data ../shared/data/val --protocol box --limit 134 --max-masks-per-image 3`, then `--protocol point`.

| stage | finished | views | hours | loss | box | click |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class StageRun:
    """A recipe's name, the stage it is of, the folder of its run, and the weights it starts from.

    These may be the mean of others, `mean_of`, which `begin` makes.
    """

    name: str
    entry: StageEntry
    output: Path
    checkpoint: Path
    mean_of: tuple[Path, ...] = ()

    @property
    def student(self) -> Path:
        """The weights it ends with."""
        return self.output / STUDENT


def next_stage(state: Path) -> StageRun:
    """The first stage in the folder `state` without a student; the very first begins with the pruned teacher.

    Raises TrainingError if all stages are done.
    """
    start = state / START
    for name, recipe in zip(NAMES, STAGES, strict=True):
        mean_of = tuple(state / other / STUDENT for other in MEANS.get(name, ()))
        start = state / f"{name}-{START}" if mean_of else start
        stage = StageRun(name, stage_of(recipe()), state / name, start, mean_of)
        if not stage.student.exists():
            return stage
        start = stage.student
    raise TrainingError(f"All {len(NAMES)} stages in {state} are done: add a recipe, or choose another folder.")


def begin(stage: StageRun, teacher: Path, data: Sequence[Path]) -> None:
    """Write the weights a stage starts from: a mean, or for the first the teacher's, pruned by what photos need.

    CheckpointError, DataError, OutputError.
    """
    if stage.mean_of:
        average(stage.mean_of, stage.checkpoint)
    else:
        prune(teacher, open_source(data), stage.checkpoint)


def keep(stage: StageRun, weights: Path) -> Path:
    """Store a finished stage's weights as float16 in `weights`/next, under the model's name; return the path.

    They become the model's own when `val` says that they are better.
    """
    config = TrainConfig.load(stage.output / CONFIG)
    path = make_folder(weights / "next") / f"{config.student}.safetensors"
    state = read_state_dict(stage.student)
    with write_aside(path) as aside:
        save_file({name: _half(value) for name, value in state.items()}, aside)
    return path


def enter(stage: StageRun, ledger: Path, val: Mapping[str, float]) -> str:
    """Add a finished stage's row to the ledger, with `val` mIoU by protocol, and return it."""
    config = TrainConfig.load(stage.output / CONFIG)
    rows = [json.loads(line) for line in (stage.output / LOG).read_text(encoding="utf-8").splitlines()]
    steps, held_out = [row for row in rows if "seconds" in row], [row[VALIDATION] for row in rows if VALIDATION in row]
    hours = config.steps * sum(row["seconds"] for row in steps) / len(steps) / 3600
    last = held_out[-1:] or [row["loss"] for row in steps[-LAST_ROWS:]]
    measured = [f"{100 * val[name]:.1f}" if name in val else "–" for name in ("box", "point")]
    finished = f"{datetime.now().astimezone():%Y-%m-%d}"
    views = config.steps * config.batch_size
    cells = [stage.name, finished, f"{views:,}", f"{hours:.1f}", f"{sum(last) / len(last):.3f}", *measured]
    row = f"| {' | '.join(cells)} |"
    before = ledger.read_text(encoding="utf-8") if ledger.exists() else HEAD
    make_folder(ledger.parent)
    write_files({ledger: f"{before}{row}\n".encode()})
    return row


def _half(value: torch.Tensor) -> torch.Tensor:
    return (value.half() if value.is_floating_point() else value).contiguous()
