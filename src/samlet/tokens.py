"""Prompts as a decoder takes them: one value on the seam, so that a new kind of prompt changes no signature.

Knows shapes; knows neither images nor frames. `Predictor` makes it from `Prompts`, `sam_api` from the official arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PromptTokens:
    """P prompts about one or several embedded images, ready for a decoder.

    `points_xy` float32 [P, T, 2] in prompt-canvas pixels and `labels` int64 [P, T] as `Prompts.tokens` orders them;
    `mask_hint` float32 [P, L, L], low-resolution logits of an earlier answer (L: `ImageSpec.low_res`), or None;
    `image_index` int64 [P], which of the N embedded images each prompt is about, or None for the only one.

    A later kind of prompt (text, the memory of a video) becomes one more field that is None unless given. A backend
    that cannot answer it raises BackendError.
    """

    points_xy: NDArray[np.float32]
    labels: NDArray[np.int64]
    mask_hint: NDArray[np.float32] | None = None
    image_index: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> NDArray[np.int64]:
        """`image_index` written out: int64 [P]."""
        return np.zeros(len(self), np.int64) if self.image_index is None else np.asarray(self.image_index, np.int64)
