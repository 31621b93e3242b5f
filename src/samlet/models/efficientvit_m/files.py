"""What files of EfficientViT-M and CascadedViT hold otherwise than the network, and timm's names for it.

- Official files may store 1x1 convolutions as matrices.
- `attention_bias_idxs` follow from the resolution, and timm stores none.
- Bias tables of another resolution are resized, bicubic.
- `head_dist` of a model trained by distillation is dropped where the network has no such head.
- timm has the same layers in the same order under other names.

Source: microsoft/Cream `EfficientViT`; timm `efficientvit_msra`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

import torch.nn.functional as F
from torch import Tensor, nn

Value = TypeVar("Value")

BIASES, INDEXES = "attention_biases", "attention_bias_idxs"
DISTILLED = "head_dist."
TIMM_MARK = "patch_embed.conv1."

_PARTS = ("res1", "patchmerge", "res2")  # of timm's downsampling, where official files number them


def adapted(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A file's tensors as the network has them; what does not fit is left for strict loading to name."""
    own = network.state_dict()
    state = from_timm_names(state)
    indexes = {name: own[name] for name in own if name.endswith(INDEXES)}
    kept = {name: value for name, value in state.items() if name in own or not name.startswith(DISTILLED)}
    found = {name: _fitting(name, value, own.get(name)) for name, value in kept.items()}
    return {name: value for name, value in found.items() if name not in indexes} | indexes


def from_timm_names(state: Mapping[str, Value]) -> dict[str, Value]:
    """The same values under the official names; a state that is not timm's comes back as it is."""
    if not any(name.startswith(TIMM_MARK) for name in state):
        return dict(state)
    return {_official(name): value for name, value in state.items()}


def to_timm_names(state: Mapping[str, Value]) -> dict[str, Value]:
    """The same values under timm's names, without the index tables, which timm does not store."""
    return {_timm(name): value for name, value in state.items() if not name.endswith(INDEXES)}


def _fitting(name: str, value: Tensor, own: Tensor | None) -> Tensor:
    """A tensor in the network's shape, where a known difference of files is all that keeps it from it."""
    if own is None or value.shape == own.shape:
        return value
    if own.ndim == 4 and value.ndim == 2 and own.shape == (*value.shape, 1, 1):
        return value[:, :, None, None]
    if name.endswith(BIASES) and value.ndim == 2 and len(value) == len(own):
        side, to = (round(table.shape[1] ** 0.5) for table in (value, own))
        if side * side == value.shape[1]:
            table = value.float().reshape(1, -1, side, side)
            return F.interpolate(table, (to, to), mode="bicubic", align_corners=False).reshape(-1, to * to)
    return value


def _timm(name: str) -> str:
    name = re.sub(r"^patch_embed\.(\d)\.", lambda m: f"patch_embed.conv{int(m[1]) // 2 + 1}.", name)
    name = re.sub(r"^blocks1\.(\d+)\.", r"stages.0.blocks.\1.", name)
    name = re.sub(
        r"^blocks([23])\.([012])\.", lambda m: f"stages.{int(m[1]) - 1}.downsample.{_PARTS[int(m[2])]}.", name
    )
    name = re.sub(r"^blocks([23])\.(\d+)\.", lambda m: f"stages.{int(m[1]) - 1}.blocks.{int(m[2]) - 3}.", name)
    name = re.sub(r"^(head(?:_dist)?)\.l\.", r"\1.linear.", name)
    return re.sub(r"\.c\.", ".conv.", name)


def _official(name: str) -> str:
    name = re.sub(r"^patch_embed\.conv(\d)\.", lambda m: f"patch_embed.{2 * int(m[1]) - 2}.", name)
    name = re.sub(r"^stages\.0\.blocks\.", "blocks1.", name)
    name = re.sub(
        r"^stages\.([12])\.downsample\.(\w+)\.", lambda m: f"blocks{int(m[1]) + 1}.{_PARTS.index(m[2])}.", name
    )
    name = re.sub(r"^stages\.([12])\.blocks\.(\d+)\.", lambda m: f"blocks{int(m[1]) + 1}.{int(m[2]) + 3}.", name)
    name = re.sub(r"^(head(?:_dist)?)\.linear\.", r"\1.l.", name)
    return re.sub(r"\.conv\.", ".c.", name)
