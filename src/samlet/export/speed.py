"""How long an encoder takes as it was exported, beside the model in torch that it was made from."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from statistics import median

from samlet.benchmarking.timing import take_turns
from samlet.export.official import OfficialBackend
from samlet.export.onnx import Layout
from samlet.export.parity import PHOTOS
from samlet.images import read_image
from samlet.models import Sam
from samlet.nn.fusion import fuse
from samlet.nn.network import LogitsNetwork
from samlet.preprocess import fitted, normalized, to_pixels
from samlet.runtime.onnx import OnnxBackend
from samlet.runtime.torch import TorchBackend
from samlet.runtime.torch_network import TorchNetwork

ROUNDS = 5


def network_milliseconds(model: LogitsNetwork, folder: Path) -> tuple[float, float]:
    """The same for a classifier or segmenter, on a photo as it sees it."""
    spec = model.spec
    pixels = normalized(fitted(read_image(PHOTOS[0]), spec.image), spec.image)[None]
    exported = OnnxBackend.from_folder(folder, device="cpu")
    fused = deepcopy(model)
    fuse(fused)
    source = TorchNetwork(fused, spec)
    seconds = take_turns({"onnx": lambda: exported.logits(pixels), "torch": lambda: source.logits(pixels)}, ROUNDS)
    return 1e3 * median(seconds["onnx"]), 1e3 * median(seconds["torch"])


def encode_milliseconds(model: Sam, folder: Path, layout: Layout) -> tuple[float, float]:
    """Median milliseconds of an encode in ONNX Runtime and in torch, both as `samlet.load` would run them on the CPU.

    By turns, on one photo.
    """
    spec = model.spec
    pixels = to_pixels(read_image(PHOTOS[0]), spec.image)[0][None]
    exported = OfficialBackend(folder, spec) if layout == "official" else OnnxBackend.from_folder(folder, device="cpu")
    fused = deepcopy(model)
    fuse(fused)
    source = TorchBackend(fused, spec)
    seconds = take_turns({"onnx": lambda: exported.encode(pixels), "torch": lambda: source.encode(pixels)}, ROUNDS)
    return 1e3 * median(seconds["onnx"]), 1e3 * median(seconds["torch"])
