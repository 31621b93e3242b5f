"""A segmenter with SAM's own decoder and an encoder of two convolutions, and its artifact: real graphs in seconds."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from tests.filler import fill_
from torch import nn

from samlet.export import onnx
from samlet.export.graphs import GraphPlan, plan_graphs, write_graph
from samlet.export.onnx import export_onnx
from samlet.export.opset import OPSET
from samlet.models import Sam
from samlet.models.efficientvit.blocks import ConvLayer
from samlet.models.registry import get_spec
from samlet.nn.layers import ToGrid
from samlet.runtime.artifact import ENCODER
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


@cache
def _decoders() -> Path:
    """The tiny model's graphs but for the encoder, translated once."""
    folder = Path(tempfile.mkdtemp(prefix="samlet-decoders-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name, plan in plan_graphs(tiny_model()).items():
        if name != ENCODER:
            write_graph(plan, folder / name)
    return folder


def with_decoders_at_hand(patch: pytest.MonkeyPatch) -> None:
    """From here on an export translates the encoder alone; its other graphs are the tiny model's, half a minute's work.

    For models with the decoder of `fill_` in SAM's own sizes, which the tiny model has too. The export compares what
    they answer with what the model answers, so others are refused.
    """

    def write(plan: GraphPlan, path: Path, opset: int = OPSET) -> None:
        if path.name == ENCODER:
            write_graph(plan, path, opset)
        else:
            shutil.copy(_decoders() / path.name, path)

    patch.setattr(onnx, "write_graph", write)
