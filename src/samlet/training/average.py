"""The mean of weights that were trained on from one another: a model soup.

Source: arXiv 2203.05482. Fine-tuning gains on what it shows and loses elsewhere; the mean keeps much of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from samlet.errors import TrainingError
from samlet.files import make_folder, write_aside
from samlet.marks import WEIGHTS_MARK, are_our_weights, check_ours
from samlet.models.checkpoints import read_state_dict


def average(checkpoints: Sequence[Path], output: Path) -> Path:
    """Write the mean of checkpoints of one model, float32, to `output` (.safetensors); return its path.

    What is no float, such as a counter, is the first one's. Raises TrainingError if there are fewer than two or their
    weights differ in name or shape, CheckpointError if one cannot be read, OutputError, also for a file there that is
    not such a mean.
    """
    if len(checkpoints) < 2:
        raise TrainingError(f"{len(checkpoints)} checkpoint given: an average needs two or more.")
    check_ours([output], are_our_weights)
    states = [read_state_dict(path) for path in checkpoints]
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in states]
    for path, shape in zip(checkpoints, shapes, strict=True):
        if shape != shapes[0]:
            odd = min(name for name in {*shape, *shapes[0]} if shape.get(name) != shapes[0].get(name))
            raise TrainingError(f"{path} and {checkpoints[0]} differ in {odd}: average weights of one model.")
    mean = {name: _mean([state[name] for state in states]) for name in states[0]}
    make_folder(output.parent)
    with write_aside(output) as aside:
        save_file(mean, aside, WEIGHTS_MARK)
    return output


def _mean(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    if not tensors[0].is_floating_point():
        return tensors[0].contiguous()
    return torch.stack([tensor.float() for tensor in tensors]).mean(dim=0)
