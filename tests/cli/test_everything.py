from __future__ import annotations

import csv
import json
import shutil

import cv2
import numpy as np
import pytest

from samlet import images
from samlet.cli.everything_files import EverythingFiles
from samlet.cli.ownership import TABLE_COLUMNS
from samlet.masks import MaskSet

SETTINGS = ("--points-per-side", "2", "--pred-iou-thresh", "0.1", "--stability-score-thresh", "0.1")


@pytest.fixture
def run(samlet, loads, photo):
    """Segment the photo into the folder "out" of the current folder; more words may follow."""

    def everything(*words):
        return samlet("everything", photo, "--output", "out", *SETTINGS, *words)

    return everything


def test_all_files_tell_of_the_same_masks(run, workplace):
    code, out, err = run()
    assert (code, err) == (0, "")
    record = json.loads((workplace / "out" / "photo.json").read_text())
    masks = MaskSet.from_json(record)
    assert len(masks) > 1
    assert f" {len(masks)} " in out
    labels = cv2.imread(str(workplace / "out" / "photo.labels.png"), cv2.IMREAD_UNCHANGED)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels > 0, masks.to_array().any(axis=0))
    assert record["covered"] == pytest.approx((labels > 0).mean(), abs=1e-3)
    for number, mask in enumerate(masks):
        png = cv2.imread(str(workplace / "out" / "photo.masks" / f"{number}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(png == 255, mask.to_array())
    assert cv2.imread(str(workplace / "out" / "photo.overlay.png")).shape == (192, 256, 3)


def test_the_table_has_segment_anythings_columns(run, workplace):
    run()
    record = json.loads((workplace / "out" / "photo.json").read_text())
    with (workplace / "out" / "photo.masks" / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == TABLE_COLUMNS
    assert [int(row["area"]) for row in rows] == [row["area"] for row in record["annotations"]]
    assert float(rows[0]["predicted_iou"]) == record["annotations"][0]["predicted_iou"]


def test_what_is_done_is_not_done_again(run, workplace):
    run()
    overlay = workplace / "out" / "photo.overlay.png"
    first = overlay.stat().st_ino
    assert run()[0] == 0
    assert overlay.stat().st_ino == first
    assert run("--disjoint")[0] == 0  # other settings: done anew
    assert overlay.stat().st_ino != first


def test_an_interrupt_loses_no_finished_image(samlet, loads, photo, workplace, monkeypatch):
    second = photo.with_name("second.jpg")
    shutil.copy(photo, second)
    write = EverythingFiles.write

    def interrupted(self, *arguments):
        if self.image == second:
            raise KeyboardInterrupt
        write(self, *arguments)

    monkeypatch.setattr(EverythingFiles, "write", interrupted)
    words = ("everything", photo, second, "--output", "out", *SETTINGS)
    assert samlet(*words)[0] == 130
    assert {path.name for path in (workplace / "out").glob("*.json")} == {"photo.json"}
    monkeypatch.setattr(EverythingFiles, "write", write)
    first = (workplace / "out" / "photo.json").stat().st_mtime_ns
    assert samlet(*words)[0] == 0
    assert (workplace / "out" / "photo.json").stat().st_mtime_ns == first
    assert (workplace / "out" / "second.json").exists()


def test_nothing_found_is_an_answer(samlet, loads, photo, workplace):
    code, _, _ = samlet("everything", photo, "--output", "out", "--points-per-side", "1", "--pred-iou-thresh", "1")
    assert code == 0
    assert json.loads((workplace / "out" / "photo.json").read_text())["annotations"] == []
    assert (workplace / "out" / "photo.labels.png").exists()


def test_the_record_on_stdout(run):
    code, out, _ = run("--json")
    assert code == 0
    assert json.loads(out)["image"]["file_name"] == "photo.jpg"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere.jpg",), "nowhere.jpg does not exist."),
        ((".",), "holds no image"),
        (("https://example.com/a.jpg",), "so download it first"),
        (("{photo}", "--points-per-side", "100000"), "--points-per-side"),
        (("{photo}", "--points-per-side", "0"), "--points-per-side"),
        (("{photo}", "--crop-n-layers", "40"), "--crop-n-layers"),
        (("{photo}", "--min-mask-region-area", "-1"), "--min-mask-region-area"),
        (("{photo}", "--memory-budget", "1e3"), "--memory-budget"),
        (("{photo}", "--containment-thresh", "nan"), "--containment-thresh"),
        (("{photo}", "--output", "{photo}"), "is a file, not a folder"),
        (("{photo}", "{photo}"), "would both write"),
        (("{photo}", "--memory-budget", "1"), "--memory-budget. It must be from 8 to 1,000,000."),
        (("{photo}", "--pred-iou-thresh", "2"), "pred-iou-thresh"),
    ],
)
def test_what_cannot_be_meant_is_refused(refused, loads, photo, words, sentence):
    words = [word.format(photo=photo) for word in words]
    assert sentence in refused("everything", *words, *(() if "--output" in words else ("--output", "out")))
    assert loads == []


def test_a_folder_is_its_photos(samlet, loads, photo, workplace):
    shutil.copy(photo, workplace / "b.PNG")
    (workplace / "notes.txt").write_text("no photo")
    assert samlet("everything", ".", "--output", ".", *SETTINGS)[0] == 0
    code, out, _ = samlet("everything", ".", "--output", ".", *SETTINGS, "--json")
    assert (code, len(out.splitlines())) == (0, 1)  # what was written there is no photo


FORMATS = ("--format", "coco", "--format", "yolo", "--format", "geojson")


def test_other_formats_are_added_to_what_is_done(run, workplace):
    run()
    overlay = workplace / "out" / "photo.overlay.png"
    first = overlay.stat().st_ino
    assert run(*FORMATS)[0] == 0
    assert overlay.stat().st_ino == first
    record = json.loads((workplace / "out" / "photo.json").read_text())
    masks = MaskSet.from_json(record)
    assert set(record["other_formats"]) == {"photo.txt", "photo.geojson"}
    assert len((workplace / "out" / "photo.txt").read_text().splitlines()) == len(masks)
    assert len(json.loads((workplace / "out" / "annotations.coco.json").read_text())["annotations"]) == len(masks)
    assert run(*FORMATS)[0] == 0
    assert run("--disjoint", *FORMATS)[0] == 0  # files of the earlier answer are ours to replace
    assert run("--no-clean")[0] == 0  # and are not left beside another answer
    assert not (workplace / "out" / "photo.txt").exists()


@pytest.mark.parametrize("form", ["yolo", "coco"])
def test_a_file_of_the_user_in_another_format_stays(run, workplace, form):
    run()
    path = workplace / "out" / {"yolo": "photo.txt", "coco": "annotations.coco.json"}[form]
    path.write_text("{}")
    code, _, err = run("--format", form)
    assert code == 2
    assert f'"out/{path.name}" was not written by samlet' in err
    assert path.read_text() == "{}"


@pytest.mark.parametrize("name", ["fast", "edges", "clean"])
def test_people_get_all_that_is_for_people_unless_they_say_no(run, workplace, monkeypatch, name):
    seen = []
    made = "samlet.everything.MaskGenerator.generate"
    monkeypatch.setattr(made, lambda self, *arguments: seen.append(getattr(self, name)) or MaskSet([], (192, 256)))
    run()
    run(f"--no-{name}")
    assert seen == [True, False]


def test_a_scene_too_large_to_be_read_at_once_is_looked_at_by_windows(samlet, loads, photo, workplace, monkeypatch):
    levels = np.zeros((1100, 1500, 3), np.uint8)
    cv2.imwrite(str(workplace / "scene.png"), levels)
    monkeypatch.setattr(images, "MAX_PIXELS", 1_500_000)
    monkeypatch.setattr("samlet.cli.scenes.PICTURE_PX", 500)
    words = ("everything", "scene.png", "--output", "out", "--points-per-side", "1", *SETTINGS[2:])
    assert samlet(*words)[0] == 0
    record = json.loads((workplace / "out" / "scene.json").read_text())
    masks = MaskSet.from_json(record)
    assert masks.size_hw == (1100, 1500)
    assert len(masks) > 3
    assert {tuple(mask.crop_box_xywh) for mask in masks} <= {(x, y, 1024, 1024) for x in (0, 476) for y in (0, 76)}
    labels = cv2.imread(str(workplace / "out" / "scene.labels.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(labels > 0, masks.to_array().any(axis=0))
    overlay = workplace / "out" / "scene.overlay.png"
    assert cv2.imread(str(overlay)).shape == (367, 500, 3)
    first = overlay.stat().st_ino
    assert samlet(*words)[0] == 0
    assert overlay.stat().st_ino == first  # done is done
