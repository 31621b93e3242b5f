"""Jobs of tiny pictures that are made when they are read, answered by discs; everything can be pickled.

What an image's name says happens: "broken" is no image, "no-memory" is one that the model has no memory for, "deadly"
kills the process that looks at it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from tests.cli.disc import DiscBackend

from samlet.labeling.asking import Ask, Prompted
from samlet.labeling.driver import Order
from samlet.labeling.items import Item, ObjectPrompt
from samlet.labeling.job import ModelFacts
from samlet.labeling.places import Folder
from samlet.png import picture_png
from samlet.predictor import Predictor

NO_MEMORY, DEADLY = 1, 2  # the blue of such an image
BOX = ObjectPrompt(box_xyxy=(4, 4, 20, 20), label="thing")


@dataclass(frozen=True)
class Pictures:
    """Pictures of 24 x 24 pixels with these names."""

    names: tuple[str, ...]
    name: str = "pictures"
    version: str = "1"
    prompts: tuple[ObjectPrompt, ...] | None = (BOX,)

    def items(self) -> Iterator[Item]:
        for name in self.names:
            yield Item(name, f"{self.name}/{name}", len(_png(name)), self.version, self.prompts)

    def state(self) -> str | None:
        return None

    def read(self, item: Item) -> bytes:
        return _png(item.image_id)


@cache
def _png(name: str) -> bytes:
    if "broken" in name:
        return b"no image"
    pixels = np.full((24, 24, 3), sum(name.encode()) % 200 + 50, np.uint8)
    pixels[..., 2] = NO_MEMORY if "no-memory" in name else DEADLY if "deadly" in name else 255
    return b"".join(picture_png(pixels))


class Backend(DiscBackend):
    """Discs, and what the blue of an image says; `delay_s` is how long the encoder takes."""

    def __init__(self, delay_s: float = 0.0) -> None:
        self.delay_s = delay_s

    def encode(self, pixels):
        time.sleep(self.delay_s * len(pixels))
        # undone: what `ImageSpec.mean` and `.std` do
        blue = pixels[:, 2, 0, 0] * self.spec.image.std[2] + self.spec.image.mean[2]
        if np.abs(blue - DEADLY).min() < 0.5:
            os.kill(os.getpid(), signal.SIGKILL)
        if np.abs(blue - NO_MEMORY).min() < 0.5:
            raise MemoryError
        return super().encode(pixels)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"{number:05}" for number in range(count))


def order(
    folder: Path,
    images: tuple[str, ...] | int = 10,
    ask: Ask | None = None,
    delay_s: float = 0.0,
    per_shard: int = 4,
    batch_size: int = 1,
) -> Order:
    """An order of these images, to be done into `folder`."""
    predictor = Predictor(Backend(delay_s), "weights")
    source = Pictures(names(images) if isinstance(images, int) else images)
    facts = ModelFacts(predictor.spec.name, "weights", predictor.backend.name)
    ask = Prompted(refine="none") if ask is None else ask
    wanted = Order((source,), ask, predictor, facts, Folder(folder), images_per_shard=per_shard)
    return replace(wanted, batch_size=batch_size)


def results(folder: Path) -> dict[str, bytes]:
    """All that a job leaves, but its status, which tells of times."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "status.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
