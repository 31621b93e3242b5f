"""A raster in, the polygons and the label raster of its masks out; killed and started again, the same bytes.

Two steps. Windows are segmented one after the other, and what each shows is kept; then all that is kept is joined and
written. The second step takes seconds where the first takes hours, and is done anew after a kill.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.ahead import one_ahead
from samlet.errors import InputError, OutputError
from samlet.everything import MaskGenerator
from samlet.files import forget, make_folder, write_files
from samlet.geometry.runs import Runs
from samlet.geometry.seams import Grid, Joiner
from samlet.labeling.job import JOB_FILE, ModelFacts
from samlet.labeling.lease import LEASE_FILE, Lease, leased
from samlet.labeling.places import Folder, Place
from samlet.labeling.rasters import kept
from samlet.labeling.rasters.kept import Found, KeptAnswers, KeptWindows
from samlet.labeling.rasters.label_map import write_label_raster
from samlet.labeling.rasters.polygons import TOLERANCE_PX, Outlines
from samlet.labeling.rasters.scene import Georeference, RasterScene
from samlet.labeling.rasters.spool import MaskSpool
from samlet.labeling.rasters.vectors import MaskRow, VectorFormat, VectorWriter, crs_name, vector_file
from samlet.marks import read_record
from samlet.masks import MaskSet
from samlet.masks.mask_set import OBJECT
from samlet.predictor import Predictor
from samlet.prompts import PointLabel, Prompts
from samlet.stopping import stopped_at_once
from samlet.tiling import answers_in_windows, pieces_of

FINISHED_FILE = "finished.json"
_FORMAT = 1
_KIND = "raster"
_CORNERS = (PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT)
Progress = Callable[[int, int], None]
"""Called with the number of windows (or prompts) that are done, and of all."""


@dataclass(frozen=True)
class RasterOrder:
    """What is wanted of a raster, and where it goes.

    `prompts` (pixels; with `in_map_coordinates` those of the raster's CRS) are answered, without them everything is
    found; `settings` are parameters of `MaskGenerator`, or of `Predictor.segment` if there are prompts. `bands` and
    `percentiles` as in `RasterScene`; polygons are simplified by up to `tolerance_px`.
    """

    scene: Path
    folder: Path
    predictor: Predictor
    model: ModelFacts
    prompts: Prompts | None = None
    in_map_coordinates: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    window_px: int = 1024
    overlap_px: int = 128
    bands: tuple[int, ...] = ()
    percentiles: tuple[float, float] | None = None
    vectors: tuple[VectorFormat, ...] = ("gpkg",)
    tolerance_px: float = TOLERANCE_PX
    memory_budget: int = 512 << 20

    @property
    def files(self) -> dict[str, Path]:
        """What is written, by kind."""
        vectors = {form: self.folder / f"{self.scene.stem}.{form}" for form in self.vectors}
        return {**vectors, "labels": self.folder / f"{self.scene.stem}.labels.tif"}

    def to_json(self, size_hw: tuple[int, int]) -> dict[str, Any]:
        """All that the results of a scene of that size depend on, in JSON values."""
        status = self.scene.stat()
        asked = None
        if self.prompts is not None:
            asked = {"points_xy": self.prompts.points_xy.tolist(), "labels": self.prompts.labels.tolist()}
        record = {
            "kind": _KIND,
            "format": _FORMAT,
            "scene": self.scene.name,
            "size_bytes": status.st_size,
            "modified_ns": status.st_mtime_ns,
            "size_hw": size_hw,
            "window_px": self.window_px,
            "overlap_px": self.overlap_px,
            "bands": list(self.bands),
            "percentiles": self.percentiles and list(self.percentiles),
            "vectors": sorted(self.vectors),
            "tolerance_px": self.tolerance_px,
            "prompts": asked,
            "in_map_coordinates": self.in_map_coordinates,
            "settings": dict(self.settings),
            "model": asdict(self.model),
        }
        return json.loads(json.dumps(record))


@dataclass(frozen=True)
class RasterResult:
    """How many masks there are, and the files that hold them, by kind: "gpkg", "geojson", "labels"."""

    masks: int
    files: Mapping[str, Path]


def label_raster(order: RasterOrder, progress: Progress | None = None) -> RasterResult:
    """Do what is left of an order; what is finished is not done again.

    OutputError if the folder holds anything else, is in other hands, full or read-only; ImageError, InputError and
    PromptError as `RasterScene`, `Grid` and `Prompts`; StoppedError after SIGTERM or Ctrl-C. Windows done are kept.
    """
    with RasterScene(order.scene, order.bands, order.percentiles) as scene:
        asked = _in_pixels(order, scene)
        grid = Grid(scene.size_hw, order.window_px, order.overlap_px)
        if "geojson" in order.vectors:
            crs_name(scene.georeference.crs_wkt)  # refused now rather than after hours
        with leased(Folder(order.folder)) as lease:
            finished = _start(order, scene.size_hw)
            if finished is not None:
                return RasterResult(finished, order.files)
            with stopped_at_once(f"the windows done are kept in {order.folder}: the same command goes on"):
                if asked is None:
                    windows = KeptWindows(order.folder / kept.FOLDER, grid)
                    _segment_windows(order, scene, windows, lease, progress)
                    masks = _joined(windows)
                else:
                    masks = _answers(order, scene, asked, lease, progress)
                count = _write(order, scene.georeference, scene.size_hw, masks)
            _finish(order, count)
    return RasterResult(count, order.files)


def _in_pixels(order: RasterOrder, scene: RasterScene) -> Prompts | None:
    """The prompts in pixels of the raster; PromptError if they do not lie in it."""
    prompts = order.prompts
    if prompts is None:
        return None
    if order.in_map_coordinates:
        if not scene.georeference.is_known:
            raise InputError(
                f"{order.scene} has no CRS or no position, so map coordinates say nothing of it: give pixels, or tell "
                "it where it lies with gdal_edit."
            )
        prompts = Prompts(_placed(prompts, scene.georeference), prompts.labels)
    prompts.check(scene.size_hw)
    return prompts


def _placed(prompts: Prompts, georeference: Georeference) -> NDArray[np.float64]:
    """The points [P, K, 2] of prompts on the map in pixels; of a box those of the smallest one around it."""
    points_xy = georeference.to_pixels(prompts.points_xy)
    for row, given, labels in zip(points_xy, prompts.points_xy, prompts.labels, strict=True):
        first, second = (np.flatnonzero(labels == corner) for corner in _CORNERS)
        for one, other in zip(first, second, strict=True):
            sides = np.stack([given[one], given[other]], axis=1)  # x and x, y and y
            corners = georeference.to_pixels(np.stack(np.meshgrid(*sides), axis=-1).reshape(4, 2))
            row[one], row[other] = corners.min(axis=0), corners.max(axis=0)
    return points_xy


def windows_done(place: Place) -> tuple[int, int] | None:
    """How many windows of the raster whose output this is are done, and of how many; None for another output.

    Of a raster that was asked with prompts they are answers.
    """
    job = read_record(place.path / JOB_FILE) if isinstance(place, Folder) else None
    if job is None or not isinstance(place, Folder) or job.get("kind") != _KIND:
        return None
    grid = Grid(tuple(job["size_hw"]), job["window_px"], job["overlap_px"])
    total = len(grid) if job["prompts"] is None else len(job["prompts"]["labels"])
    folder = place.path / kept.FOLDER
    if (place.path / FINISHED_FILE).exists():
        return total, total
    return (sum(KeptWindows(folder, grid).done()) if job["prompts"] is None else KeptAnswers(folder).count()), total


def _start(order: RasterOrder, size_hw: tuple[int, int]) -> int | None:
    """Write the job into its folder, or find it there; how many masks it has if it is finished."""
    job_file, job = order.folder / JOB_FILE, order.to_json(size_hw)
    before = read_record(job_file)
    if before is None:
        strangers = [name for name in Folder(order.folder).names("") if name != LEASE_FILE]
        if strangers:
            raise OutputError(f"{order.folder} is not empty ({strangers[0]} is there): choose an empty folder.")
        write_files({job_file: json.dumps(job, indent=2).encode() + b"\n"})
        return None
    changed = [name for name in {**before, **job} if before.get(name) != job.get(name)]
    if changed:
        which = "; ".join(f"{name} is {job.get(name)!r} now and was {before.get(name)!r}" for name in changed)
        raise OutputError(
            f"{order.folder} holds the results of another job ({which}): choose another --output, or give the command "
            "as it was."
        )
    finished = read_record(order.folder / FINISHED_FILE)
    there = finished is not None and all(path.is_file() for path in order.files.values())
    return finished["masks"] if finished is not None and there else None


def _segment_windows(
    order: RasterOrder, scene: RasterScene, windows: KeptWindows, lease: Lease, progress: Progress | None
) -> None:
    """Segment every window that is not done, and keep what it shows."""
    generator = MaskGenerator(order.predictor, **order.settings, memory_budget=order.memory_budget)
    grid, done = windows.grid, windows.done()
    total = sum(done)
    for row, before in enumerate(done):
        left = grid.row(row)[before:]
        if left:
            windows.start(row, before)
        for window, view in zip(left, one_ahead(scene.read, left), strict=True):
            lease.check()
            windows.add(row, window, pieces_of(generator, view, window, grid.size_hw))
            total += 1
            if progress is not None:
                progress(total, len(grid))


def _joined(windows: KeptWindows) -> Iterator[Found]:
    joiner = Joiner(windows.grid)
    for row in range(len(windows.grid.tops)):
        for mask in joiner.add_row(windows.row(row)):
            yield Found(mask.runs, mask.iou, mask.stability)


def _answers(
    order: RasterOrder, scene: RasterScene, prompts: Prompts, lease: Lease, progress: Progress | None
) -> list[Found]:
    """One mask for each prompt, an empty one where the raster shows nothing; each is kept as it comes."""

    def ask(pixels: NDArray[np.uint8], prompt: Prompts) -> MaskSet:
        return order.predictor.segment(pixels, prompt, **order.settings)

    answers = KeptAnswers(order.folder / kept.FOLDER)
    done = answers.start()
    nothing = Runs(*(np.zeros(0, np.int64),) * 3)
    left = Prompts(prompts.points_xy[len(done) :], prompts.labels[len(done) :])
    for found in answers_in_windows(ask, scene, left, order.window_px) if len(left) else ():
        lease.check()
        answer = Found(found[0][1], found[0][0].iou, found[0][0].stability) if found else Found(nothing)
        answers.add(answer)
        done.append(answer)
        if progress is not None:
            progress(len(done), len(prompts))
    return done


def _write(order: RasterOrder, georeference: Georeference, size_hw: tuple[int, int], masks: Iterable[Found]) -> int:
    """Write all files; the number of masks that have pixels. Labels count from 1 in the order of the masks."""
    outlines = Outlines(georeference, order.tolerance_px)
    files, count = order.files, 0
    with MaskSpool(make_folder(order.folder)) as spool:
        with ExitStack() as stack:
            writers: Sequence[VectorWriter] = [
                stack.enter_context(vector_file(files[form], form, georeference.crs_wkt)) for form in order.vectors
            ]
            for mask in masks:
                label, area_px = spool.add(mask.runs), mask.runs.area_px
                if not area_px:
                    continue
                count += 1
                geometry = outlines.of(mask.runs)
                area_m2 = outlines.area_m2(geometry)
                row = MaskRow(label, geometry, OBJECT, mask.iou, mask.stability, area_px, area_m2)
                for writer in writers:
                    writer.add(row)
        write_label_raster(files["labels"], spool, size_hw, georeference)
    return count


def _finish(order: RasterOrder, count: int) -> None:
    write_files({order.folder / FINISHED_FILE: json.dumps({"masks": count}).encode() + b"\n"})
    forget(order.folder / kept.FOLDER)
