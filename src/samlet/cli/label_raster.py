"""`samlet label` of one raster: polygons and a label raster in its coordinates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from samlet.cli.options.everything import EverythingOptions
from samlet.cli.options.model import ModelOptions
from samlet.cli.options.raster import RasterOptions
from samlet.cli.progress import progress_bars
from samlet.cli.tables import print_facts
from samlet.errors import InputError
from samlet.geometry.seams import Grid

if TYPE_CHECKING:
    from rich.progress import Progress

    from samlet.labeling.rasters.label import RasterOrder

VectorFormat = Literal["gpkg", "geojson"]


def label_raster(
    sources: Sequence[str],
    output: str,
    vector: VectorFormat,
    raster: RasterOptions,
    how: EverythingOptions,
    answering: Mapping[str, Any],
    model: ModelOptions,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Do what is left of a raster, or say what it would take; InputError if there is more than one source.

    `answering` are parameters of `Predictor.segment`, for prompts; `how` is for everything mode.
    """
    from samlet.labeling.rasters.estimate import estimate
    from samlet.labeling.rasters.label import label_raster as label

    order = _order(sources, output, vector, raster, how, answering, model)
    if dry_run:
        plan = estimate(order)
        if as_json:
            print(json.dumps(plan.to_json()))
        else:
            print_facts(plan.rows())
        return
    with progress_bars() as bars:
        result = label(order, _teller(bars, order))
    found: dict[str, Any] = {"masks": result.masks, **{kind: str(path) for kind, path in result.files.items()}}
    if as_json:
        print(json.dumps(found))
    else:
        rows = [(kind, f"{value:,}" if isinstance(value, int) else value) for kind, value in found.items()]
        print_facts(rows)


def _order(
    sources: Sequence[str],
    output: str,
    vector: VectorFormat,
    raster: RasterOptions,
    how: EverythingOptions,
    answering: Mapping[str, Any],
    model: ModelOptions,
) -> RasterOrder:
    from samlet.extras import import_with_extra
    from samlet.files import check_folder
    from samlet.labeling.job import ModelFacts
    from samlet.labeling.rasters.label import RasterOrder

    import_with_extra("rasterio", "raster", "Labeling a raster")  # said before a model is loaded
    if len(sources) != 1:
        raise InputError(f"{len(sources)} sources are given, but a raster is labeled alone: give one.")
    for name, what in ((sources[0], "A raster"), (output, "The output of a raster")):
        if "://" in name:
            raise InputError(f"{what} lies on this machine, and {name} is an address: give a path.")
    window = Grid.window_px if raster.window is None else raster.window
    overlap = Grid.overlap_px if raster.overlap is None else raster.overlap
    Grid((1, 1), window, overlap)  # refused before a model is loaded
    prompts, bands, percentiles = raster.prompts, raster.band_numbers, raster.percentiles
    check_folder(Path(output))
    predictor = model.load()
    settings = how.settled(predictor.spec) if prompts is None else dict(answering)
    return RasterOrder(
        Path(sources[0]),
        Path(output),
        predictor,
        ModelFacts(
            predictor.spec.name, predictor.weights, predictor.backend.name, model.device, model.precision, model.threads
        ),
        prompts,
        raster.map_coordinates,
        settings,
        window,
        overlap,
        bands,
        percentiles,
        (vector,),
        memory_budget=how.memory_budget << 20,
    )


def _teller(bars: Progress, order: RasterOrder) -> Callable[[int, int], None]:
    task = bars.add_task(f"{order.scene.name}: windows" if order.prompts is None else order.scene.name, total=None)
    return lambda done, total: bars.update(task, completed=done, total=total)
