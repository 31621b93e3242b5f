"""samlet knows what it wrote, and nothing else."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from PIL import Image

from samlet.errors import OutputError
from samlet.marks import (
    PNG_MARK,
    WEIGHTS_MARK,
    Photo,
    are_our_weights,
    check_ours,
    is_our_archive,
    is_our_json,
    is_our_png,
    is_our_record,
    is_unmarked_record,
    marked_record,
    photo_of,
    read_record,
)
from samlet.png import png_chunks

ANNOTATION = {
    "id": 0, "segmentation": {"size": [2, 2], "counts": "04"}, "bbox": [0, 0, 2, 2], "area": 4,
    "predicted_iou": 0.5, "stability_score": 0.75,
}  # fmt: skip
RECORD = {"image": {"width": 2, "height": 2}, "annotations": [ANNOTATION]}


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "a" / "1.jpg"
    path.parent.mkdir()
    path.write_bytes(b"a photo")
    return path


def test_a_record_is_ours_until_somebody_changes_it(photo, tmp_path):
    marked = marked_record(RECORD, Photo.of(photo, tmp_path))
    assert next(iter(marked)) == "samlet"
    assert is_our_record(json.loads(json.dumps(marked)))
    marked["annotations"][0]["area"] = 5
    assert not is_our_record(marked)


@pytest.mark.parametrize("mark", [None, 3, {}, {"sha256": 5}, {"photo": None}, "samlet"])
def test_a_key_of_that_name_is_no_mark(mark):
    assert not is_our_record({"samlet": mark, **RECORD})
    assert photo_of({"samlet": mark, **RECORD}) is None


@pytest.mark.parametrize(
    ("record", "ours"),
    [
        (RECORD, True),
        (RECORD | {"settings": {}, "covered": 0.5}, True),
        (RECORD | {"version": 1}, False),
        ({"image": {}, "annotations": []}, False),
        ({"image": {}, "annotations": [ANNOTATION | {"crop_box": [0, 0, 2, 2]}]}, False),  # SA-1B's own
        ({"image": {}, "annotations": [ANNOTATION | {"id": 7}]}, False),
        ({"image": {}, "annotations": [{"id": 0, "segmentation": {}, "bbox": [], "area": 4}]}, False),
        ({"shapes": [], "imagePath": "1.jpg"}, False),  # labelme's
        ({"annotations": None}, False),
        ({}, False),
    ],
)
def test_records_from_before_the_mark(record, ours):
    assert is_unmarked_record(record) == is_our_record(record) == ours


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, None])
def test_what_is_no_record(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    assert read_record(tmp_path / "a.json") is None


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_a_marked_picture_has_the_same_pixels(tmp_path, shape):
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    path = tmp_path / "a.png"
    path.write_bytes(b"".join(png_chunks([pixels], shape[:2], PNG_MARK)))
    assert is_our_png(path)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)
        assert image.info["Software"].startswith("samlet ")
    assert cv2.imread(str(path)) is not None
    with Image.open(path) as image:
        image.save(path)
    assert not is_our_png(path)  # another program saved it


def test_what_is_no_picture_of_ours(tmp_path):
    (tmp_path / "a.png").write_bytes(b"text")
    assert not is_our_png(tmp_path / "a.png")
    assert not is_our_png(tmp_path / "gone.png")


def test_a_photo_is_known_by_path_and_content(photo, tmp_path):
    other = tmp_path / "b" / "1.jpg"
    other.parent.mkdir()
    other.write_bytes(b"another photo")
    known = Photo.of(photo, tmp_path / "out")
    assert known.path == "../a/1.jpg"
    assert known.is_of(photo, tmp_path / "out")
    assert known.is_elsewhere(other, tmp_path / "out")
    photo.write_bytes(b"edited")
    assert not known.is_of(photo, tmp_path / "out")
    assert not known.is_elsewhere(photo, tmp_path / "out")


def test_a_photo_that_was_moved_is_the_same(photo, tmp_path):
    known = Photo.of(photo, tmp_path)
    moved = tmp_path / "moved.jpg"
    moved.write_bytes(photo.read_bytes())
    assert known.is_elsewhere(moved, tmp_path)  # a copy: the first is still there
    photo.unlink()
    assert known.is_of(moved, tmp_path)


def test_what_is_there_must_be_ours(tmp_path):
    ours, theirs = tmp_path / "ours.json", tmp_path / "theirs.json"
    ours.write_text(json.dumps(marked_record(RECORD, None)))
    theirs.write_text(json.dumps(RECORD | {"note": "by hand"}))
    check_ours([ours, tmp_path / "nothing", tmp_path], is_our_json)
    with pytest.raises(OutputError, match=r"theirs\.json.* was not written by samlet, or was changed since: choose"):
        check_ours([ours, theirs], is_our_json)


def test_archives_are_known_by_their_members(tmp_path):
    np.savez(tmp_path / "a.npz", model="x", size_hw=[1, 2])
    assert is_our_archive(tmp_path / "a.npz", {"model.npy"})
    assert not is_our_archive(tmp_path / "a.npz", {"model.npy", "canvases.npy"})
    (tmp_path / "text").write_text("no archive")
    assert not is_our_archive(tmp_path / "text", {"model.npy"})
    assert not is_our_archive(tmp_path / "nothing", {"model.npy"})


def header(content: bytes) -> bytes:
    return len(content).to_bytes(8, "little") + content


@pytest.mark.parametrize(
    ("content", "ours"),
    [
        (header(json.dumps({"__metadata__": WEIGHTS_MARK}).encode()), True),
        (header(b'{"__metadata__": {"format": "pt"}}'), False),
        (header(b'{"__metadata__": null}'), False),
        (header(b"[]"), False),
        (b"", False),
        (b"\xff" * 9, False),
        (header(b"{"), False),
    ],
)
def test_weights_are_known_by_their_metadata(tmp_path, content, ours):
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    assert are_our_weights(path) == ours
