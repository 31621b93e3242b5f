"""The training loop: any stage, any batches; resumes exactly, loses at most the steps since the last checkpoint.

With several processes the first one writes; losses and batch statistics in logs and checkpoints are those it sees.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from samlet.errors import TrainingError
from samlet.training.checkpoint import LOG, open_run, save_checkpoint
from samlet.training.config import TrainConfig
from samlet.training.optimization import Ema, build_optimizer, learning_rate
from samlet.training.processes import is_first, spread

Progress = Callable[[int, dict[str, float]], None]
LOG_EVERY = 10


class Trainer:
    """Runs one stage. `progress(step, values)` is called after every step."""

    def __init__(self, stage: nn.Module, config: TrainConfig, folder: Path, resume: bool = False) -> None:
        self.stage, self.config, self.folder = stage, config, folder
        self._call = spread(stage)
        self.optimizer = build_optimizer(stage, config)
        self.ema = Ema(stage, config.ema_decay)
        self.step = 0
        checkpoint = open_run(folder, config, resume)
        if checkpoint is not None:
            self._restore(checkpoint)

    def run(self, stream: Callable[[int], Iterable[Any]], progress: Progress | None = None) -> None:
        """Train from the current step to the last. `stream(first_step)` yields the batches.

        At the end the stage holds the averaged weights. Raises TrainingError at a loss that is not finite; the last
        checkpoint stays.
        """
        self.stage.train()
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            for batch in stream(self.step):
                started = time.perf_counter()
                values = self._train_on(batch)
                self.step += 1
                values["seconds"] = time.perf_counter() - started
                last = self.step == self.config.steps
                if is_first() and (self.step % LOG_EVERY == 0 or last):
                    log.write(json.dumps({"step": self.step, **values}) + "\n")
                    log.flush()
                if is_first() and (self.step % self.config.checkpoint_every == 0 or last):
                    save_checkpoint(self.folder, self._state())
                if progress is not None:
                    progress(self.step, values)
        self.stage.load_state_dict(self.ema.state)
        self.stage.eval()

    def _train_on(self, batch: Any) -> dict[str, float]:
        rate = learning_rate(self.step, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        losses = self._call(batch)
        loss = torch.stack(list(losses.values())).sum()
        if not math.isfinite(loss.item()):
            raise TrainingError(
                f"the loss is {loss.item()} at step {self.step}: lower the learning rate and resume; the last "
                f"checkpoint in {self.folder} is from before."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.stage.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.ema.update(self.stage, self.step)
        return {
            "loss": loss.item(),
            **{name: value.item() for name, value in losses.items()},
            "grad_norm": norm.item(),
            "learning_rate": rate,
        }

    def _state(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "stage": self.stage.state_dict(),
            "ema": self.ema.state,
            "optimizer": self.optimizer.state_dict(),
        }

    def _restore(self, checkpoint: dict[str, Any]) -> None:
        self.step = checkpoint["step"]
        self.stage.load_state_dict(checkpoint["stage"])
        self.ema.load(checkpoint["ema"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
