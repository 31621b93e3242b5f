"""A segmenter with SAM's own decoder and an encoder of two convolutions, and its artifact: real graphs in seconds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.filler import fill_
from torch import nn

from samlet.export.onnx import export_onnx
from samlet.models import Sam
from samlet.models.efficientvit.blocks import ConvLayer
from samlet.models.registry import get_spec
from samlet.nn.layers import ToGrid
from samlet.spec import ImageSpec

CANVAS = 128


class TinyEncoder(nn.Module):
    """Two scales, one of them resized, batch norms: what `samlet.export.simplify` rewrites."""

    def __init__(self):
        super().__init__()
        self.fine = nn.Sequential(ConvLayer(3, 256, 3, 2, act=nn.Hardswish), ToGrid())
        self.coarse = nn.Sequential(ConvLayer(3, 256, 5, 4), ToGrid())

    def forward(self, pixels):
        return self.fine(pixels) + self.coarse(pixels)


@cache
def tiny_model() -> Sam:
    spec = replace(get_spec("efficientvit-sam-b0"), name="tiny", image=ImageSpec(canvas=CANVAS))
    return fill_(Sam(spec, TinyEncoder()).eval())


@cache
def tiny_artifact() -> Path:
    """Exported once for all tests; nobody writes into it."""
    parent = Path(tempfile.mkdtemp(prefix="samlet-tiny-"))
    atexit.register(shutil.rmtree, parent, ignore_errors=True)
    export_onnx(tiny_model(), parent / "tiny")
    return parent / "tiny"
