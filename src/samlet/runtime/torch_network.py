"""The torch backend of classifiers and segmenters: a `LogitsNetwork` where it lies, on CPU, CUDA or MPS."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from samlet.models.half import half_network
from samlet.nn.network import LogitsNetwork
from samlet.runtime.torch import CHANNELS_LAST_ON, PRECISIONS, known_precision, to_tensor, usable_device
from samlet.spec import ModelSpec


class TorchNetwork:
    """LogitsBackend over a torch network, which is moved to `device` and put in eval mode.

    `precision`: "float32", "bfloat16" or "float16" of its convolutions; logits that overflow are computed again in
    float32. BackendError for another one, or if the device is not there.
    """

    name = "torch"

    def __init__(
        self, module: LogitsNetwork, spec: ModelSpec, device: str | torch.device = "cpu", precision: str = "float32"
    ) -> None:
        self.spec: ModelSpec = spec
        self.device = usable_device(device)
        self.precision = known_precision(precision)
        self.module = module.to(self.device).eval()
        dtype = PRECISIONS[precision]
        self._module = self.module if dtype == torch.float32 else half_network(self.module, dtype)

    @torch.inference_mode()
    def logits(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Normalized pixels float32 [N, 3, H, W] → logits float32; see `samlet.backend.LogitsBackend`."""
        tensor = to_tensor(pixels, self.device)
        if self.device.type in CHANNELS_LAST_ON:
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        logits = self._module(tensor).float()
        if self._module is not self.module and not torch.isfinite(logits).all():
            logits = self.module(tensor)
        return logits.cpu().numpy()
