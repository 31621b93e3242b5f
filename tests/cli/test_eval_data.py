"""`samlet eval` on COCO files, shards and detections; each bad input stops it before anything is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cyclopts import ValidationError
from PIL import Image
from tests.data.records import write_shard
from tests.evaluation.fake import SIDE, gray_image, predictor

from samlet import loading
from samlet.cli.eval import app
from samlet.errors import DataError, InputError

BOX = [20, 30, 40, 60]
CROWD_BOX = [100, 100, 80, 100]


@pytest.fixture(autouse=True)
def _model(monkeypatch):
    """The fake model, whatever the command line asks to load."""
    monkeypatch.setattr(loading, "load", lambda *_, **__: predictor())
    monkeypatch.setattr("samlet.evaluation.provenance.weights_hash", lambda *_: "0" * 64)


def corners(box: list[int]) -> list[list[int]]:
    x, y, width, height = box
    return [[x, y, x + width, y, x + width, y + height, x, y + height]]


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Three images, of which the last has no file; a box and a crowd each."""
    images = [{"id": n, "width": SIDE, "height": SIDE, "file_name": f"{n}.png"} for n in (1, 2, 3)]
    items = [
        {"image_id": n, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": crowd}
        | {"segmentation": corners(box)}
        for n in (1, 2, 3)
        for crowd, box in enumerate((BOX, CROWD_BOX))
    ]
    content = {
        "images": images,
        "annotations": [item | {"id": number} for number, item in enumerate(items, 1)],
        "categories": [{"id": 1, "name": "boat"}],
    }
    (tmp_path / "photos").mkdir()
    for image in images[:2]:
        Image.fromarray(gray_image()).save(tmp_path / "photos" / image["file_name"])
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return tmp_path / "instances.json"


@pytest.fixture
def detections(tmp_path: Path) -> Path:
    """The true box in image 1 (score 0.9), half of it in image 2 (0.8), and a box on nothing (0.95)."""
    found = [
        {"image_id": 1, "category_id": 1, "bbox": BOX, "score": 0.9},
        {"image_id": 2, "category_id": 1, "bbox": [20, 30, 40, 30], "score": 0.8},
        {"image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 10], "score": 0.95},
    ]
    (tmp_path / "found.json").write_text(json.dumps(found))
    return tmp_path / "found.json"


def evaluate(coco: Path, *arguments: object) -> dict:
    """The report of a run on the COCO file."""
    out = coco.parent / "out"
    words = ["--data", coco, "--images", coco.parent / "photos", "--output", out, *arguments]
    app([str(word) for word in words], exit_on_error=False, print_error=False, result_action="return_value")
    return json.loads((out / "report.json").read_text())


def test_a_coco_file_with_a_missing_image(coco: Path, capsys) -> None:
    report = evaluate(coco, "--allow-missing", 1)
    assert report["images"] == 2
    assert report["missing_images"] == ["3.png"]
    assert report["metrics"]["instances"]["all"] == 4
    assert report["metrics"]["per_category"]["boat"]["miou"] == 1.0
    assert "missing: 1 images, the first is 3.png" in capsys.readouterr().out


def test_crowds_can_be_left_out(coco: Path) -> None:
    report = evaluate(coco, "--allow-missing", 1, "--no-crowds")
    assert report["metrics"]["instances"]["all"] == 2
    assert report["left_out"]["crowd"] == 2


def test_a_shard_is_measured(coco: Path, tmp_path: Path) -> None:
    record = {"image": {"width": SIDE, "height": SIDE}, "annotations": []}
    item = {
        "id": 1,
        "bbox": [0, 0, 256, 256],
        "area": 65536,
        "segmentation": {"size": [256, 256], "counts": [0, 65536]},
    }
    members = {
        "sa_1.png": (tmp_path / "photos" / "1.png").read_bytes(),
        "sa_1.json": json.dumps(record | {"annotations": [item]}).encode(),
    }
    shard, out = write_shard(tmp_path / "sa_000000.tar", members), tmp_path / "out"
    words = ["--data", str(shard), "--output", str(out)]
    app(words, exit_on_error=False, print_error=False, result_action="return_value")
    assert json.loads((out / "report.json").read_text())["metrics"]["miou"]["all"] == 1.0


def test_detections_have_an_average_precision(coco: Path, detections: Path, capsys) -> None:
    arguments = ["--allow-missing", 1, "--protocol", "box_from_detector", "--detections", detections]
    report = evaluate(coco, *arguments)
    precision = report["metrics"]["average_precision"]
    # Of two true boxes the second of three detections finds one at every IoU, and the third one at IoU 0.5 only:
    # the precision is 1/2 up to recall 1/2 (51 of 101 recalls), and at IoU 0.5 it is 2/3 throughout.
    assert precision["iou_75"] == pytest.approx(0.5 * 51 / 101, abs=1e-6)
    assert precision["iou_50"] == pytest.approx(2 / 3, abs=1e-6)
    assert precision["all"] == pytest.approx((2 / 3 + 9 * 0.5 * 51 / 101) / 10, abs=1e-6)
    assert precision["large"] is None
    assert report["metrics"]["detections"] == 3
    assert "3 detections" in capsys.readouterr().out
    assert "average precision" in (coco.parent / "out" / "report.html").read_text()
    assert evaluate(coco, *arguments)["metrics"] == report["metrics"]
    folders = [str(coco.parent / "out")] * 2
    app(["compare", *folders], exit_on_error=False, print_error=False, result_action="return_value")
    printed = capsys.readouterr().out
    assert "iou_75" in printed
    assert "Intervals: n/a, because average precision" in printed


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], DataError, r"1 of 3 images are missing: 3\.png; bring them"),
        (["--allow-missing", "-1"], (InputError, ValidationError), "--allow-missing"),
        (["--allow-missing", "1", "--protocol", "box_from_detector"], InputError, "--detections belong together"),
        (["--allow-missing", "1", "--detections", "found.json"], InputError, "--detections belong together"),
        (["--protocol", "box_from_detector", "--no-crowds"], InputError, "--no-crowds choose among annotated masks"),
        (["--protocol", "box_from_detector", "--max-masks-per-image", "9"], InputError, "prompts every box"),
    ],
)
def test_bad_input_leaves_nothing_behind(coco: Path, arguments, error, message) -> None:
    with pytest.raises(error, match=message):
        evaluate(coco, *arguments)
    assert not (coco.parent / "out").exists()
