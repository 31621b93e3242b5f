"""Nothing of the user's is overwritten, by `segment` and by `everything`; equal names never share a file."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
from PIL import Image

LABELME = '{"version": "5.0", "shapes": [], "imagePath": "photo.jpg"}'
SETTINGS = ("--points-per-side", "2", "--pred-iou-thresh", "0.1", "--stability-score-thresh", "0.1")
VERBS = {
    "segment": ("segment", "{photo}", "--point", "100,80", "--output", "out"),
    "everything": ("everything", "{photo}", "--output", "out", *SETTINGS),
}


@pytest.fixture(params=sorted(VERBS))
def words(request, photo, loads):
    """The words of a verb; `words(other)` for another photo."""
    return lambda image=photo: tuple(word.format(photo=image) for word in VERBS[request.param])


@pytest.fixture
def out(workplace):
    folder = workplace / "out"
    folder.mkdir()
    return folder


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("content", [LABELME, "", "not JSON", "[]"])
def test_a_record_of_the_users_stays(refused, samlet, words, out, content):
    (out / "photo.json").write_text(content)
    sentence = refused(*words())
    assert "photo.json" in sentence
    assert "--overwrite" in sentence
    assert snapshot(out) == {"photo.json": content.encode()}
    assert samlet(*words(), "--overwrite")[0] == 0
    assert json.loads((out / "photo.json").read_text())["samlet"]["photo"]["path"] == "../../photo.jpg"


def test_a_picture_of_the_users_stays(refused, words, out):
    Image.new("L", (9, 9)).save(out / "photo.overlay.png")
    before = snapshot(out)
    assert "photo.overlay.png" in refused(*words())
    assert snapshot(out) == before


def test_a_correction_by_hand_stays(refused, samlet, words, out):
    samlet(*words())
    record = json.loads((out / "photo.json").read_text())
    record["annotations"].pop()
    (out / "photo.json").write_text(json.dumps(record))
    before = snapshot(out)
    again = words() if words()[0] == "segment" else (*words(), "--disjoint")
    assert "changed since" in refused(*again)
    assert snapshot(out) == before


def test_results_of_samlet_are_replaced(samlet, words, out):
    assert samlet(*words())[0] == 0
    other = ("--box", "10,10,60,60") if words()[0] == "segment" else ("--disjoint",)
    before = (out / "photo.json").stat().st_ino
    assert samlet(*words(), *other)[0] == 0
    assert (out / "photo.json").stat().st_ino != before


def test_results_from_before_the_mark_are_replaced(samlet, words, out):
    samlet(*words())
    record = json.loads((out / "photo.json").read_text())
    del record["samlet"]
    (out / "photo.json").write_text(json.dumps(record))
    for path in out.rglob("*.png"):
        with Image.open(path) as image:
            image.save(path)
    other = ("--box", "10,10,60,60") if words()[0] == "segment" else ("--disjoint",)
    assert samlet(*words(), *other)[0] == 0


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("elsewhere")])
def test_what_is_no_file_is_never_replaced(refused, words, out, make):
    make(out / "photo.json")
    assert "in the way" in refused(*words(), "--overwrite")
    assert [path.name for path in out.iterdir()] == ["photo.json"]


def test_a_photo_of_that_name_elsewhere(refused, samlet, words, out, photo):
    twin = photo.parent / "b" / "photo.jpg"
    twin.parent.mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (150, 200, 3), dtype=np.uint8)).save(twin)
    assert samlet(*words())[0] == 0
    before = snapshot(out)
    sentence = refused(*words(twin))
    assert "another photo" in sentence
    assert "photo.jpg" in sentence
    assert snapshot(out) == before
    assert samlet(*words(twin), "--overwrite")[0] == 0
    assert json.loads((out / "photo.json").read_text())["image"]["width"] == 200


def test_a_photo_among_the_results_is_never_one_of_them(refused, words, photo, out):
    record = out / "photo.json"
    os.link(photo, record)  # two names of one file
    assert "overwrite the image" in refused(*words(), "--overwrite")
    assert record.read_bytes() == photo.read_bytes()


def test_a_folder_that_cannot_be_written_is_found_before_the_work(refused, words, photo, workplace, loads):
    (workplace / "out").write_text("a file")
    assert 'Cannot write "out"' in refused(*words())
    assert loads == []


def test_masks_of_an_earlier_answer_do_not_stay_behind(samlet, words, out):
    if words()[0] == "segment":
        samlet(*words(), "--all-masks")
        assert (out / "photo.mask.3.png").exists()
        (out / "photo.mask.9.png").write_bytes(b"the user's")
        samlet(*words())
        assert sorted(path.name for path in out.glob("*.mask*.png")) == ["photo.mask.9.png", "photo.mask.png"]
    else:
        samlet(*words())
        many = len(list((out / "photo.masks").glob("*.png")))
        (out / "photo.masks" / "mine.png").write_bytes(b"the user's")
        samlet(*words()[:-6], "--points-per-side", "1", *SETTINGS[2:])
        names = {path.name for path in (out / "photo.masks").glob("*.png")}
        assert "mine.png" in names
        assert len(names) - 1 == len(json.loads((out / "photo.json").read_text())["annotations"]) < many


def everything(photo, *words):
    return ("everything", photo, "--output", "out", *SETTINGS, *words)


@pytest.mark.parametrize("gone", ["photo.labels.png", "photo.overlay.png", "photo.masks/0.png", "photo.masks"])
def test_what_misses_a_file_is_done_again(samlet, loads, photo, out, gone):
    samlet(*everything(photo))
    shutil.rmtree(out / gone) if (out / gone).is_dir() else (out / gone).unlink()
    assert samlet(*everything(photo))[0] == 0
    assert (out / gone).exists()


def test_a_photo_that_changed_is_done_again(samlet, loads, photo, out):
    samlet(*everything(photo))
    Image.new("RGB", (64, 48)).save(photo)
    assert samlet(*everything(photo))[0] == 0
    assert json.loads((out / "photo.json").read_text())["image"]["width"] == 64


def test_a_correction_of_what_is_done_is_left_alone(samlet, loads, photo, out):
    samlet(*everything(photo))
    record = json.loads((out / "photo.json").read_text())
    record["annotations"][0]["category"] = "cat"
    (out / "photo.json").write_text(json.dumps(record))
    before = snapshot(out)
    assert samlet(*everything(photo))[0] == 0
    assert snapshot(out) == before


def test_a_folder_of_masks_that_is_the_users(refused, loads, photo, out):
    (out / "photo.masks").mkdir()
    (out / "photo.masks" / "metadata.csv").write_text("name,price\n")
    assert "metadata.csv" in refused(*everything(photo))
    (out / "photo.masks" / "metadata.csv").unlink()
    (out / "photo.masks" / "0.png").write_bytes(b"the user's")
    assert "0.png" in refused(*everything(photo))
    shutil.rmtree(out / "photo.masks")
    (out / "photo.masks").write_text("a file")
    assert "no folder" in refused(*everything(photo))
