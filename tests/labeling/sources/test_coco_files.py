"""COCO files as sources, with the boxes of a detector."""

from __future__ import annotations

import json

import pytest
from tests.data.records import content, image, jpeg, write_coco

from samlet.errors import DataError
from samlet.labeling.items import ObjectPrompt
from samlet.labeling.sources.coco_files import CocoSource

IMAGES = {"images": [image(2, file_name="b/2.jpg"), image(1, file_name="https://host/1.jpg")]}


def found(image_id=2, **changes):
    return {"image_id": image_id, "category_id": 3, "bbox": [5, 1, 4, 3], "score": 0.5} | changes


def test_its_images_and_the_boxes_found_in_them(tmp_path):
    path = write_coco(tmp_path, annotations=[], **IMAGES)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.jpg").write_bytes(jpeg())
    (tmp_path / "found.json").write_text(json.dumps([found()]))
    plain = CocoSource(str(path))
    first, second = plain.items()
    assert [(item.image_id, item.path) for item in (first, second)] == [
        ("https://host/1.jpg", "https://host/1.jpg"),
        ("b/2.jpg", f"{tmp_path.as_posix()}/b/2.jpg"),
    ]
    assert plain.read(second) == jpeg()
    assert second.prompts is None
    asked = list(CocoSource(str(path), detections=str(tmp_path / "found.json")).items())
    assert asked[0].prompts == ()
    assert asked[1].prompts == (ObjectPrompt((5, 1, 8, 4), label="boat"),)  # cut at the border


def test_a_file_without_annotations_in_a_store(flaky):
    whole = content(**IMAGES)
    del whole["annotations"]
    flaky.pipe_file("/set/info.json", json.dumps(whole).encode())
    ids = [item.path for item in CocoSource("flaky://set/info.json", "flaky://photos").items()]
    assert ids == ["https://host/1.jpg", "flaky:///photos/b/2.jpg"]


@pytest.mark.parametrize(
    ("changes", "detections", "message"),
    [
        ({"images": []}, None, "lists no image"),
        ({"images": 3}, None, "has no list 'images'"),
        ({"images": [image(file_name=None)]}, None, "has no 'file_name'"),
        ({}, [found(image_id=9)], "name image ids that the data set does not have"),
        ({"categories": []}, [found(1)], "lists no categories"),
        ({}, [], "holds no detection"),
    ],
)
def test_what_is_refused(tmp_path, changes, detections, message):
    path = write_coco(tmp_path, **changes)
    (tmp_path / "found.json").write_text(json.dumps(detections))
    with pytest.raises(DataError, match=message):
        list(CocoSource(str(path), detections="" if detections is None else str(tmp_path / "found.json")).items())


def test_a_list_of_detections_is_no_source(tmp_path):
    (tmp_path / "found.json").write_text(json.dumps([found()]))
    with pytest.raises(DataError, match="give it to --detections"):
        list(CocoSource(str(tmp_path / "found.json")).items())
