"""The training loop: any stage, any batches; resumes exactly, loses at most the steps since the last checkpoint.

With several processes the first one writes; losses are means over all of them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samlet.errors import StoppedError, TrainingError
from samlet.stopping import StopRequest, stop_requests
from samlet.training.batches.order import Batch, check_batch_size
from samlet.training.batches.views import generator
from samlet.training.config import TrainConfig
from samlet.training.loop.batch_norm import re_estimate, set_training, sync_statistics
from samlet.training.loop.checkpoint import BEST, load_checkpoint, open_run, save_checkpoint
from samlet.training.loop.fsdp import check_fsdp, gathered, make_whole, scattered, scattered_moments, shard
from samlet.training.loop.log import LOG_EVERY, VALIDATION, RunLog, peak_memory_mib
from samlet.training.loop.memory import explained
from samlet.training.loop.optimizer import Ema, SeesAverage, build_optimizer, clip, learning_rate
from samlet.training.loop.precision import autocast, loss_scaler
from samlet.training.loop.processes import (
    any_of_all,
    average,
    exchange,
    in_parallel,
    is_first,
    names_of_all,
    own_device,
    rank,
    wait_for_all,
)

Progress = Callable[[int, dict[str, float]], None]
Stream = Callable[[int], Iterator[Batch]]
RE_ESTIMATED_OVER = 64  # steps


class Trainer:
    """Runs one stage on `device` (default: the process's own). `progress(step, values)` is called after every step."""

    def __init__(
        self, stage: nn.Module, config: TrainConfig, folder: Path, resume: bool = False, device: str | None = None
    ) -> None:
        check_batch_size(config)
        check_fsdp(config)
        self.device = own_device(device)
        self.stage, self.config, self.folder = stage, config, folder
        sync_statistics(stage, config.batch_norm, self.device)
        self._call = shard(stage, self.device) if config.fsdp else in_parallel(stage.to(self.device))
        self._autocast = autocast(config.precision, self.device)
        self._scaler = loss_scaler(config.precision, self.device)
        self.optimizer = build_optimizer(stage, config)
        self.ema = Ema(stage, config.ema_decay)
        if isinstance(stage, SeesAverage):
            stage.see_average(self.ema.state)
        self.step = 0
        self.best = math.inf
        self._recent: list[float] = []  # losses since the last checkpoint
        checkpoint = open_run(folder, config, resume)
        if checkpoint is not None:
            self._restore(checkpoint)

    def run(self, stream: Stream, progress: Progress | None = None, validation: Stream | None = None) -> None:
        """Train from the current step to the last. `stream(first_step)` yields the parts of the steps in order.

        `validation(0)` yields held-out batches, whose loss decides which checkpoint is the best. At the end the stage
        holds the averaged weights: the best ones if there was a validation, else the last.

        Raises TrainingError at a loss that is not finite, when the memory runs out, and StoppedError after a
        SIGTERM or Ctrl-C; the last checkpoint stays. Raises OutputError if the disk is full.
        """
        set_training(self.stage, self.config.batch_norm)
        batches = stream(self.step)
        with explained(self.config), RunLog(self.folder, self.step) as log, stop_requests() as request:
            while self.step < self.config.steps:
                values = self._timed_step(batches)
                if is_first() and (self.step % LOG_EVERY == 0 or self.step == self.config.steps):
                    log.write(self.step, values)
                stopping = any_of_all(request.by is not None, self.device)
                if stopping or self.step % self.config.checkpoint_every == 0 or self.step == self.config.steps:
                    self._save(validation, log, values)
                if progress is not None:
                    progress(self.step, values)
                if stopping and self.step < self.config.steps:
                    raise _stopped(self.step, self.folder, request)
            self._finish(stream, validation)

    def _timed_step(self, batches: Iterator[Batch]) -> dict[str, float]:
        started = time.perf_counter()
        parts = list(islice(batches, self.config.grad_accum_steps))
        values = self._train_on(parts)
        self.step += 1
        self._recent.append(values["loss"])
        return {**values, "memory_mib": peak_memory_mib(self.device), "seconds": time.perf_counter() - started}

    def _train_on(self, parts: list[Batch]) -> dict[str, float]:
        rate = learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._backward(parts)
        if not math.isfinite(losses["loss"]):
            raise self._spoiled(f"the loss is {losses['loss']}", parts)
        self._scaler.unscale_(self.optimizer)
        norm = clip(self.stage, self.config)
        if not (math.isfinite(norm) or self._scaler.is_enabled()):
            raise self._spoiled(f"the gradient's norm is {norm}", parts)
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.ema.update(self.stage, self.step)
        return {**losses, "grad_norm": norm, "learning_rate": rate}

    def _backward(self, parts: list[Batch]) -> dict[str, float]:
        """Add up the gradients of the parts, each already divided by their number; return the mean losses."""
        names: list[str] = []
        total = torch.zeros(())
        for part, batch in enumerate(parts):
            # Whatever a stage draws from torch's generator depends on the seed and the step alone, as the batches do.
            torch.manual_seed(int(generator(self.config.seed, "step", self.step, part, rank()).integers(2**63)))
            with exchange(self._call, wanted=part == len(parts) - 1):
                losses = self._losses(self._call, batch)
                self._scaler.scale(torch.stack(list(losses.values())).sum() / len(parts)).backward()
            names = list(losses)
            total = total.to(self.device) + torch.stack(list(losses.values())).detach().float() / len(parts)
        means = average(total).tolist()
        return {"loss": sum(means), **dict(zip(names, means, strict=True))}

    def _losses(self, call: nn.Module, batch: Batch) -> dict[str, Tensor]:
        with self._autocast:
            return call(batch.to(self.device))

    def _spoiled(self, what: str, parts: list[Batch]) -> TrainingError:
        images = names_of_all(tuple(name for batch in parts for name in batch.names))
        return TrainingError(
            f"{what} at step {self.step}, on the images {', '.join(images)}: look at them, or lower the learning "
            f"rate; the last checkpoint in {self.folder} is from before and good."
        )

    def _save(self, validation: Stream | None, log: RunLog, values: dict[str, float]) -> None:
        """Write a checkpoint, and the loss on held-out images into the log and `values`."""
        loss = sum(self._recent) / max(1, len(self._recent))
        if validation is not None:
            loss = values[VALIDATION] = self._validate(validation)
            if is_first():
                log.write(self.step, {VALIDATION: loss})
        self._recent.clear()
        is_best = loss < self.best
        self.best = min(loss, self.best)
        state = gathered(self._state())
        if is_first():
            save_checkpoint(self.folder, state, self.config.keep, is_best)
        wait_for_all()

    @torch.no_grad()
    def _validate(self, validation: Stream) -> float:
        """The mean loss of the averaged weights over the held-out batches."""
        with self.ema.applied_to(self.stage):
            self.stage.eval()
            sums = [torch.stack(list(self._losses(self.stage, batch).values())).sum() for batch in validation(0)]
        set_training(self.stage, self.config.batch_norm)
        return average(torch.stack(sums).float().mean()).item()

    def _finish(self, stream: Stream, validation: Stream | None) -> None:
        best = load_checkpoint(self.folder / BEST, self.config.fsdp)["ema"] if validation else self.ema.state
        self.stage.load_state_dict(scattered(best, self.ema.state))
        if self.config.batch_norm == "re-estimated":
            last = stream(max(0, self.config.steps - RE_ESTIMATED_OVER))
            re_estimate(self.stage, last, lambda batch: self._losses(self.stage, batch))
        make_whole(self.stage)
        self.stage.eval()

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "stage": self.stage.state_dict(),
            "ema": self.ema.state,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "best": self.best,
        }

    def _restore(self, checkpoint: dict[str, Any]) -> None:
        self.step = checkpoint["step"]
        self.stage.load_state_dict(scattered(checkpoint["stage"], self.ema.state))
        self.ema.load(scattered(checkpoint["ema"], self.ema.state))
        self.optimizer.load_state_dict(scattered_moments(checkpoint["optimizer"], self.optimizer))
        # Checkpoints of earlier versions hold neither.
        self._scaler.load_state_dict(checkpoint.get("scaler", {}))
        self.best = checkpoint.get("best", math.inf)


def _stopped(step: int, folder: Path, request: StopRequest) -> StoppedError:
    by = request.by.name if request.by else "another process"
    return StoppedError(f"Stopped by {by} after step {step}; {folder} is saved: go on with --resume.", request.by or 0)
