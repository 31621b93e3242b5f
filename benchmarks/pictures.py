"""Ten held-out photos that a seed chose, with what the default says of them: the picture in its card.

    python benchmarks/pictures.py ../shared/data

Of the photos of `val` that may be shown again, ten, the sources by turns; of each, one mask. Rows: the mask people
drew, the answer to its box, the answer to a click at its middle (the point deepest inside), each of `model.segment`.
Prints a table for the card.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import samlet
from samlet.data import Sample, open_data
from samlet.drawing import overlay
from samlet.evaluation.protocols.clicks import mask_center
from samlet.masks import Mask
from samlet.prompts import Prompts

SEED, PHOTOS, SIDE_PX, GAP_PX = 11, 10, 220, 6
MODELS = Path(__file__).parents[1] / "docs" / "models"


def main() -> None:
    """Choose, ask, draw, print."""
    data = Path(sys.argv[1])
    with (data / "manifest.tsv").open(encoding="utf-8") as file:
        facts = {row["name"]: row for row in csv.DictReader(file, delimiter="\t")}
    free = [s for s in open_data([data / "val"]).samples if facts[s.name]["license_class"] == "open" and s.annotations]
    chance = random.Random(SEED)
    model = samlet.load()
    columns = []
    print("| photo | license | box | click |\n|---|---|---|---|")
    for sample in by_turns(free, chance):
        column, box, click = asked(model, sample, chance.randrange(len(sample.annotations)))
        columns.append(column)
        print(f"| {sample.name} | {facts[sample.name]['license']} | {100 * box:.0f} | {100 * click:.0f} |")
    Image.fromarray(np.hstack(columns)).save(MODELS / f"{model.spec.name}-ten.jpg", quality=85)


def by_turns(samples: Sequence[Sample], chance: random.Random) -> list[Sample]:
    """`PHOTOS` of the samples, one of each source in turn."""
    sources = sorted({sample.source for sample in samples})
    of = {s: sorted((x for x in samples if x.source == s), key=lambda sample: sample.name) for s in sources}
    for photos in of.values():
        chance.shuffle(photos)
    return [of[sources[number % len(sources)]].pop() for number in range(PHOTOS)]


def asked(model: samlet.Predictor, sample: Sample, number: int) -> tuple[NDArray[np.uint8], float, float]:
    """A column of the picture, and the IoU of the answers to box and click with the mask of that number."""
    image, truth = sample.read_image(), sample.annotations[number].to_array()
    left, top, width, height = sample.annotations[number].box_xywh
    box = Prompts.boxes([[left, top, left + width, top + height]])
    click = Prompts.points([[mask_center(truth)]])
    tiles, ious = [tile(overlay(image, [Mask(sample.annotations[number].rle)]))], []
    for prompts in (box, click):
        answer = model.segment(image, prompts)[0]
        mask = answer.to_array()
        ious.append((mask & truth).sum() / (mask | truth).sum())
        tiles.append(tile(overlay(image, [answer], prompts)))
    return np.vstack(tiles), *ious


def tile(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The image within a white square, with a gap right and below."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE_PX, SIDE_PX))
    square = Image.new("RGB", (SIDE_PX + GAP_PX, SIDE_PX + GAP_PX), "white")
    square.paste(picture, ((SIDE_PX - picture.width) // 2, (SIDE_PX - picture.height) // 2))
    return np.asarray(square)


if __name__ == "__main__":
    main()
