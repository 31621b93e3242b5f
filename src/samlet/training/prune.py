"""A slim TinyViT that starts with what MobileSAM's encoder knows: its weights, but for the hidden units that say least.

A unit's worth is the variance of its activation times the squared weights that read it, so that a block's answer
changes least. What the other units say on average moves into the bias behind them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from samlet.data import Sample
from samlet.files import make_folder, write_aside
from samlet.marks import WEIGHTS_MARK, are_our_weights, check_ours
from samlet.models import Sam, create, load_checkpoint
from samlet.models.mobile_sam.network import ConvBN, MBConv, TinyViT, TinyViTBlock
from samlet.models.mobile_sam.slim import FineNeck, SlimTinyViT
from samlet.preprocess import to_pixels
from samlet.spec import ImageSpec
from samlet.training.batches.views import generator

TEACHER, SLIM = "mobile-sam", "mobile-sam-slim"
PHOTOS, BATCH = 48, 8  # enough for means that settle; one batch fits a small machine
SEED = 5


def prune(checkpoint: Path, samples: Sequence[Sample], output: Path) -> Path:
    """Write weights of `mobile-sam-slim` made of MobileSAM's in `checkpoint`; return the path.

    A few of the `samples`, chosen by a seed, tell which units matter. CheckpointError if the checkpoint cannot be read,
    DataError if a photo cannot be, OutputError.
    """
    check_ours([output], are_our_weights)
    torch.manual_seed(SEED)
    teacher, slim = create(TEACHER, "promptable"), create(SLIM, "promptable")
    load_checkpoint(teacher, checkpoint)
    copy_pruned(teacher, slim, _pixels(samples, replace(teacher.spec.image, canvas=slim.spec.image.canvas)))
    make_folder(output.parent)
    with write_aside(output) as aside:
        save_file({name: value.contiguous() for name, value in slim.state_dict().items()}, aside, WEIGHTS_MARK)
    return output


@torch.no_grad()
def copy_pruned(teacher: Sam, slim: Sam, batches: Iterable[Tensor]) -> None:
    """Give `slim` the weights of `teacher`; normalized pixels [N, 3, S, S] show which hidden units to keep."""
    source, target = teacher.image_encoder.eval(), slim.image_encoder
    assert isinstance(source, TinyViT)
    assert isinstance(target, SlimTinyViT)
    pairs = list(zip(source.ordered_blocks(), target.ordered_blocks(), strict=True))
    activations = _activations(source, batches)
    target.patch_embed.load_state_dict(source.patch_embed.state_dict())
    for old, new in zip(source.layers, target.layers, strict=True):
        if isinstance(old.downsample, nn.Module):
            new.get_submodule("downsample").load_state_dict(old.downsample.state_dict())
    for (old, new), (mean, variance) in zip(pairs, activations, strict=True):
        if isinstance(old, MBConv) and isinstance(new, MBConv):
            _copy_convolutions(old, new, mean, variance)
        elif isinstance(old, TinyViTBlock) and isinstance(new, TinyViTBlock):
            _copy_block(old, new, mean, variance)
    _copy_neck(source, target.neck)
    slim.prompt_encoder.load_state_dict(teacher.prompt_encoder.state_dict())
    slim.mask_decoder.load_state_dict(teacher.mask_decoder.state_dict())


def _pixels(samples: Sequence[Sample], image: ImageSpec) -> Iterator[Tensor]:
    chosen = generator(SEED, "prune").permutation(len(samples))[:PHOTOS]
    for first in range(0, len(chosen), BATCH):
        batch = [to_pixels(samples[int(i)].read_image(), image)[0] for i in chosen[first : first + BATCH]]
        yield torch.from_numpy(np.stack(batch))


def _activations(encoder: TinyViT, batches: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Of each block, in order, the mean and variance [H] of its hidden units after the last GELU before the answer."""
    seen: list[list[Tensor]] = []
    hooks = []
    for block in encoder.ordered_blocks():
        seen.append(sums := [torch.zeros(()), torch.zeros(()), torch.zeros(())])
        layer = block.conv2 if isinstance(block, MBConv) else block.get_submodule("mlp.fc1")
        hooks.append(layer.register_forward_hook(_adding_to(sums, channels=1 if isinstance(block, MBConv) else -1)))
    for pixels in batches:
        encoder(pixels)
    for hook in hooks:
        hook.remove()
    means = [(total / count, squares / count) for count, total, squares in seen]
    return [(mean, square - mean.square()) for mean, square in means]


def _adding_to(sums: list[Tensor], channels: int) -> Callable[[nn.Module, object, Tensor], None]:
    def add(_layer: nn.Module, _inputs: object, units: Tensor) -> None:
        flat = F.gelu(units).double().movedim(channels, -1).flatten(0, -2)
        for place, value in enumerate((torch.tensor(len(flat)), flat.sum(dim=0), flat.square().sum(dim=0))):
            sums[place] = sums[place] + value

    return add


def _split(variance: Tensor, readers: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Numbers of the units to keep and of the others, by variance [H] and the weights [Co, H] that read them."""
    worth = variance * readers.double().square().sum(dim=0)
    order = worth.argsort(descending=True)
    return order[:keep].sort().values, order[keep:]


def _copy_convolutions(old: MBConv, new: MBConv, mean: Tensor, variance: Tensor) -> None:
    readers = old.conv3.c.weight[:, :, 0, 0]
    norm, own = old.conv3.bn, new.conv3.bn
    assert norm.running_var is not None
    assert own.running_mean is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    kept, others = _split(variance, readers * scale[:, None], len(new.conv1.c.weight))
    for before, after in ((old.conv1, new.conv1), (old.conv2, new.conv2)):
        _copy_channels(before, after, kept)
    new.conv3.c.weight.copy_(old.conv3.c.weight[:, kept])
    own.load_state_dict(norm.state_dict())
    own.running_mean.sub_(readers[:, others] @ mean[others].float())


def _copy_channels(old: ConvBN, new: ConvBN, kept: Tensor) -> None:
    new.c.weight.copy_(old.c.weight[kept])
    for name, value in old.bn.state_dict().items():
        if value.ndim:
            new.bn.state_dict()[name].copy_(value[kept])


def _copy_block(old: TinyViTBlock, new: TinyViTBlock, mean: Tensor, variance: Tensor) -> None:
    for name in ("attn", "local_conv", "mlp.norm"):
        new.get_submodule(name).load_state_dict(old.get_submodule(name).state_dict())
    kept, others = _split(variance, old.mlp.fc2.weight, new.mlp.fc1.out_features)
    new.mlp.fc1.weight.copy_(old.mlp.fc1.weight[kept])
    new.mlp.fc1.bias.copy_(old.mlp.fc1.bias[kept])
    new.mlp.fc2.weight.copy_(old.mlp.fc2.weight[:, kept])
    new.mlp.fc2.bias.copy_(old.mlp.fc2.bias + old.mlp.fc2.weight[:, others] @ mean[others].float())


def _copy_neck(source: TinyViT, neck: FineNeck) -> None:
    for layer, own in zip(source.neck, (*neck.coarse, neck.norm), strict=True):
        own.load_state_dict(layer.state_dict())
