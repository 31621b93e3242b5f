"""Reports and logs that samlet 0.1.0 wrote are read, compared and gone on with; two old names still work."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.evaluation.fake import annotation, predictor, sample

from samlet import evaluation
from samlet.errors import InputError
from samlet.evaluation import Box, Center, Everything, Point, ResultLog, evaluate, read_report
from samlet.evaluation.protocols.registry import from_json
from samlet.evaluation.report.compare import compare
from samlet.evaluation.selection import hash_of

OLD_POINT = Point(2, "multimask")  # 0.1.0 chose among the three also after several clicks
OLD = Path(__file__).parents[1] / "fixtures" / "evaluation_0_1_0"
SAMPLES = [
    sample(annotation(10, 10, 30, 30, number=1), annotation(50, 50, 90, 150, number=2), name=name, source=source)
    for name, source in (("coco_1", "coco"), ("coco_2", "coco"), ("pets_1", "pets"))
]


def header(protocol: evaluation.EvaluationProtocol) -> dict:
    facts = {"model": "rectangles", "backend": "fake", "weights_sha256": "0" * 64}
    return {"protocol": protocol.to_json(), **facts, "samples_sha256": hash_of(SAMPLES)}


@pytest.mark.parametrize(("name", "protocol"), [("point", Point(2, "multimask")), ("everything", Everything())])
def test_an_old_report_tells_its_protocol(name: str, protocol) -> None:
    assert "policy" in json.loads((OLD / name / "report.json").read_text())["protocol"]
    assert from_json(read_report(OLD / name)["protocol"]) == protocol


def test_an_old_run_goes_on_and_its_numbers_are_those_of_today(tmp_path: Path) -> None:
    shutil.copytree(OLD / "point", tmp_path / "old")
    log = tmp_path / "old" / "images.jsonl"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:2]))  # killed after the first image
    measured: list[str] = []
    results = evaluate(
        predictor(), SAMPLES, OLD_POINT, ResultLog(log, header(OLD_POINT)), lambda result: measured.append(result.name)
    )
    assert measured == ["coco_2", "pets_1"]
    ious = [[instance.true_iou for instance in result.instances] for result in results]
    assert ious[0] == ious[1] == ious[2]
    with pytest.raises(InputError, match="different protocol"):
        ResultLog(log, header(Point(3)))


def test_an_old_report_is_compared_with_one_of_today(tmp_path: Path) -> None:
    facts = header(OLD_POINT)
    results = evaluate(predictor(), SAMPLES, OLD_POINT, ResultLog(tmp_path / "images.jsonl", facts))
    evaluation.write_report(tmp_path, evaluation.build_report(results, facts))
    old, new = compare([OLD / "point", tmp_path])
    assert new.miou is not None
    assert (new.miou.value, new.miou.low, new.miou.high) == (0, 0, 0)
    assert old.report["metrics"]["miou"] == new.report["metrics"]["miou"]
    assert old.report["metrics"]["boundary_miou"] == new.report["metrics"]["boundary_miou"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("box",), Box()),
        (("point", 3, "oracle", True), Point(3, "oracle", feed_mask_back=True)),
        (("everything",), Everything()),
    ],
)
def test_the_old_class_is_a_call_that_warns(arguments, expected) -> None:
    with pytest.warns(DeprecationWarning, match="Protocol"):
        assert evaluation.Protocol(*arguments) == expected


@pytest.mark.parametrize(
    ("protocol", "old", "now"),
    [(Box, "best", "iou"), (Box, "first", "single"), (Point, "best", "iou"), (Center, "first", "single")],
)
def test_old_words_of_select_warn(protocol, old, now) -> None:
    with pytest.warns(DeprecationWarning, match=f'select="{now}"'):
        assert protocol(select=old) == protocol(select=now)


def test_the_old_best_of_several_clicks_is_always_of_the_three() -> None:
    with pytest.warns(DeprecationWarning, match='select="multimask"'):
        assert Point(2, "best") == OLD_POINT
    assert from_json(OLD_POINT.to_json()) == OLD_POINT


def test_the_old_select_warns() -> None:
    with pytest.warns(DeprecationWarning, match="select_samples"):
        assert evaluation.select(SAMPLES, limit=1) == SAMPLES[:1]
