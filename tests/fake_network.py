"""A classifier's or segmenter's backend without a network: its classes are levels of brightness."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from samlet.classes import ClassList
from samlet.spec import ImageSpec, ModelSpec

STRIDE = 8


def fake_spec(task, names, canvas=64):
    fit = "crop" if task == "classification" else "short_side"
    image = ImageSpec(canvas, mean=(0, 0, 0), std=(255, 255, 255), resampling="bicubic", fit=fit, crop_ratio=0.875)
    return ModelSpec(
        name=f"fake-{task}",
        family="fake",
        image=image,
        builder="tests.fake_network:none",
        options={"classes": len(names)},
        parameters=0,
        encoder_macs=0,
        license="MIT",
        task=task,
        classes=ClassList("levels", tuple(names)),
    )


@dataclass
class FakeNetwork:
    """`batches` lists how many images each run had, `sizes_hw` their size."""

    task: str
    names: tuple[str, ...]
    canvas: int = 64
    name: str = "fake"
    batches: list[int] = field(default_factory=list)
    sizes_hw: list[tuple[int, int]] = field(default_factory=list)

    @property
    def spec(self):
        return fake_spec(self.task, self.names, self.canvas)

    def logits(self, pixels):
        self.batches.append(len(pixels))
        self.sizes_hw.append(pixels.shape[-2:])
        levels = np.linspace(0, 1, len(self.names), dtype=np.float32)
        if self.task == "classification":
            return -10 * np.abs(pixels.mean((1, 2, 3))[:, None] - levels)
        n, _, height, width = pixels.shape
        cells = pixels.mean(1).reshape(n, height // STRIDE, STRIDE, width // STRIDE, STRIDE).mean((2, 4))
        return -10 * np.abs(cells[:, None] - levels[:, None, None])
