"""The torch backend: a `samlet.models.Sam` where it lies, on CPU, CUDA or MPS.

Candidates stay on the device until somebody asks for arrays, so a caller that filters by predicted IoU, stability and
box moves only what it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from samlet.errors import BackendError
from samlet.geometry.frames import ImageFrame
from samlet.models import Sam
from samlet.prompts import HINT_SIZE
from samlet.spec import ModelSpec

ROWS_PER_UPSCALE = 16  # a prompt takes about 20 MB while its masks are upscaled


def to_tensor(array: NDArray[Any], device: str | torch.device) -> Tensor:
    """A copy of an array, of the same type, on `device`. Arrays of an embedding are read-only, tensors are not."""
    return torch.from_numpy(np.array(array, order="C")).to(device)


class TorchBackend:
    """Backend over a torch model, which is moved to `device` ("cpu", "cuda", "mps", …) and put in eval mode.

    Safe to use from many threads as long as nobody trains the model. BackendError if the device is not there.
    """

    name = "torch"

    def __init__(self, module: Sam, spec: ModelSpec, device: str | torch.device = "cpu") -> None:
        self.spec: ModelSpec = spec
        self.device = _usable(device)
        self.module = module.to(self.device).eval()

    @torch.inference_mode()
    def encode(self, pixels: NDArray[np.float32]) -> Mapping[str, NDArray[Any]]:
        """Normalised pixels float32 [N, 3, S, S] → "image_embeddings" float32 [N, 256, 64, 64] and what else it has."""
        features = self.module.features(to_tensor(pixels, self.device))
        return {name: _to_array(tensor) for name, tensor in features.items()}

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
        return TorchMaskLogits(iou, lambda rows, columns: self._upscale(mask_tokens, keys, rows, columns))

    def _upscale(self, mask_tokens: Tensor, keys: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Logits [K, 256, 256]. The four masks of a prompt share nearly all the work, so each prompt runs once."""
        wanted, place = rows.unique(return_inverse=True)
        masks = keys.new_empty(len(rows), HINT_SIZE, HINT_SIZE)
        for start in range(0, len(wanted), ROWS_PER_UPSCALE):
            part = wanted[start : start + ROWS_PER_UPSCALE]
            logits = self.module.upscale(mask_tokens[part], keys[part])
            here = ((place >= start) & (place < start + len(part))).nonzero()[:, 0]
            masks[here] = logits[place[here] - start, columns[here]]
        return masks


class TorchMaskLogits:
    """MaskLogits in torch: `iou` [P, M] and what upscales the masks at K pairs of indices to [K, 256, 256]."""

    def __init__(self, iou: Tensor, upscale: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.iou: NDArray[np.float32] = _to_array(iou)
        self._iou = iou
        self._upscale = upscale
        self._logits: Tensor | None = None

    @torch.inference_mode()
    def keep(self, rows: ArrayLike, columns: ArrayLike) -> TorchMaskLogits:
        """The K masks at (rows[k], columns[k]), shape [K, 1]; what has been upscaled already is not upscaled again."""
        row, column = (to_tensor(np.asarray(index, np.int64), self._iou.device) for index in (rows, columns))
        kept = TorchMaskLogits(self._iou[row, column][:, None], lambda r, _: self._upscale(row[r], column[r]))
        if self._logits is not None:
            kept._logits = self._logits[row, column][:, None]
        return kept

    def low_res(self) -> NDArray[np.float32]:
        """Logits over the whole prompt canvas: float32 [P, M, 256, 256]."""
        return _to_array(self._low_res())

    @torch.inference_mode()
    def stability(self, offset: float = 1.0) -> NDArray[np.float32]:
        """IoU between the masks cut at +offset and -offset, 0 for an empty mask: float32 [P, M]."""
        logits = self._low_res()
        strict, loose = ((logits > cut).sum((-2, -1)) for cut in (offset, -offset))
        return _to_array(strict / loose.clamp(min=1))

    @torch.inference_mode()
    def boxes_xyxy(self) -> NDArray[np.float32]:
        """Inclusive corners of each mask on the 256 grid; zeros for an empty mask: float32 [P, M, 4]."""
        masks = self._low_res() > 0
        left, right = _first_and_last(masks.any(-2))
        top, bottom = _first_and_last(masks.any(-1))
        boxes = torch.stack([left, top, right, bottom], dim=-1) * masks.any(-1).any(-1)[..., None]
        return _to_array(boxes.float())

    @torch.inference_mode()
    def to_image(self, frame: ImageFrame) -> NDArray[np.float32]:
        """Logits in image pixels: float32 [P, M, H, W]."""
        height, width = frame.prompt_hw
        canvas = (frame.prompt_canvas, frame.prompt_canvas)
        logits = F.interpolate(self._low_res(), canvas, mode="bilinear", align_corners=False)
        logits = F.interpolate(logits[..., :height, :width], frame.size_hw, mode="bilinear", align_corners=False)
        return _to_array(logits)

    @torch.inference_mode()
    def _low_res(self) -> Tensor:
        if self._logits is None:
            rows, columns = torch.ones_like(self._iou).nonzero(as_tuple=True)
            self._logits = self._upscale(rows, columns).reshape(*self._iou.shape, HINT_SIZE, HINT_SIZE)
        return self._logits


def _usable(device: str | torch.device) -> torch.device:
    """The device, once something has been put on it: only then does torch say that it is not there."""
    try:
        return torch.zeros(1, device=device).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise BackendError(f'torch cannot use the device "{device}" ({reason}): try "cpu".') from error


def _to_array(tensor: Tensor) -> NDArray[Any]:
    return tensor.cpu().numpy()


def _first_and_last(line: Tensor) -> tuple[Tensor, Tensor]:
    """Index of the first and the last True of [..., L]; (0, L - 1) where there is none."""
    line = line.int()
    return line.argmax(-1), line.shape[-1] - 1 - line.flip(-1).argmax(-1)
