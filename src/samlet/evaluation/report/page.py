"""`report.html`: one file to look at, without scripts or anything to fetch. Tables, histograms, pictures."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from samlet.evaluation.protocols.registry import from_json
from samlet.evaluation.report.pictures import Picture
from samlet.evaluation.results import ImageResult
from samlet.evaluation.tables import Row, Table, percent
from samlet.files import make_folder, write_files
from samlet.opencv import cv2

PAGE_FILE = "report.html"
BINS = 20
_WIDTH, _HEIGHT = 320, 110
_FLOOR = _HEIGHT - 14  # below the bars: the numbers

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #1b1f24 }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .15rem .8rem .15rem 0; text-align: left }
td.number { text-align: right; font-variant-numeric: tabular-nums } tr.strong td { font-weight: 600 }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top } figcaption { color: #57606a }
figure img { max-width: 34rem; border-radius: 4px } svg rect { fill: #2f81f7 }
svg text { font-size: 10px; fill: #57606a }
"""


def write_page(
    folder: Path,
    report: Mapping[str, Any],
    results: Sequence[ImageResult],
    best: Sequence[Picture] = (),
    worst: Sequence[Picture] = (),
) -> Path:
    """Write `report.html` into the folder, whole or not at all, and return its path; OutputError where that fails."""
    path = make_folder(folder) / PAGE_FILE
    write_files({path: page(report, results, best, worst).encode()})
    return path


def page(
    report: Mapping[str, Any], results: Sequence[ImageResult], best: Sequence[Picture], worst: Sequence[Picture]
) -> str:
    """The page as text; `report` as `build_report` made it of the same `results`."""
    protocol = from_json(report["protocol"])
    title = f"{report['model']}: {protocol.title}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *map(_table, protocol.tables(report["metrics"])),
        *_histograms(results),
        *_gallery("Worst answers", worst),
        *_gallery("Best answers", best),
        "<h2>What was measured</h2>",
        _facts_table(report),
    ]
    settings = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head = f"{settings}<title>{escape(title)}</title><style>{_STYLE}</style>"
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"


def histogram(values: Sequence[float]) -> list[int]:
    """How many values, 0 to 1, fall into each of the BINS equal bins; 1 belongs to the last."""
    counts = [0] * BINS
    for value in values:
        counts[min(int(value * BINS), BINS - 1)] += 1
    return counts


def _table(table: Table) -> str:
    heads = "".join(f"<th>{escape(heading)}</th>" for heading in (table.title, *table.headings))
    text = f"<table><tr>{heads}</tr>{''.join(map(_row, table.rows))}</table>"
    return f"<details><summary>{escape(table.title)}</summary>{text}</details>" if table.folded else text


def _row(row: Row) -> str:
    cells = "".join(f'<td class="number">{escape(text)}</td>' for text in row.cells)
    strong = ' class="strong"' if row.strong else ""
    return f"<tr{strong}>{_cell(row.name)}{cells}</tr>"


def _cell(text: str) -> str:
    return f"<td>{escape(text)}</td>"


def _histograms(results: Sequence[ImageResult]) -> Iterable[str]:
    """None for a detector's boxes, which have no truth of their own."""
    if not any(result.instances for result in results):
        return
    yield "<h2>Distribution of the IoUs</h2>"
    groups = {"all": [instance.true_iou for result in results for instance in result.instances]}
    for source in sorted({result.source for result in results}):
        groups[f"source {source}"] = [
            i.true_iou for result in results if result.source == source for i in result.instances
        ]
    for name, values in groups.items():
        yield f"<figure>{_chart(histogram(values))}<figcaption>{escape(name)} ({len(values):,})</figcaption></figure>"


def _chart(counts: Sequence[int]) -> str:
    step, highest = _WIDTH / len(counts), max(*counts, 1)
    bars = []
    for index, count in enumerate(counts):
        height = _FLOOR * count / highest
        place = f'x="{index * step:.1f}" y="{_FLOOR - height:.1f}" width="{step - 1:.1f}" height="{height:.1f}"'
        bars.append(
            f"<rect {place}>"
            f"<title>IoU {index / len(counts):.2f} to {(index + 1) / len(counts):.2f}: {count}</title></rect>"
        )
    marks = f'<text x="0" y="{_HEIGHT - 2}">0</text><text x="{_WIDTH - 6}" y="{_HEIGHT - 2}">1</text>'
    size = f'width="{_WIDTH}" height="{_HEIGHT}"'
    return f'<svg role="img" aria-label="histogram of IoU" {size}>{"".join(bars)}{marks}</svg>'


def _gallery(title: str, pictures: Sequence[Picture]) -> Iterable[str]:
    if pictures:
        yield f"<h2>{title}</h2><p>Left the truth, right the answer with its prompts.</p>"
    for picture in pictures:
        caption = f"{picture.name}, annotation {picture.instance.id}: IoU {percent(picture.instance.true_iou)}"
        predicted = f" (predicted {percent(picture.instance.iou)})"
        yield (
            f'<figure><img alt="{escape(caption)}" src="{_data_url(picture)}">'
            f"<figcaption>{escape(caption + predicted)}</figcaption></figure>"
        )


def _data_url(picture: Picture) -> str:
    _, jpeg = cv2.imencode(".jpg", picture.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def _facts_table(report: Mapping[str, Any]) -> str:
    flat = {"images": report["images"]}
    flat |= {key: report[key] for key in ("model", "backend", "weights_sha256", "samples_sha256") if key in report}
    flat |= {f"left out, {reason}": count for reason, count in report.get("left_out", {}).items()}
    for group in ("versions", "machine"):
        flat |= report.get(group, {})
    flat |= {f"seconds, {stage}": f"{seconds:.1f}" for stage, seconds in report["seconds"].items()}
    return "<table>" + "".join(f"<tr>{_cell(key)}{_cell(str(value))}</tr>" for key, value in flat.items()) + "</table>"
