"""Metrics as tables: what the terminal and the page show alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One row: its name, and a text for each heading; `strong` rows sum up those before."""

    name: str
    cells: tuple[str, ...]
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """`headings` stand above the cells; `title` above the names, `note` below the table.

    A folded table is opened by a click on the page.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    folded: bool = False
    note: str = ""


_NOTE = "boundary: IoU of the outlines; pieces: connected parts of an answer, beside those of the truth."
# Reports of 0.1.0 know no boundaries by source, and no pieces.
_NOTHING: Mapping[str, Any] = {"by_size": {}, "per_source": {}, "mean_of_sources": None}


def percent(value: float | None) -> str:
    """A fraction as people read it; None is an empty group."""
    return "n/a" if value is None else f"{value:.1%}"


def mean_text(value: float | None) -> str:
    """A mean count as people read it; None is an empty group."""
    return "n/a" if value is None else f"{value:.2f}"


def iou_tables(metrics: Mapping[str, Any]) -> list[Table]:
    """The means of instances: by size and by source in one table, by category in one that is folded up."""
    recalls = metrics["average_recall"]
    headings = ("mIoU", "boundary", "pieces", "in truth", *(f"AR@{most}" for most in recalls), "instances")
    boundary, pieces, true_pieces = (metrics.get(key, _NOTHING) for key in ("boundary", "pieces", "true_pieces"))

    rows = []
    for size, miou in metrics["miou"].items():
        ious = (percent(miou), percent(metrics["boundary_miou"][size]))
        counts = (mean_text(pieces["by_size"].get(size)), mean_text(true_pieces["by_size"].get(size)))
        found = tuple(percent(recalls[most][size]) for most in recalls)
        rows.append(Row(size, (*ious, *counts, *found, f"{metrics['instances'][size]:,}")))
    empty = ("",) * len(recalls)
    for source, row in metrics["per_source"].items():
        ious = (percent(row["miou"]), percent(boundary["per_source"].get(source)))
        counts = (mean_text(pieces["per_source"].get(source)), mean_text(true_pieces["per_source"].get(source)))
        rows.append(Row(f"source {source}", (*ious, *counts, *empty, f"{row['instances']:,}")))
    ious = (percent(metrics["mean_of_sources"]), percent(boundary["mean_of_sources"]))
    counts = (mean_text(pieces["mean_of_sources"]), mean_text(true_pieces["mean_of_sources"]))
    rows.append(Row("mean of sources", (*ious, *counts, *empty, ""), strong=True))
    tables = [Table("", headings, tuple(rows), note=_NOTE), *_rounds(metrics.get("by_round", {}))]
    return [*tables, _categories(metrics)] if metrics["per_category"] else tables


def _rounds(by_round: Mapping[str, Any]) -> list[Table]:
    """The mIoU after each prompt, where there were several; earlier reports do not tell it."""
    means = by_round.get("mean_of_sources")
    if not means:
        return []
    rows = [Row(f"source {name}", tuple(map(percent, values))) for name, values in by_round["per_source"].items()]
    rows.append(Row("mean of sources", tuple(map(percent, means)), strong=True))
    return [Table("mIoU after each prompt", tuple(map(str, range(1, len(means) + 1))), tuple(rows))]


def _categories(metrics: Mapping[str, Any]) -> Table:
    """LVIS has 1,203 of them."""
    rows = [Row(name, (percent(row["miou"]), f"{row['instances']:,}")) for name, row in metrics["per_category"].items()]
    name = "mean of categories"
    rows.append(Row(name, (percent(metrics["mean_of_categories"]), ""), strong=True))
    return Table("Categories", ("mIoU", "instances"), tuple(rows), folded=True)
