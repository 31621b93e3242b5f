"""What an artifact is compared with: the model in torch, its decoder in the order of operations of segment_anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samlet.prompts import HINT_SIZE
from samlet.runtime.torch import TorchBackend, TorchMaskLogits, to_tensor


class PlainBackend(TorchBackend):
    """`TorchBackend` without the algebra of `samlet.nn.prompt_decoder`, which artifacts share with it."""

    @torch.inference_mode()
    def decode(
        self,
        features: Mapping[str, NDArray[Any]],
        points_xy: NDArray[np.float32],
        labels: NDArray[np.int64],
        mask_hint: NDArray[np.float32] | None = None,
        image_index: NDArray[np.int64] | None = None,
    ) -> TorchMaskLogits:
        """Tokens of P prompts → candidates [P, 4]; see `samlet.backend.Backend`."""
        iou, mask_tokens, keys = self.module.decode_tokens(
            to_tensor(features["image_embeddings"], self.device),
            to_tensor(points_xy, self.device),
            to_tensor(labels, self.device),
            None if mask_hint is None else to_tensor(mask_hint, self.device),
            None if image_index is None else to_tensor(image_index, self.device),
        )

        def upscale(rows: Tensor, columns: Tensor) -> Tensor:
            masks = keys.new_empty(len(rows), HINT_SIZE, HINT_SIZE)
            for row in rows.unique().tolist():
                here = rows == row
                masks[here] = self.module.upscale(mask_tokens[row][None], keys[row][None])[0, columns[here]]
            return masks

        return TorchMaskLogits(iou, upscale)
