"""`samlet eval` of classifiers and segmenters, whose answers are known: the brightness of a photo is its class."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from tests.data.class_sets import class_map, picture
from tests.fake_network import FakeNetwork

from samlet import loading
from samlet.classifying import Classifier
from samlet.cli import main
from samlet.evaluation.report.compare_classes import compare_classes
from samlet.parsing import SemanticSegmenter

NAMES = ("black", "gray", "white")


MODELS = {"classification": "efficientvit-m0", "semantic": "efficientvit-seg-b0-cityscapes"}


def evaluate(*words, model=None):
    """The exit code; `model` None: one that fits the protocol, "" none."""
    named = MODELS.get(words[1], "") if model is None else model
    return main(["eval", *map(str, words), *(["--model", named] if named else [])])


def report_of(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.fixture
def classifier(monkeypatch):
    use(monkeypatch, Classifier(FakeNetwork("classification", NAMES)))


@pytest.fixture
def segmenter(monkeypatch):
    use(monkeypatch, SemanticSegmenter(FakeNetwork("semantic_segmentation", NAMES)))


def use(monkeypatch, model):
    def load(*_, task=None, **__):
        if task is not None:
            model.spec.check_task(task)
        return model

    monkeypatch.setattr(loading, "load", load)
    monkeypatch.setattr("samlet.evaluation.provenance.weights_hash", lambda *_: "0" * 64)


@pytest.fixture
def photos(tmp_path):
    """Two of each class and, among the white ones, a black photo."""
    for name, value in zip(NAMES, (5, 120, 250), strict=True):
        for number in range(2):
            picture(tmp_path / "photos" / name / f"{number}.png", (70, 64), (value, value, value))
    picture(tmp_path / "photos" / "white" / "2.png", (70, 64), (0, 0, 0))
    return tmp_path / "photos"


@pytest.fixture
def maps(tmp_path):
    """Two photos, black on the left and white on the right; of the second the truth says gray instead of white."""
    root = tmp_path / "maps"
    for number, right in enumerate((2, 1)):
        values = np.zeros((64, 128), np.uint8)
        values[:, 64:] = right
        levels = np.zeros((64, 128, 3), np.uint8)
        levels[:, 64:] = 255
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels).save(root / "images" / f"{number}.png")
        values[0, 0] = 255
        class_map(root / "labels" / f"{number}.png", values)
    (root / "classes.txt").write_text("\n".join(NAMES))
    return root


def test_top_1_and_top_5_of_a_folder_of_classes(tmp_path, photos, classifier, capsys):
    words = ("--protocol", "classification", "--data", photos, "--output", tmp_path / "out")
    assert evaluate(*words) == 0
    metrics = report_of(tmp_path / "out")["metrics"]
    assert metrics["top_1"] == 6 / 7
    assert metrics["top_5"] == 1.0
    assert metrics["per_class"]["white"] == {"top_1": 2 / 3, "images": 3, "taken_for": "black"}
    printed = capsys.readouterr().out
    assert "85.7%" in printed
    page = (tmp_path / "out" / "report.html").read_text()
    assert "most taken for" in page
    lines = (tmp_path / "out" / "images.jsonl").read_text().splitlines()
    assert len(lines) == 8
    assert json.loads(lines[-1])["ranked"] == [0, 1, 2]


def test_a_run_goes_on_and_measures_anew_what_changed(tmp_path, photos, classifier):
    words = ("--protocol", "classification", "--data", photos, "--output", tmp_path / "out")
    assert evaluate(*words) == 0
    before = (tmp_path / "out" / "images.jsonl").read_text().splitlines()
    (tmp_path / "out" / "images.jsonl").write_text("\n".join(before[:4]) + "\n")
    picture(photos / "black" / "0.png", (70, 64), (255, 255, 255))
    assert evaluate(*words) == 0
    assert report_of(tmp_path / "out")["metrics"]["top_1"] == 5 / 7


def test_shares_of_several_processes_add_up(tmp_path, maps, segmenter, monkeypatch):
    assert evaluate("--protocol", "semantic", "--data", maps, "--output", tmp_path / "whole") == 0
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        assert evaluate("--protocol", "semantic", "--data", maps, "--output", tmp_path / "shares") == 0
    whole, shares = (report_of(tmp_path / name)["metrics"] for name in ("whole", "shares"))
    assert whole == shares


def test_miou_sums_over_the_set(tmp_path, maps, segmenter, capsys):
    assert evaluate("--protocol", "semantic", "--data", maps, "--output", tmp_path / "out") == 0
    metrics = report_of(tmp_path / "out")["metrics"]
    half = 64 * 64
    assert metrics["per_class"]["black"]["iou"] > 0.9
    assert metrics["per_class"]["white"]["pixels"] == half
    assert metrics["per_class"]["gray"]["taken_for"] == "white"
    assert metrics["per_class"]["white"]["iou"] == pytest.approx(0.5, abs=0.05)
    assert metrics["pixel_accuracy"] == pytest.approx(0.75, abs=0.03)
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("<figure><img") >= 2
    assert "predicted" not in page
    assert "mean of classes" in capsys.readouterr().out
    with_window = ("--protocol", "semantic", "--window", "64", "--data", maps, "--output", tmp_path / "windows")
    assert evaluate(*with_window) == 0
    assert report_of(tmp_path / "windows")["protocol"]["window"] == 64


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--protocol", "classification", "--max-masks-per-image", "2"), "knows no masks"),
        (("--protocol", "classification", "--window", "64"), "has no window"),
    ],
)
def test_what_does_not_belong_together_is_said(tmp_path, photos, classifier, capsys, words, sentence):
    assert evaluate(*words, "--data", photos, "--output", tmp_path / "out") == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("protocol", "model", "sentence"),
    [
        ("box", "efficientvit-b1", "efficientvit-b1 is a model for classification, which box does not ask: use"),
        ("semantic", "efficientvit-b1", "use --protocol classification."),
        ("classification", "efficientvit-sam-b0", "use --protocol box, point, center, everything, box_from_detector."),
        ("classification", "", "asks a model for classification: name one with --model."),
        ("semantic", "", "asks a model for semantic segmentation: name one with --model."),
    ],
)
def test_a_model_of_another_task_is_told_the_protocols_that_fit(tmp_path, photos, capsys, protocol, model, sentence):
    words = ("--protocol", protocol, "--data", photos, "--output", tmp_path / "out")
    assert evaluate(*words, model=model) == 2
    assert sentence in " ".join(capsys.readouterr().err.split())


def test_other_classes_and_empty_ones_are_named(tmp_path, photos, classifier, capsys):
    words = ("--protocol", "classification", "--data", photos, "--output", tmp_path / "out")
    (photos / "emu").mkdir()
    assert evaluate(*words) == 2
    assert "emu holds no image" in " ".join(capsys.readouterr().err.split())
    picture(photos / "emu" / "0.png")
    assert evaluate(*words) == 2
    assert "does not know emu" in " ".join(capsys.readouterr().err.split())


def test_a_label_map_with_a_foreign_value_stops_or_is_passed_over(tmp_path, maps, segmenter, capsys):
    class_map(maps / "labels" / "1.png", np.full((64, 128), 7))
    words = ("--protocol", "semantic", "--data", maps, "--output", tmp_path / "out")
    assert evaluate(*words) == 2
    assert "1.png has the value 7 at x 0, y 0" in " ".join(capsys.readouterr().err.split())
    assert evaluate(*words, "--max-broken", "1") == 3
    assert report_of(tmp_path / "out")["broken_images"] == ["1"]


class Worse(FakeNetwork):
    """Sees everything a little darker."""

    def logits(self, pixels):
        return super().logits(pixels * 0.7)


def test_reports_are_compared_with_intervals(tmp_path, photos, maps, monkeypatch, capsys):
    use(monkeypatch, Classifier(FakeNetwork("classification", NAMES)))
    assert evaluate("--protocol", "classification", "--data", photos, "--output", tmp_path / "a") == 0
    use(monkeypatch, Classifier(Worse("classification", NAMES)))
    assert evaluate("--protocol", "classification", "--data", photos, "--output", tmp_path / "b") == 0
    capsys.readouterr()
    assert evaluate("compare", tmp_path / "a", tmp_path / "b") == 0
    printed = capsys.readouterr().out
    assert "top-1" in printed
    assert "85.7%" in printed
    gain = 100 * (report_of(tmp_path / "b")["metrics"]["top_1"] - 6 / 7)
    assert f"{gain:+.1f} (" in printed

    use(monkeypatch, SemanticSegmenter(FakeNetwork("semantic_segmentation", NAMES)))
    assert evaluate("--protocol", "semantic", "--data", maps, "--output", tmp_path / "c") == 0
    use(monkeypatch, SemanticSegmenter(Worse("semantic_segmentation", NAMES)))
    assert evaluate("--protocol", "semantic", "--data", maps, "--output", tmp_path / "d") == 0
    rows = compare_classes([tmp_path / "c", tmp_path / "d"])
    first, other = (report_of(tmp_path / name)["metrics"]["miou"] for name in "cd")
    assert [row.value for row in rows] == [first, other]
    assert rows[0].difference is None
    assert rows[1].difference.value == pytest.approx(other - first)
    assert rows[1].difference.low <= rows[1].difference.value <= rows[1].difference.high
    assert evaluate("compare", tmp_path / "a", tmp_path / "c") == 2
    assert "another protocol" in capsys.readouterr().err
    assert evaluate("compare", tmp_path / "a") == 2


def test_reports_of_other_images_or_classes_are_not_compared(tmp_path, photos, classifier, monkeypatch, capsys):
    words = ("--protocol", "classification", "--data", photos, "--output")
    assert evaluate(*words, tmp_path / "a") == 0
    assert evaluate(*words, tmp_path / "b", "--limit", "3") == 0
    assert evaluate("compare", tmp_path / "a", tmp_path / "b") == 2
    assert "on other images: without 4 images" in " ".join(capsys.readouterr().err.split())
    use(monkeypatch, Classifier(FakeNetwork("classification", (*NAMES, "more"))))
    assert evaluate(*words, tmp_path / "c") == 0
    assert evaluate("compare", tmp_path / "a", tmp_path / "c") == 2
    assert "a model of other classes" in " ".join(capsys.readouterr().err.split())


def test_a_table_of_classes(tmp_path, photos, classifier):
    (tmp_path / "set.csv").write_text("image,class\nblack/0.png,black\nwhite/2.png,white\n")
    words = ("--protocol", "classification", "--data", tmp_path / "set.csv", "--images", photos)
    assert evaluate(*words, "--output", tmp_path / "out") == 0
    assert report_of(tmp_path / "out")["metrics"]["top_1"] == 0.5
    shutil.rmtree(photos / "white")
    assert evaluate(*words, "--output", tmp_path / "other") == 2
