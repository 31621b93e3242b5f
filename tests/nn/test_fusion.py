"""Fusion changes what a module is made of, not what it computes; on random statistics, in eval mode."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from tests.filler import fill_
from torch import Tensor, nn

from samlet.models.efficientvit.blocks import ConvLayer
from samlet.nn.fusion import Fusible, fuse
from samlet.nn.layers import ConvBN
from samlet.nn.repvit import DownsamplingBlock, RepDepthwise, RepDepthwiseNorm, RepViTBlock

MAPS = torch.linspace(-2, 2, 2 * 8 * 12 * 12).sin().reshape(2, 8, 12, 12)


def kinds(module: nn.Module) -> set[type[nn.Module]]:
    return {type(child) for child in module.modules()}


def fused(module: nn.Module) -> nn.Module:
    copy = nn.Sequential(deepcopy(module))
    fuse(copy)
    return copy


BLOCKS = {
    "a unit of conv and norm": lambda: ConvBN(8, 16),
    "a depthwise one, strided": lambda: ConvBN(8, 8, 3, 2, groups=8),
    "EfficientViT's unit": lambda: ConvLayer(8, 16, 3, act=nn.Hardswish),
    "one with a bias": lambda: ConvLayer(8, 16, 3, bias=True),
    "a norm in each branch": lambda: RepDepthwise(8),
    "a norm of the sum": lambda: RepDepthwiseNorm(8),
    "a block": lambda: RepViTBlock(8, RepDepthwise, squeeze=True),
    "a block of the other form": lambda: RepViTBlock(8, RepDepthwiseNorm, squeeze=False),
    "a strided block": lambda: DownsamplingBlock(8, 16, 2),
}


@pytest.mark.parametrize("name", BLOCKS)
@torch.no_grad()
def test_fusion_leaves_no_norm_and_the_same_numbers(name: str) -> None:
    block = fill_(BLOCKS[name]().eval())
    simple = fused(block)
    assert nn.BatchNorm2d not in kinds(simple)
    assert not any(isinstance(child, Fusible) for child in simple.modules())
    torch.testing.assert_close(simple(MAPS), block(MAPS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mixer", [RepDepthwise, RepDepthwiseNorm])
def test_a_token_mixer_becomes_one_convolution_and_stays_as_it_is_itself(
    mixer: type[RepDepthwise | RepDepthwiseNorm],
) -> None:
    module = fill_(mixer(8).eval())
    before = {name: value.clone() for name, value in module.state_dict().items()}
    conv = module.fused()
    assert (conv.kernel_size, conv.groups, conv.bias is not None) == ((3, 3), 8, True)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_names_are_those_of_the_convolution_that_takes_the_place() -> None:
    assert list(fused(ConvBN(8, 16).eval()).state_dict()) == ["0.weight", "0.bias"]
    assert list(fused(ConvLayer(8, 16).eval()).state_dict()) == ["0.conv.weight", "0.conv.bias"]


def test_a_norm_that_only_stands_beside_a_convolution_is_left() -> None:
    class Crossed(nn.Module):
        """Registered as conv, norm; run as norm, conv."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.norm = nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.norm(x))

    crossed = Crossed().eval()
    fuse(crossed)
    assert isinstance(crossed.norm, nn.BatchNorm2d)


def test_a_second_time_changes_nothing() -> None:
    once = fused(fill_(RepViTBlock(8, RepDepthwise, squeeze=True).eval()))
    twice = fused(once)[0]
    assert list(twice.state_dict()) == list(once.state_dict())


def test_a_module_in_training_is_refused() -> None:
    with pytest.raises(AssertionError):
        fuse(nn.Sequential(ConvBN(8, 8).train()))


class NormAndActivation(nn.BatchNorm2d):
    """As in timm, where a batch norm may be an activation too."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name nn.BatchNorm2d gives it
        return super().forward(input).relu()


@torch.no_grad()
def test_a_norm_that_computes_more_is_left_alone() -> None:
    block = fill_(nn.Sequential(nn.Conv2d(8, 16, 3), NormAndActivation(16)).eval())
    assert torch.equal(fused(block)(MAPS), block(MAPS))
