"""The files that `samlet segment` writes for one image: their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samlet.errors import ImageError, OutputError


@dataclass(frozen=True)
class Outputs:
    """Where the results of one image go; `masks` has one path per mask."""

    masks: tuple[Path, ...]
    overlay: Path
    record: Path

    @classmethod
    def plan(cls, image: Path, folder: Path, mask_count: int) -> Outputs:
        """Name the files after the image: `<stem>.mask.png` (or `.mask.1.png`, …), `.overlay.png`, `.json`."""
        numbers = [""] if mask_count == 1 else [f".{number}" for number in range(1, mask_count + 1)]
        return cls(
            masks=tuple(folder / f"{image.stem}.mask{number}.png" for number in numbers),
            overlay=folder / f"{image.stem}.overlay.png",
            record=folder / f"{image.stem}.json",
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """All files, the masks first."""
        return (*self.masks, self.overlay, self.record)


def plan_outputs(images: Sequence[Path], folder: Path, mask_count: int) -> list[Outputs]:
    """Name the files of every image; refuse, before anything is computed, what cannot end well.

    `ImageError` if an image is missing; `OutputError` if two images would write the same file, or one would overwrite
    another image of this call.
    """
    for image in images:
        if not image.is_file():
            raise ImageError(
                f"{image} is a folder: name image files." if image.is_dir() else f"{image} does not exist."
            )
    plans = [Outputs.plan(image, folder, mask_count) for image in images]
    owner: dict[Path, Path] = {}
    inputs = {image.resolve() for image in images}
    for image, plan in zip(images, plans, strict=True):
        for path in plan.paths:
            if path.resolve() in inputs:
                raise OutputError(
                    f'The results of "{image}" would overwrite the image "{path}": choose another --output.'
                )
            first = owner.setdefault(path.resolve(), image)
            if first is not image:
                raise OutputError(f'"{first}" and "{image}" would both write "{path}": segment them into two folders.')
    return plans
