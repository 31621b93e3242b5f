"""`report.html`: one file to look at, without scripts or anything to fetch. Tables, histograms, pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from samlet.evaluation.protocols.registry import from_json
from samlet.evaluation.report.pictures import Picture
from samlet.evaluation.results import ImageResult
from samlet.evaluation.tables import percent
from samlet.files import make_folder, write_files
from samlet.opencv import cv2

PAGE_FILE = "report.html"
BINS = 20
_TEMPLATE = "report.html.jinja"
_WIDTH, _HEIGHT = 320, 110
_FLOOR = _HEIGHT - 14  # below the bars: the numbers


@dataclass(frozen=True)
class Made:
    """How a page came about: the command's words, the paths of the data as given, the date. None of it is measured."""

    words: tuple[str, ...] = ()
    data: tuple[str, ...] = ()
    date: str | None = None


@dataclass(frozen=True)
class _Figure:
    """A picture as the page holds it: a JPEG inside the address, and what stands below."""

    url: str
    name: str
    text: str


@dataclass(frozen=True)
class _Chart:
    """A histogram: x, y, width, height and hint of each bar, in the units of the drawing."""

    name: str
    bars: tuple[tuple[str, str, str, str, str], ...]


def write_page(
    folder: Path,
    report: Mapping[str, Any],
    results: Sequence[ImageResult],
    best: Sequence[Picture] = (),
    worst: Sequence[Picture] = (),
    made: Made | None = None,
) -> Path:
    """Write `report.html` into the folder, whole or not at all, and return its path; OutputError where that fails."""
    path = make_folder(folder) / PAGE_FILE
    write_files({path: page(report, results, best, worst, made).encode()})
    return path


def page(
    report: Mapping[str, Any],
    results: Sequence[ImageResult],
    best: Sequence[Picture] = (),
    worst: Sequence[Picture] = (),
    made: Made | None = None,
) -> str:
    """The page as text; `report` as `build_report` made it of the same `results`."""
    protocol = from_json(report["protocol"])
    galleries = [("Worst answers", list(map(_figure, worst))), ("Best answers", list(map(_figure, best)))]
    return _template().render(
        model=report["model"],
        protocol=protocol.title,
        made=made or Made(),
        tables=protocol.tables(report["metrics"]),
        charts=_charts(results),
        chart_width=_WIDTH,
        chart_height=_HEIGHT,
        galleries=[gallery for gallery in galleries if gallery[1]],
        facts=_facts(report),
    )


def histogram(values: Sequence[float]) -> list[int]:
    """How many values, 0 to 1, fall into each of the BINS equal bins; 1 belongs to the last."""
    counts = [0] * BINS
    for value in values:
        counts[min(int(value * BINS), BINS - 1)] += 1
    return counts


@cache
def _template() -> Template:
    text = (files("samlet.evaluation.report") / _TEMPLATE).read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(text)


def _charts(results: Sequence[ImageResult]) -> list[_Chart]:
    """Of all instances, and of each source if there are several; none for a detector's boxes, which have no truth."""
    if not any(result.instances for result in results):
        return []
    groups = {"all": [instance.true_iou for result in results for instance in result.instances]}
    sources = sorted({result.source for result in results})
    for source in sources if len(sources) > 1 else ():
        groups[f"source {source}"] = [
            instance.true_iou for result in results if result.source == source for instance in result.instances
        ]
    return [_Chart(f"{name} ({len(values):,})", _bars(histogram(values))) for name, values in groups.items()]


def _bars(counts: Sequence[int]) -> tuple[tuple[str, str, str, str, str], ...]:
    step, highest = _WIDTH / len(counts), max(*counts, 1)
    bars = []
    for index, count in enumerate(counts):
        height = _FLOOR * count / highest
        hint = f"IoU {index / len(counts):.2f} to {(index + 1) / len(counts):.2f}: {count}"
        bars.append((f"{index * step:.1f}", f"{_FLOOR - height:.1f}", f"{step - 1:.1f}", f"{height:.1f}", hint))
    return tuple(bars)


def _figure(picture: Picture) -> _Figure:
    name = f"{picture.name}, annotation {picture.instance.id}"
    predicted = "" if picture.instance.iou is None else f" (predicted {percent(picture.instance.iou)})"
    text = f"IoU {percent(picture.instance.true_iou)}{predicted}"
    return _Figure(_data_url(picture), name, text)


def _data_url(picture: Picture) -> str:
    _, jpeg = cv2.imencode(".jpg", picture.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def _facts(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the numbers depend on, as names and texts."""
    flat = {"images": report["images"]}
    flat |= {key: report[key] for key in ("model", "backend", "weights_sha256", "samples_sha256") if key in report}
    flat |= {f"left out, {reason}": count for reason, count in report.get("left_out", {}).items()}
    for group in ("versions", "machine"):
        flat |= report.get(group, {})
    flat |= {f"seconds, {stage}": f"{seconds:.1f}" for stage, seconds in report["seconds"].items()}
    return [(key.replace("_", " "), str(value)) for key, value in flat.items()]
