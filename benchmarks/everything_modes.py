"""What everything mode finds, asked everywhere or fast, and with its outlines at the photo's edges.

    python benchmarks/everything_modes.py ../shared/data/val
    python benchmarks/everything_modes.py ../shared/data/val --sources dsb2018:4,coco:4 --clicks 16

Photos as in everything_thresholds.py, masks at the size of the photo. Recall and boundary IoU are those of each
annotated mask's nearest mask; precision is the share of the masks that overlap an annotated one by half, which says
something where people drew everything. Means of sources; seconds of CPU time of a photo, and the clicks of it that
were asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import process_time
from typing import Any

import cyclopts
import numpy as np
from everything_thresholds import SOURCES, photos_of

from samlet.cli.tables import print_table
from samlet.data import Sample, open_folders
from samlet.evaluation.metrics.recall import measure_recall
from samlet.everything import MaskGenerator
from samlet.geometry.rle import iou_matrix
from samlet.loading import load
from samlet.predictor import Predictor

MODES: dict[str, dict[str, Any]] = {
    "everywhere": {},
    "fast": {"fast": True},
    "fast, edges (samlet everything)": {"fast": True, "clean": True, "edges": True},
}
COLUMNS = ("mode", "AR@1000", "boundary IoU", "precision at 0.5", "masks", "clicks", "CPU seconds")


class Counted(Predictor):
    """A predictor that knows how many prompts it has answered."""

    asked = 0

    def decode(self, *given: Any, **options: Any) -> Any:
        """As a predictor; counts the prompts."""
        self.asked += len(given[1])
        return super().decode(*given, **options)


def main(data: Path, *, model: str | None = None, sources: str = SOURCES, clicks: int = 32) -> None:
    """Print the table; `sources` are NAME:PHOTOS, names being the first word of a file's name."""
    predictor = Counted(load(model, backend="onnx", threads=1).backend)
    photos = photos_of(open_folders([data]), sources)
    rows = []
    for mode, settings in MODES.items():
        generator = MaskGenerator(predictor, clicks, **settings)
        by_source = [np.mean([_measured(generator, one) for one in of_source], axis=0) for of_source in photos.values()]
        rows.append((mode, *_cells(np.mean(by_source, axis=0))))
    print_table((("mode", "left"), *((name, "right") for name in COLUMNS[1:])), rows)
    print(", ".join(f"{source}: {len(of_source)} photos" for source, of_source in photos.items()))


def _measured(generator: MaskGenerator, sample: Sample) -> tuple[float, ...]:
    """The numbers of one photo, in the order of COLUMNS."""
    image = sample.read_image()
    before, started = generator.predictor.asked, process_time()  # type: ignore[attr-defined]
    masks = sorted(generator.generate(image), key=lambda mask: -(mask.iou or 0.0))
    seconds, asked = process_time() - started, generator.predictor.asked - before  # type: ignore[attr-defined]
    truths = [annotation for annotation in sample.annotations if not annotation.crowd]
    found = measure_recall(masks, truths)
    ious = iou_matrix([mask.rle for mask in masks], [truth.rle for truth in truths])
    return (
        float(np.mean([one.recall[-1] for one in found])),
        float(np.mean([one.boundary_iou or 0.0 for one in found])),
        float((ious.max(axis=1) >= 0.5).mean()) if masks else 0.0,
        len(masks),
        asked,
        seconds,
    )


def _cells(numbers: np.ndarray) -> Iterator[str]:
    recall, boundary, precision, masks, clicks, seconds = numbers
    yield from (f"{recall:.3f}", f"{100 * boundary:.1f}", f"{precision:.3f}", f"{masks:.0f}", f"{clicks:.0f}")
    yield f"{seconds:.1f}"


if __name__ == "__main__":
    cyclopts.run(main)
