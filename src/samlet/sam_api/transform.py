"""The scaling of images and coordinates that segment_anything's clients do themselves."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samlet.geometry.frames import ImageFrame
from samlet.preprocess import resize

Tensor: TypeAlias = Any  # a torch.Tensor: this module must import without torch


class ResizeLongestSide:
    """Scales images and coordinates to the sizes the model works at.

    `target_length` is the side of the square of prompt coordinates, `canvas` that of the encoder's input. Both are 1024
    in SAM; EfficientViT-SAM's smaller models encode 512 pixels and still take coordinates in 1024. `fit` is that of the
    `ImageSpec`: "stretch" scales each side by itself.
    """

    def __init__(self, target_length: int, canvas: int | None = None, fit: str = "pad") -> None:
        self.target_length = target_length
        self.fit: Literal["pad", "stretch"] = "stretch" if fit == "stretch" else "pad"
        self.canvas = target_length if canvas is None else canvas

    def apply_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 RGB [H, W, 3] → the same picture, its longest side `canvas` pixels (Pillow, antialiased bilinear)."""
        return resize(image, self._frame((image.shape[0], image.shape[1])).content_hw)

    def apply_coords(self, coords: ArrayLike, original_size: tuple[int, int]) -> NDArray[np.float64]:
        """Points [..., 2] (x, y) from pixels of an image of `original_size` (H, W) to the prompt square."""
        return np.asarray(coords, np.float64) * self._scale_xy(original_size)

    def apply_boxes(self, boxes: ArrayLike, original_size: tuple[int, int]) -> NDArray[np.float64]:
        """Boxes XYXY [B, 4] from pixels of an image of `original_size` (H, W) to the prompt square."""
        return self.apply_coords(np.asarray(boxes).reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def apply_coords_torch(self, coords: Tensor, original_size: tuple[int, int]) -> Tensor:
        """`apply_coords` for a tensor: float32 on the same device."""
        coords = coords.float()
        return coords * coords.new_tensor(self._scale_xy(original_size))

    def apply_boxes_torch(self, boxes: Tensor, original_size: tuple[int, int]) -> Tensor:
        """`apply_boxes` for a tensor: float32 on the same device."""
        return self.apply_coords_torch(boxes.reshape(-1, 2, 2), original_size).reshape(-1, 4)

    def _scale_xy(self, original_size: tuple[int, int]) -> tuple[float, float]:
        height, width = original_size
        new_height, new_width = self._frame((height, width)).prompt_hw
        return new_width / width, new_height / height

    def _frame(self, size_hw: tuple[int, int]) -> ImageFrame:
        return ImageFrame(size_hw, self.canvas, self.target_length, fit=self.fit)
