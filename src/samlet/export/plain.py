"""What an artifact is compared with: the model in torch, its decoder in the order of operations of segment_anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from samlet.runtime.torch import TorchBackend, TorchMaskLogits, to_tensor
from samlet.tokens import PromptTokens


class PlainBackend(TorchBackend):
    """`TorchBackend` without the algebra of `samlet.nn.prompt_decoder`, which artifacts share with it."""

    @torch.inference_mode()
    def decode(self, features: Mapping[str, NDArray[Any]], tokens: PromptTokens) -> TorchMaskLogits:
        """P prompts → candidates [P, M]; see `samlet.backend.Backend`."""
        iou, mask_tokens, keys = self.module.decode_tokens(
            to_tensor(features["image_embeddings"], self.device),
            to_tensor(tokens.points_xy, self.device),
            to_tensor(tokens.labels, self.device),
            None if tokens.mask_hint is None else to_tensor(tokens.mask_hint, self.device),
            to_tensor(tokens.images, self.device),
        )

        side = self.spec.image.low_res

        def upscale(rows: Tensor, columns: Tensor) -> Tensor:
            masks = keys.new_empty(len(rows), side, side)
            for row in rows.unique().tolist():
                here = rows == row
                masks[here] = self.module.upscale(mask_tokens[row][None], keys[row][None])[0, columns[here]]
            return masks

        return TorchMaskLogits(iou, upscale, side)
