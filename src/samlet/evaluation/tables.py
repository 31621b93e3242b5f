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
    """`headings` stand above the cells; `title` above the names. A folded table is opened by a click on the page."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[Row, ...]
    folded: bool = False


def percent(value: float | None) -> str:
    """A fraction as people read it; None is an empty group."""
    return "n/a" if value is None else f"{value:.1%}"


def iou_tables(metrics: Mapping[str, Any]) -> list[Table]:
    """The means of instances: by size and by source in one table, by category in one that is folded up."""
    recalls = metrics["average_recall"]
    headings = ("mIoU", "boundary", *(f"AR@{most}" for most in recalls), "instances")
    rows = []
    for size, miou in metrics["miou"].items():
        means = (miou, metrics["boundary_miou"][size], *(recalls[most][size] for most in recalls))
        rows.append(Row(size, (*map(percent, means), f"{metrics['instances'][size]:,}")))
    empty = ("",) * (1 + len(recalls))
    for source, row in metrics["per_source"].items():
        rows.append(Row(f"source {source}", (percent(row["miou"]), *empty, f"{row['instances']:,}")))
    of_sources = [metrics["mean_of_sources"], metrics.get("boundary_mean_of_sources")]
    means = [percent(value) for value in of_sources if value is not None]
    rows.append(Row("mean of sources", (*means, *("",) * (len(headings) - len(means))), strong=True))
    if metrics.get("mean_pieces") is not None:
        rows.append(Row("pieces of a mask", (f"{metrics['mean_pieces']:.2f}", *("",) * (len(headings) - 1))))
    tables = [Table("", headings, tuple(rows))]
    return [*tables, _categories(metrics)] if metrics["per_category"] else tables


def _categories(metrics: Mapping[str, Any]) -> Table:
    """LVIS has 1,203 of them."""
    rows = [Row(name, (percent(row["miou"]), f"{row['instances']:,}")) for name, row in metrics["per_category"].items()]
    name = f"mean of {len(rows)} categories"
    rows.append(Row(name, (percent(metrics["mean_of_categories"]), ""), strong=True))
    return Table("Categories", ("mIoU", "instances"), tuple(rows), folded=True)
