"""The page: right bins, right pictures, nothing unescaped, nothing to fetch."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from tests.evaluation.fake import annotation, predictor, sample

from samlet.evaluation.metrics.means import measure
from samlet.evaluation.protocols.box import Box
from samlet.evaluation.protocols.box_from_detector import BoxFromDetector
from samlet.evaluation.protocols.everything import Everything
from samlet.evaluation.protocols.point import Point
from samlet.evaluation.report.page import BINS, Made, histogram, page, write_page
from samlet.evaluation.report.pictures import PER_SIDE, Picture, draw, extremes
from samlet.evaluation.report.summary import build_report
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.evaluation.run import evaluate_image
from samlet.evaluation.side_by_side import view


def result(name: str, *true_ious: float, source: str = "coco") -> ImageResult:
    instances = tuple(InstanceResult(index, 100.0, value, 0.5) for index, value in enumerate(true_ious))
    return ImageResult(name, source, instances, {"embed": 1.0})


def report_of(results: list[ImageResult]) -> dict:
    return build_report(results, {"model": "<m>", "backend": "fake", "protocol": Point(3).to_json()})


@pytest.mark.parametrize(("value", "place"), [(0.0, 0), (0.049, 0), (0.05, 1), (0.5, 10), (0.99, 19), (1.0, 19)])
def test_histogram_bins(value, place) -> None:
    counts = histogram([value])
    assert counts.index(1) == place
    assert len(counts) == BINS


def test_histogram_of_nothing() -> None:
    assert histogram([]) == [0] * BINS


def test_extremes_are_one_an_image_and_sorted() -> None:
    results = [result("b", 0.5, 0.2), result("a", 0.9, 0.2), result("c", 0.1), result("empty")]
    assert [(name, i.true_iou) for name, i in extremes(results, worst=True)] == [("c", 0.1), ("a", 0.2), ("b", 0.2)]
    assert [(name, i.true_iou) for name, i in extremes(results, worst=False)] == [("a", 0.9), ("b", 0.5), ("c", 0.1)]
    assert len(extremes([result(f"n{i}", 0.3) for i in range(9)], worst=True)) == PER_SIDE


@pytest.mark.parametrize("protocol", [Box(), Point(3)])
def test_pictures_show_the_instance_that_was_measured(protocol) -> None:
    good, bad = annotation(100, 100, 141, 141, number=1), annotation(10, 10, 12, 250, number=2)
    one = sample(good, bad)
    results = [evaluate_image(predictor(), one, protocol)]
    model = predictor()
    [best], [worst] = draw(model, [one], results, protocol)
    assert model.backend.encoded == 1
    assert (best.name, best.instance.id) == ("fake_1", 1)
    assert best.pixels.dtype == np.uint8
    assert best.pixels.ndim == 3
    if protocol.name == "point":
        assert worst.instance.id == 2
        left, right = np.array_split(worst.pixels, 2, axis=1)
        assert np.abs(left[:, : right.shape[1]].astype(int) - right[:, : left.shape[1]]).mean() > 1


def test_an_instance_in_the_corner_can_be_drawn() -> None:
    one = sample(annotation(0, 0, 1, 1))
    results = [evaluate_image(predictor(), one, Box())]
    [best], [worst] = draw(predictor(), [one], results, Box())
    assert best is worst


def test_a_view_is_the_object_with_room_around_but_within_the_image() -> None:
    mask = np.zeros((400, 300), bool)
    mask[100:301, 295:300] = True
    rows, columns = view(mask)
    assert (rows.start, rows.stop) == (0, 400)
    assert (columns.start, columns.stop) == (249, 300)


def test_the_page_is_whole_and_escaped(tmp_path: Path) -> None:
    results = [result("a<b>", 0.5, 1.0), result("c", 0.25, source="pets & co")]
    picture = Picture("a<b>", results[0].instances[0], np.zeros((4, 6, 3), np.uint8))
    text = write_page(
        tmp_path, report_of(results), results, [picture], [replace(picture, name="worst one")]
    ).read_text()
    assert "&lt;m&gt;: point, 3 clicks, select iou" in text
    assert 'alt="a&lt;b&gt;, annotation 0: IoU 50.0% (predicted 50.0%)"' in text
    assert "source pets &amp; co" in text
    assert "58.3%" in text  # mean of 0.5, 1.0, 0.25
    assert "n/a" in text  # no medium, no large instance
    assert text.count("<svg") == 3
    assert text.count("data:image/jpeg;base64,") == 2
    assert not re.search(r"<b>|<m>|https?://|<script", text)


def test_categories_are_folded_up() -> None:
    results = [ImageResult("a", "coco", (InstanceResult(1, 100.0, 0.25, 0.5, 0.1, "hot <dog>"),), {})]
    text = page(report_of(results) | {"left_out": {"area under 1 px": 3}}, results, [], [])
    assert "<details><summary>Categories</summary>" in text
    assert "<td>hot &lt;dog&gt;</td>" in text
    assert "<dt>left out, area under 1 px</dt><dd>3</dd>" in text
    assert "<th>boundary</th>" in text


def test_recall_is_in_the_page() -> None:
    results = [ImageResult("a", "coco", (InstanceResult(1, 100.0, 0.25, 0.5, 0.1, recall=(0.1, 0.2, 0.7)),), {})]
    report = build_report(results, {"model": "m", "backend": "b", "protocol": Everything().to_json()})
    text = page(report, results, [], [])
    assert "<h1>m: everything</h1>" in text
    assert "<th>AR@1000</th>" in text
    small = re.search(r"<td>small</td>(.*?)</tr>", text, re.S)
    assert small
    assert re.findall(r">([\d.]+%)<", small[1]) == ["25.0%", "10.0%", "10.0%", "20.0%", "70.0%"]
    assert ">n/a<" in small[1]  # pieces, which this log does not tell


def test_precisions_have_no_histogram() -> None:
    results = [ImageResult("a", "coco", (), {}, ())]
    facts = {"model": "m", "backend": "b", "protocol": BoxFromDetector().to_json()}
    metrics = measure(results) | {"average_precision": {"all": 0.5, "small": None}}
    text = page(build_report(results, facts, metrics), results, [], [])
    assert "<td>all</td><td>50.0%</td>" in text
    assert "<td>small</td><td>n/a</td>" in text
    assert "<svg" not in text
    assert "Distribution" not in text


def test_a_page_without_pictures() -> None:
    text = page(report_of([result("a", 0.5)]), [result("a", 0.5)], [], [])
    assert "Worst answers" not in text
    assert text.count("<rect") == BINS


def test_the_page_tells_how_it_was_made_and_escapes_it() -> None:
    made = Made(("samlet", "eval", "--data", "'a <b>'"), ("a <b>", "c"), "2026-01-02 03:04 UTC")
    text = page(report_of([result("a", 0.5)]), [result("a", 0.5)], made=made)
    assert "Measured 2026-01-02 03:04 UTC on a &lt;b&gt;, c." in text
    assert "<span>--data</span> <span>&#39;a &lt;b&gt;&#39;</span></pre>" in text
    assert "<pre>" not in page(report_of([result("a", 0.5)]), [result("a", 0.5)])


def test_a_report_without_pieces_can_be_drawn() -> None:
    report = report_of([result("a", 0.5)])
    for key in ("boundary", "pieces", "true_pieces"):  # 0.1.0 wrote none
        del report["metrics"][key]
    assert "mean of sources" in page(report, [result("a", 0.5)])


def test_the_template_is_in_the_package() -> None:
    assert (files("samlet.evaluation.report") / "report.html.jinja").is_file()
