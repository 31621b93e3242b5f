"""`samlet label export`: the masks of a finished job as files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from samlet.cli.progress import progress_bars

ExportFormat = Literal["coco", "coco-polygons", "labelme", "yolo", "masks", "label-map", "geojson", "sa1b"]


def export(
    results: Annotated[str, Parameter(help="Folder or s3:// URL of a finished job.")],
    /,
    *,
    output: Annotated[Path, Parameter(help="A new folder.")],
    format_: Annotated[
        tuple[ExportFormat, ...],
        Parameter(
            name="--format",
            help="coco is one file for all images, with run-length codes or polygons; yolo has outlines; masks is a "
            "PNG for each mask, label-map one for each image; default: coco. Repeatable.",
        ),
    ] = ("coco",),
) -> None:
    """Write the masks of a finished job as files of other programs."""
    from samlet.labeling.bucket import open_place
    from samlet.labeling.exporting import export_results

    with progress_bars() as bars:
        task = bars.add_task("exporting", total=None)
        count = export_results(
            open_place(results), output, format_, lambda done, of: bars.update(task, completed=done, total=of)
        )
    print(f"Wrote the masks of {count:,} images to {output}.")
