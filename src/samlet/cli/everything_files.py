"""The files that `samlet everything` writes for one image; the record comes last and says that all are there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.drawing import overlay_labels, png, png16
from samlet.errors import ImageError, OutputError
from samlet.files import make_folder, write_files
from samlet.geometry.overlaps import label_map
from samlet.masks import MaskSet

METADATA = "metadata.csv"
# The columns of segment_anything's own script.
METADATA_COLUMNS = (
    "id", "area", "bbox_x0", "bbox_y0", "bbox_w", "bbox_h", "point_input_x", "point_input_y", "predicted_iou",
    "stability_score", "crop_box_x0", "crop_box_y0", "crop_box_w", "crop_box_h",
)  # fmt: skip


@dataclass(frozen=True)
class EverythingFiles:
    """Where the results of one image go."""

    image: Path
    record: Path
    masks: Path
    labels: Path
    overlay: Path

    @classmethod
    def plan(cls, image: Path, folder: Path) -> EverythingFiles:
        """Name the files after the image."""
        names = (folder / f"{image.stem}{suffix}" for suffix in (".json", ".masks", ".labels.png", ".overlay.png"))
        return cls(image, *names)

    def finished(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """The record of an earlier run, if it was made with these settings and so with all other files."""
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        same = isinstance(record, dict) and record.get("settings") == settings
        return record if same else None

    def write(self, image: NDArray[np.uint8], masks: MaskSet, record: dict[str, Any]) -> None:
        """Write all files; the record last. OutputError leaves the image unfinished, to be done again."""
        make_folder(self.masks)
        self.record.unlink(missing_ok=True)
        for stale in self.masks.glob("*.png"):
            stale.unlink()
        for number, mask in enumerate(masks):
            write_files({self.masks / f"{number}.png": png(np.where(mask.to_array(), 255, 0))})
        labels = label_map([mask.rle for mask in masks], masks.size_hw)
        write_files(
            {
                self.masks / METADATA: _metadata(record).encode(),
                self.labels: png16(labels),
                self.overlay: png(overlay_labels(image, labels)),
            }
        )
        write_files({self.record: json.dumps(record).encode() + b"\n"})


def plan_files(images: Sequence[Path], folder: Path) -> list[EverythingFiles]:
    """Name the files of every image; refuse, before anything is computed, what cannot end well.

    `ImageError` if an image is missing; `OutputError` if two images would write the same files.
    """
    plans: dict[Path, EverythingFiles] = {}
    for image in images:
        if not image.is_file():
            raise ImageError(
                f"{image} is a folder: name image files." if image.is_dir() else f"{image} does not exist."
            )
        plan = EverythingFiles.plan(image, folder)
        if plan.record in plans:
            raise OutputError(
                f'"{plans[plan.record].image}" and "{image}" would both write "{plan.record}": use two folders.'
            )
        plans[plan.record] = plan
    return list(plans.values())


def _metadata(record: dict[str, Any]) -> str:
    """One row for each mask of an SA-1B record, as segment_anything's amg.py writes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(METADATA_COLUMNS)
    for row in record["annotations"]:
        numbers = (*row["bbox"], *row["point_coords"][0], row["predicted_iou"], row["stability_score"])
        writer.writerow((row["id"], row["area"], *numbers, *row["crop_box"]))
    return text.getvalue()
