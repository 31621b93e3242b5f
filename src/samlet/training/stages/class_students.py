"""How the stages that learn classes make their students: the spec with the data's classes, and where weights start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from samlet.classes import ClassList
from samlet.errors import CheckpointError, TrainingError
from samlet.models import create
from samlet.models.checkpoints import load_checkpoint, read_state_dict
from samlet.models.cost import count_encoder_macs, count_parameters
from samlet.models.registry import get_spec
from samlet.models.trained import trained_spec
from samlet.nn.network import LogitsNetwork
from samlet.nn.parts import ordered_blocks, residual_branches
from samlet.spec import ModelSpec, Task
from samlet.training.class_configs import ClassConfig, ClassifyConfig, SemanticConfig

HEAD = "head"
NAMED = 3  # of the classes
# Where a backbone lies in files of classifiers and segmenters, and of SAM's students.
_PLACES = ("", "image_encoder.", "image_encoder.backbone.")


def student_spec(config: ClassConfig, task: Task) -> ModelSpec:
    """The spec of a config's student, with the config's classes and last canvas.

    Raises ModelError if the model is for another task, TrainingError if the config names no classes.
    """
    spec = get_spec(config.student)
    spec.check_task(task)
    if not config.classes:
        raise TrainingError("the config names no classes: they come from the data.")
    spec = spec.with_classes(ClassList("own", config.classes))
    spec = replace(spec, options={**spec.options, **_options(config)})
    image = replace(spec.image, canvas=config.canvases[-1][1])
    if isinstance(config, SemanticConfig):  # views are scaled so
        image = replace(image, resampling="bilinear")
    elif isinstance(config, ClassifyConfig) and config.crop_ratio:
        image = replace(image, crop_ratio=config.crop_ratio)
    return replace(spec, image=image)


def new_network(spec: ModelSpec, seed: int, checkpoint: Path | None) -> LogitsNetwork:
    """The network of a spec with random weights, or those of a checkpoint: the same model's, or else the backbone of
    another that has the same. CheckpointError if it has neither.
    """
    torch.manual_seed(seed)
    try:
        network = create(spec)
    except TypeError as error:  # the builder takes no such option
        raise TrainingError(f"{spec.name} has no patch_stride or second_head: leave them as they are.") from error
    if not isinstance(network, LogitsNetwork):
        raise TrainingError(f"{spec.name} gives no logits of classes: choose another student.")
    if checkpoint is not None:
        _start_from(network, checkpoint)
    costs = {"parameters": count_parameters(network), "encoder_macs": count_encoder_macs(network)}
    network.spec = replace(spec, **costs)
    return network


def teacher_network(name: str, checkpoint: Path, classes: tuple[str, ...]) -> LogitsNetwork:
    """A classifier of ours with its weights, as a teacher; TrainingError if it is of other classes.

    Weights that `samlet train` wrote say which classes they know, in which order; of others only the number is known.
    """
    spec, own = get_spec(name), trained_spec(checkpoint)
    spec.check_task("classification")
    if own is not None and (own.name != spec.name or own.classes is None or own.classes.names != classes):
        raise TrainingError(
            f"{checkpoint} is {own.name} of {_told(own)}, not {spec.name} of {len(classes)} classes of the data: a "
            "teacher needs the same classes, in the same order."
        )
    if own is not None:
        spec = own
    elif spec.classes is None or len(spec.classes) != len(classes):
        spec = spec.with_classes(ClassList("own", classes))
    network = create(spec)
    load_checkpoint(network, checkpoint)
    return network.requires_grad_(False).eval()


def _told(spec: ModelSpec) -> str:
    names = spec.classes.names if spec.classes is not None else ()
    return f"{len(names)} classes ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''})"


def freeze_backbone(network: nn.Module) -> None:
    """Let only the head learn; TrainingError for a network that does not call any part of it so."""
    names = [name for name, _ in network.named_parameters()]
    if not any(map(_of_head, names)):
        raise TrainingError(f"{type(network).__name__} has no head of its own that could learn alone: train it whole.")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(_of_head(name))


def branches_of(network: nn.Module) -> list[nn.Module]:
    """The residual branches of a network's blocks, in the order in which they run."""
    return [branch for block in ordered_blocks(network, "drop_path") for branch in residual_branches(block)]


def silence_branches(network: nn.Module) -> None:
    """Start residual branches at zero: the scale of the last batch norm of each. Source: EfficientViT's training."""
    for branch in branches_of(network):
        norms = [module for module in branch.modules() if isinstance(module, nn.BatchNorm2d)]
        if norms:
            nn.init.zeros_(norms[-1].weight)


def _options(config: ClassConfig) -> dict[str, Any]:
    """What the config changes of the network itself."""
    if not isinstance(config, ClassifyConfig):
        return {}
    stride = {"patch_stride": config.patch_stride} if config.patch_stride else {}
    return stride | ({"distilled": True} if config.second_head else {})


def _start_from(network: LogitsNetwork, checkpoint: Path) -> None:
    stored = read_state_dict(checkpoint)
    own = network.state_dict()
    body = [name for name in own if not _of_head(name)]
    for place in _PLACES:
        found = network.adapted(_below(stored, place))
        for wanted in (list(own), body):
            if all(name in found and found[name].shape == own[name].shape for name in wanted):
                network.load_state_dict({**own, **{name: found[name] for name in wanted}})
                return
    raise CheckpointError(
        f"{checkpoint} holds neither the weights of {network.spec.name} with {len(network.spec.classes or ())} classes "
        "nor those of its backbone: leave --checkpoint, or give a file of the same backbone."
    )


def _of_head(name: str) -> bool:
    """Whether a parameter belongs to a head: `head`, `head_dist`; the official files of all families call it so."""
    return name.startswith(HEAD)


def _below(state: Mapping[str, Tensor], place: str) -> dict[str, Tensor]:
    """What lies below a place in a state, as float32."""
    return {
        name.removeprefix(place): value.float() if value.is_floating_point() else value
        for name, value in state.items()
        if name.startswith(place)
    }
