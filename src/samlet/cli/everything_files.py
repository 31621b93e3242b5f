"""The files that `samlet everything` writes for one image; the record comes last and says that all are there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.cli.ownership import TABLE_COLUMNS, check_images, check_inputs_stay, check_replaceable, readable
from samlet.drawing import overlay_labels
from samlet.errors import OutputError
from samlet.files import check_folder, make_folder, output_error, write_set
from samlet.geometry.bands import LabelRows
from samlet.marks import PNG_MARK, Photo, marked_record, photo_of, read_record
from samlet.masks import Mask, MaskSet
from samlet.png import labels_png, mask_png, png_chunks

METADATA = "metadata.csv"


@dataclass(frozen=True)
class EverythingFiles:
    """Where the results of one image go."""

    image: Path
    record: Path
    masks: Path
    labels: Path
    overlay: Path
    overwrite: bool = False

    @classmethod
    def plan(cls, image: Path, folder: Path, overwrite: bool = False) -> EverythingFiles:
        """Name the files after the image; `overwrite` lets them replace files that are not samlet's."""
        names = (folder / f"{image.stem}{suffix}" for suffix in (".json", ".masks", ".labels.png", ".overlay.png"))
        return cls(image, *names, overwrite=overwrite)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are there or will be, but for masks yet unknown; the record last."""
        return (*self._numbered(), self.masks / METADATA, self.labels, self.overlay, self.record)

    def finished(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """The record of an earlier run, if it was of this photo and with these settings, and all other files are there.

        `ImageError` if the photo cannot be read.
        """
        record = self._record_made_with(settings)
        photo = photo_of(record or {})
        with readable(self.image):
            return record if photo is not None and photo.is_of(self.image, self.record.parent) else None

    def check(self) -> None:
        """`OutputError` if writing would replace anything of the user's."""
        if self.masks.is_symlink() or (self.masks.exists() and not self.masks.is_dir()):
            raise OutputError(f'"{self.masks}" is no folder: move it, or choose another --output.')
        check_replaceable(self.image, self.record, self.files, self.overwrite)

    def check_unless_finished(self, settings: dict[str, Any]) -> None:
        """`check`, but for a photo that looks finished: its content is not read, and what is corrected there may stay.

        `OutputError` also where the results are of another photo.
        """
        photo = photo_of(self._record_made_with(settings) or {})
        with readable(self.image):
            elsewhere = photo is None or photo.is_elsewhere(self.image, self.record.parent)
        if elsewhere:
            self.check()

    def marked(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record with samlet's mark; `ImageError` if the photo cannot be read."""
        with readable(self.image):
            return marked_record(record, Photo.of(self.image, self.record.parent))

    def write(
        self,
        picture: NDArray[np.uint8],
        shown: Sequence[Mask],
        masks: MaskSet,
        record: dict[str, Any],
        stale: Sequence[Path] = (),
    ) -> None:
        """Write all files, or none, and remove those that are `stale`. OutputError leaves the image as it was.

        `shown` are the masks in the pixels of `picture`, of which the overlay is made.
        """
        make_folder(self.masks)
        make_folder(self.record.parent)
        write_set(self._contents(picture, shown, masks, record), replaced=[*self._numbered(), *stale])

    def _contents(
        self, picture: NDArray[np.uint8], shown: Sequence[Mask], masks: MaskSet, record: dict[str, Any]
    ) -> Iterator[tuple[Path, bytes | Iterator[bytes]]]:
        """Paths and contents, made one after the other: together they may be large."""
        for number, mask in enumerate(masks):
            yield self.masks / f"{number}.png", mask_png(mask.rle, PNG_MARK)
        labels = LabelRows([mask.rle for mask in masks], masks.size_hw)
        yield self.masks / METADATA, _metadata(record).encode()
        yield self.labels, labels_png(labels, PNG_MARK)
        size_hw = (picture.shape[0], picture.shape[1])
        labels = labels if shown is masks else LabelRows([mask.rle for mask in shown], size_hw)
        yield self.overlay, png_chunks(overlay_labels(picture, labels), size_hw, PNG_MARK)
        yield self.record, json.dumps(record).encode() + b"\n"

    def _numbered(self) -> list[Path]:
        """The masks of an earlier run."""
        try:
            return [path for path in self.masks.glob("*.png") if path.stem.isdecimal()]
        except OSError as error:
            raise output_error(self.masks, error) from error

    def _record_made_with(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """The record that is there, if its settings are these and its files lie beside it."""
        record = read_record(self.record)
        annotations = record.get("annotations") if record else None
        if record is None or record.get("settings") != settings or not isinstance(annotations, list):
            return None
        masks = (self.masks / f"{number}.png" for number in range(len(annotations)))
        there = all(path.is_file() for path in (self.masks / METADATA, self.labels, self.overlay, *masks))
        return record if there else None


def plan_files(images: Sequence[Path], folder: Path, overwrite: bool = False) -> list[EverythingFiles]:
    """Name the files of every image; refuse, before anything is computed, what cannot end well.

    `ImageError` if an image is missing; `OutputError` if two images would write the same files, if one would overwrite
    another image of this call, or if nothing can be written to the folder.
    """
    check_images(images)
    check_folder(folder)
    plans: dict[Path, EverythingFiles] = {}
    for image in images:
        plan = EverythingFiles.plan(image, folder, overwrite)
        if plan.record in plans:
            raise OutputError(
                f'"{plans[plan.record].image}" and "{image}" would both write "{plan.record}": use two folders.'
            )
        plans[plan.record] = plan
    check_inputs_stay(images, ((plan.image, path) for plan in plans.values() for path in plan.files))
    return list(plans.values())


def _metadata(record: dict[str, Any]) -> str:
    """One row for each mask of an SA-1B record, as segment_anything's amg.py writes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TABLE_COLUMNS)
    for row in record["annotations"]:
        numbers = (*row["bbox"], *row["point_coords"][0], row["predicted_iou"], row["stability_score"])
        writer.writerow((row["id"], row["area"], *numbers, *row["crop_box"]))
    return text.getvalue()
