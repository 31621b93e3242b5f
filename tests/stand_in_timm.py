"""What samlet asks of timm, with models of one convolution a map. The real timm does not import beside every torch."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor, nn

STRIDES = {"pyramid": (2, 4, 8, 16, 32), "pyramid_fine": (2, 4), "one_size": (8, 16), "channels_last": (8, 16)}


class FeatureInfo:
    """timm's own description of the maps."""

    def __init__(self, strides: tuple[int, ...]) -> None:
        self._strides = strides

    def reduction(self) -> list[int]:
        return list(self._strides)

    def channels(self) -> list[int]:
        return [stride + 1 for stride in self._strides]


class Features(nn.Module):
    """Pixels -> maps [N, stride + 1, S / stride, S / stride]; two of the models are as difficult as timm's."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.feature_info = FeatureInfo(STRIDES[name])
        self.convs = nn.ModuleList([nn.Conv2d(3, stride + 1, 3, stride, 1) for stride in STRIDES[name]])
        self.norms = nn.ModuleList([nn.BatchNorm2d(stride + 1) for stride in STRIDES[name]])

    def forward(self, pixels: Tensor) -> list[Tensor]:
        assert self.name != "one_size" or pixels.shape[-1] == 224, "Input height doesn't match model (224)."
        maps = [torch.relu(norm(conv(pixels))) for conv, norm in zip(self.convs, self.norms, strict=True)]
        return [features.permute(0, 2, 3, 1) for features in maps] if self.name == "channels_last" else maps


def stand_in_timm() -> ModuleType:
    """A module to put in sys.modules under the name timm."""

    def create_model(name: str, *, features_only: bool, pretrained: bool) -> nn.Module:
        assert features_only
        assert not pretrained, "nothing may be downloaded"
        return Features(name)

    timm = ModuleType("timm")
    timm.is_model = STRIDES.__contains__
    timm.list_models = lambda: list(STRIDES)
    timm.create_model = create_model
    return timm
