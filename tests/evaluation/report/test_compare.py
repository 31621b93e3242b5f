"""Comparing reports: the difference, its interval, and what must not be compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from samlet.errors import DataError, InputError
from samlet.evaluation.report.compare import compare, differences, recall_differences
from samlet.evaluation.report.summary import build_report, write_report
from samlet.evaluation.results import LOG_FILE, ImageResult, InstanceResult, ResultLog


def results(true_ious: dict[str, list[float]]) -> list[ImageResult]:
    return [
        ImageResult(name, name.split("_")[0], tuple(InstanceResult(i, 50.0, v, 0.5) for i, v in enumerate(values)), {})
        for name, values in true_ious.items()
    ]


BASE = {"coco_1": [0.5, 0.5, 0.5], "coco_2": [0.2], "pets_1": [0.4]}
BETTER = {"coco_1": [0.6, 0.6, 0.6], "coco_2": [0.3], "pets_1": [0.9]}


def test_the_difference_is_that_of_the_means() -> None:
    miou, mean_of_sources = differences(results(BASE), results(BETTER))
    assert miou.value == pytest.approx((0.4 + 0.5) / 5)
    assert mean_of_sources.value == pytest.approx((0.1 + 0.5) / 2)


def test_a_constant_gain_has_no_spread() -> None:
    _, mean_of_sources = differences(results(BASE), results(BETTER))
    assert (mean_of_sources.low, mean_of_sources.high) == pytest.approx((0.3, 0.3))


def test_the_order_of_the_images_does_not_matter() -> None:
    reversed_order = dict(reversed(BETTER.items()))
    assert differences(results(BASE), results(reversed_order)) == differences(results(BASE), results(BETTER))


def test_a_report_against_itself_differs_by_nothing() -> None:
    for difference in differences(results(BASE), results(BASE)):
        assert (difference.value, difference.low, difference.high) == (0, 0, 0)


def test_the_interval_has_the_width_of_the_standard_error() -> None:
    gains = np.random.default_rng(3).normal(0.02, 0.1, 400)
    base = results({f"coco_{i}": [0.5] for i in range(400)})
    other = results({f"coco_{i}": [0.5 + gain] for i, gain in enumerate(gains)})
    miou, _ = differences(base, other)
    half_width = 1.96 * gains.std() / np.sqrt(400)
    assert miou.high - miou.value == pytest.approx(half_width, rel=0.15)
    assert miou.value - miou.low == pytest.approx(half_width, rel=0.15)


def written(folder: Path, true_ious: dict[str, list[float]], content: str | None = None, **facts) -> Path:
    facts = {"model": "m", "backend": "b", "protocol": {"start": "box"}, "samples_sha256": "ab"} | facts
    log = ResultLog(folder / LOG_FILE, facts)
    for result in results(true_ious):
        log.append(replace(result, content=content))
    write_report(folder, build_report(results(true_ious), facts))
    return folder


def test_reports_are_compared_with_the_first(tmp_path: Path) -> None:
    folders = [written(tmp_path / "a", BASE), written(tmp_path / "b", BETTER), written(tmp_path / "c", BASE)]
    first, better, same = compare(folders)
    assert (first.folder, first.miou, first.mean_of_sources) == (folders[0], None, None)
    assert better.miou is not None
    assert better.miou.value == pytest.approx(0.18)
    assert better.report["metrics"]["miou"]["all"] == pytest.approx(0.6)
    assert same.miou is not None
    assert same.miou.value == 0


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"protocol": {"start": "point"}}, r"another protocol \(start point instead of box\)"),
        (
            {"protocol": {"start": "box", "clicks": 3}},
            r"another protocol \(clicks 3 instead of None\)",
        ),
        ({"samples_sha256": "cd"}, "other images or masks: sizes, areas or detections differ"),
    ],
)
def test_other_measurements_are_refused(tmp_path: Path, facts, message) -> None:
    folders = [written(tmp_path / "a", BASE), written(tmp_path / "b", BETTER, **facts)]
    with pytest.raises(InputError, match=message):
        compare(folders)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"coco_1": [0.5] * 3, "coco_2": [0.2]}, r"without 1 image \(pets_1\)\."),
        (BASE | {"a_1": [0.1], "b_1": [0.1]}, r"with 2 more images \(a_1, b_1\)\."),
        (
            {"coco_1": [0.5] * 3, "cats_2": [0.2], "pets_1": [0.4]},
            r"without 1 image \(coco_2\), with 1 more image \(cats_2",
        ),
        (BASE | {"coco_1": [0.5]}, r"with other masks in 1 image \(coco_1\)\."),
        (BASE | {f"z_{i}": [0.1] for i in range(5)}, r"with 5 more images \(z_0, z_1, z_2, …\)\."),
    ],
)
def test_the_refusal_says_what_differs(tmp_path: Path, changed, message) -> None:
    folders = [written(tmp_path / "a", BASE), written(tmp_path / "b", changed, samples_sha256="cd")]
    with pytest.raises(InputError, match=message):
        compare(folders)


def test_other_photos_of_the_same_names_are_refused(tmp_path: Path) -> None:
    folders = [written(tmp_path / "a", BASE, content="1"), written(tmp_path / "b", BASE, content="2")]
    with pytest.raises(InputError, match=r"with other pixels or masks in 3 images \(coco_1, coco_2, pets_1\)"):
        compare(folders)
    first, other = compare([folders[0], written(tmp_path / "c", BASE)])  # a log of 0.1.0 does not tell
    assert first.miou is None
    assert other.miou is not None


def test_recalls_have_differences_of_their_own() -> None:
    def found(*recalls: tuple[float, ...]) -> list[ImageResult]:
        instances = tuple(InstanceResult(i, 50.0, 0.5, 0.5, recall=recall) for i, recall in enumerate(recalls))
        return [ImageResult("a_1", "a", instances, {})]

    first, other = found((0.2, 0.4), (0.0, 0.0)), found((0.4, 0.4), (0.1, 0.5))
    few, many = recall_differences(first, other)
    assert (few.value, many.value) == (pytest.approx(0.15), pytest.approx(0.25))
    assert recall_differences(results(BASE), results(BETTER)) == ()


def test_one_report_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        compare([written(tmp_path / "a", BASE)])


def test_a_folder_without_report_or_results_is_named(tmp_path: Path) -> None:
    good = written(tmp_path / "a", BASE)
    with pytest.raises(DataError, match=r"b/report\.json does not exist"):
        compare([good, tmp_path / "b"])
    other = written(tmp_path / "c", BASE)
    (other / LOG_FILE).unlink()
    with pytest.raises(DataError, match=r"images\.jsonl is missing"):
        compare([good, other])


@pytest.mark.parametrize("damage", [{"metrics": None}, {"model": 3}, {"metrics": {"miou": {"all": "much"}}}], ids=str)
def test_a_damaged_report_is_named(tmp_path: Path, damage: dict) -> None:
    good, other = written(tmp_path / "a", BASE), written(tmp_path / "b", BASE)
    report = json.loads((other / "report.json").read_text())
    (other / "report.json").write_text(json.dumps(report | damage))
    with pytest.raises(DataError, match=r"b/report\.json is damaged: run samlet eval again"):
        compare([good, other])
