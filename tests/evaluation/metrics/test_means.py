"""Means by size and source of what an instance tells beside its IoU."""

from __future__ import annotations

import pytest

from samlet.evaluation.metrics.means import measure
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.tables import iou_tables


def result(source: str, *pieces: int | None, area_px: float = 100.0) -> ImageResult:
    instances = tuple(
        InstanceResult(index, area_px, 0.5, 0.5, 0.1 * (count or 0), pieces=count, true_pieces=1)
        for index, count in enumerate(pieces)
    )
    return ImageResult(f"{source}_1", source, instances, {})


def test_pieces_and_boundaries_by_source() -> None:
    metrics = measure([result("coco", 1, 2, 6), result("pets", 5, area_px=10_000.0)])
    assert metrics["pieces"]["per_source"] == {"coco": 3.0, "pets": 5.0}
    assert metrics["pieces"]["mean_of_sources"] == 4.0
    assert metrics["pieces"]["by_size"] == {"all": 3.5, "small": 3.0, "medium": None, "large": 5.0}
    assert metrics["true_pieces"]["mean_of_sources"] == 1.0
    assert metrics["boundary"]["per_source"] == pytest.approx({"coco": 0.3, "pets": 0.5})
    assert metrics["boundary"]["mean_of_sources"] == pytest.approx(0.4)


def test_a_log_that_lacks_some_values_has_no_mean_of_the_rest() -> None:
    metrics = measure([result("coco", 1, None), result("pets", 5)])
    assert metrics["pieces"]["per_source"] == {}
    assert metrics["pieces"]["mean_of_sources"] is None
    assert metrics["true_pieces"]["mean_of_sources"] == 1.0


def test_nothing_has_no_means() -> None:
    assert measure([])["pieces"]["mean_of_sources"] is None


def test_rounds_by_source() -> None:
    pairs = [("coco", (0.2, 0.4)), ("coco", (0.4, 0.8)), ("pets", (0.5, 0.4))]
    found = [ImageResult(s, s, (InstanceResult(1, 9.0, values[-1], 0.5, by_round=values),), {}) for s, values in pairs]
    metrics = measure(found)
    assert metrics["by_round"]["per_source"] == {"coco": pytest.approx([0.3, 0.6]), "pets": [0.5, 0.4]}
    assert metrics["by_round"]["mean_of_sources"] == pytest.approx([0.4, 0.5])
    [_, table] = iou_tables(metrics)
    assert [row.cells for row in table.rows] == [("30.0%", "60.0%"), ("50.0%", "40.0%"), ("40.0%", "50.0%")]


def test_one_round_has_no_table_of_rounds() -> None:
    metrics = measure([result("coco", 1)])
    assert metrics["by_round"] == {"per_source": {}, "mean_of_sources": []}
    assert len(iou_tables(metrics)) == 1
    del metrics["by_round"]  # as earlier reports
    assert len(iou_tables(metrics)) == 1
