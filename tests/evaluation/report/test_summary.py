"""From results to report.json and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from samlet.errors import DataError
from samlet.evaluation.metrics.means import measure
from samlet.evaluation.provenance import machine, versions
from samlet.evaluation.report.summary import build_report, read_report, write_report
from samlet.evaluation.results import ImageResult, InstanceResult


def result(name: str, source: str, *pairs: tuple[float, float]) -> ImageResult:
    instances = tuple(InstanceResult(index, area, iou, 0.5, iou / 2) for index, (area, iou) in enumerate(pairs))
    return ImageResult(name, source, instances, {"embed": 0.25, "predict": 0.5})


RESULTS = [
    result("coco_1", "coco", (100, 0.2), (5000, 0.4)),
    result("coco_2", "coco", (100, 0.6)),
    result("pets_1", "pets", (20000, 1.0)),
]


def test_measure() -> None:
    metrics = measure(RESULTS)
    assert metrics["miou"] == pytest.approx({"all": 0.55, "small": 0.4, "medium": 0.4, "large": 1.0})
    assert metrics["instances"] == {"all": 4, "small": 2, "medium": 1, "large": 1}
    assert metrics["per_source"] == {
        "coco": {"miou": pytest.approx(0.4), "instances": 3, "images": 2},
        "pets": {"miou": 1.0, "instances": 1, "images": 1},
    }
    assert metrics["mean_of_sources"] == pytest.approx(0.7)
    assert metrics["boundary_miou"] == pytest.approx({"all": 0.275, "small": 0.2, "medium": 0.2, "large": 0.5})
    assert (metrics["per_category"], metrics["mean_of_categories"]) == ({}, None)


def test_categories_weigh_the_same_in_their_mean() -> None:
    values = [("cat", 1.0), ("dog", 0.25), ("dog", 0.75), ("dog", 0.5), (None, 0.0)]
    instances = tuple(InstanceResult(i, 50.0, iou, 0.5, iou, name) for i, (name, iou) in enumerate(values))
    metrics = measure([ImageResult("coco_1", "coco", instances, {})])
    assert metrics["per_category"] == {"cat": {"miou": 1.0, "instances": 1}, "dog": {"miou": 0.5, "instances": 3}}
    assert metrics["mean_of_categories"] == 0.75
    assert metrics["miou"]["all"] == 0.5


def test_a_log_without_boundaries_has_no_mean_of_them() -> None:
    metrics = measure([ImageResult("coco_1", "coco", (InstanceResult(1, 50.0, 0.5, 0.5),), {})])
    assert metrics["boundary_miou"]["all"] is None


def test_the_order_of_images_does_not_matter() -> None:
    assert measure(RESULTS[::-1]) == measure(RESULTS)


def test_the_report_holds_facts_and_seconds(tmp_path: Path) -> None:
    report = build_report(RESULTS, {"model": "m", "protocol": {"start": "box"}})
    assert report["model"] == "m"
    assert report["images"] == 3
    assert report["seconds"] == {"embed": 0.75, "predict": 1.5}
    path = write_report(tmp_path / "new" / "folder", report)
    assert path.name == "report.json"
    assert read_report(path.parent) == report
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]


@pytest.mark.parametrize("text", [None, "", "{}", "[1]", '{"format": 99}'])
def test_what_is_no_report_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text)
    with pytest.raises(
        DataError, match=r"report\.json (is not a report of|cannot be read as a report of|does not exist)"
    ):
        read_report(tmp_path)


def test_provenance_is_json_without_host_or_path() -> None:
    text = json.dumps({"versions": versions(), "machine": machine()})
    assert "numpy" in versions()
    assert set(machine()) == {"system", "processor", "cores"}
    assert "/" not in json.dumps(versions())
    assert text
