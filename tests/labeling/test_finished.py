"""Results read again, exported, and asked for once more: the same from tables and from tar shards."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import pytest
from tests.labeling.small_jobs import BOX, Backend, order

from samlet.data.coco import parse_samples
from samlet.errors import InputError, OutputError, PromptError
from samlet.labeling.asking import Prompted
from samlet.labeling.driver import label
from samlet.labeling.engines.local import LocalEngine
from samlet.labeling.exporting import FORMATS, export_results, names_of
from samlet.labeling.finished import finished_job, read_results
from samlet.labeling.items import Item
from samlet.labeling.job import read_job, write_job
from samlet.labeling.places import Folder
from samlet.labeling.refining import Refined
from samlet.predictor import Predictor

pytest.importorskip("pyarrow")
IDS = ("a.jpg", "a.png", "b/c.jpg", "broken.jpg", "d.jpg")


@pytest.fixture(scope="module", params=["parquet", "sa1b"])
def results(request, tmp_path_factory):
    """A finished job of five images in shards of two, one of them broken, one without objects."""
    place = Folder(tmp_path_factory.mktemp("jobs") / request.param)
    wanted = replace(order(place.path, IDS, per_shard=2), output=request.param)
    label(wanted, LocalEngine(0), max_broken=1)
    return place


def test_results_are_read_image_by_image(results):
    found = list(read_results(results, finished_job(results)))
    assert [image.image_id for image in found] == ["a.jpg", "a.png", "b/c.jpg", "d.jpg"]
    for image in found:
        assert (image.masks.size_hw, len(image.masks), image.labels) == ((24, 24), 1, ("thing",))
        assert image.masks[0].area_px > 0
        assert image.masks[0].iou is not None


def test_what_is_not_finished_is_not_read(results, tmp_path):
    with pytest.raises(InputError, match="holds no job"):
        finished_job(Folder(tmp_path))
    job = read_job(results)
    write_job(Folder(tmp_path), job)
    with pytest.raises(InputError, match="is not finished: 0 of 3 shards are done"):
        finished_job(Folder(tmp_path))


def test_lost_and_damaged_files_are_named(results, tmp_path):
    import shutil

    shutil.copytree(results.path, tmp_path / "copy")
    copy = Folder(tmp_path / "copy")
    data = copy.path / ("sa1b" if (copy.path / "sa1b").exists() else "masks")
    for path in data.iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(Exception, match=r"(cannot be read as Parquet|is not a plain tar)"):
        list(read_results(copy, finished_job(copy)))
    for path in data.iterdir():
        path.unlink()
    with pytest.raises(Exception, match=r"(is gone|does not exist)"):
        list(read_results(copy, finished_job(copy)))


def test_every_format_is_written_whole(results, tmp_path):
    heard = []
    out = tmp_path / "out"
    assert export_results(results, out, FORMATS, lambda *progress: heard.append(progress)) == 4
    assert heard[-1] == (4, 5)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert [name for name in names if name.startswith("yolo")] == [
        "yolo/data.yaml",
        "yolo/labels/a_jpg_1.txt",
        "yolo/labels/a_png_2.txt",
        "yolo/labels/b/c.txt",
        "yolo/labels/d.txt",
    ]
    assert {"masks/b/c/001_thing.png", "labelme/d.json", "label-map/objects/d.png"} <= set(names)
    coco = parse_samples(json.loads((out / "annotations.coco.json").read_text()), out)
    assert [len(sample.annotations) for sample in coco] == [1, 1, 1, 1]
    assert {annotation.category for sample in coco for annotation in sample.annotations} == {"thing"}


@pytest.mark.parametrize(("formats", "message"), [(("bmp",), "bmp cannot be exported"), ((), "nothing cannot be")])
def test_what_cannot_be_exported(results, tmp_path, formats, message):
    with pytest.raises(InputError, match=message):
        export_results(results, tmp_path / "out", formats)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_empty_is_left_alone(results, tmp_path):
    (tmp_path / "mine.txt").touch()
    for folder in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(OutputError, match="is there already"):
            export_results(results, folder, ("coco",))
    (tmp_path / "empty").mkdir()
    export_results(results, tmp_path / "empty", ("coco",))


def test_files_of_images_are_told_apart():
    ids = ["x/a.jpg", "x/a.png", "/data/b.jpg", "https://host/c.jpg", ".."]
    assert list(names_of(ids).values()) == ["x/a_jpg_1.jpg", "x/a_png_2.png", "data/b.jpg", "host/c.jpg", "image"]


def test_masks_of_a_former_run_are_asked_for_again(results, tmp_path):
    refined = pickle.loads(pickle.dumps(Refined(results, Prompted(refine="none"))))  # noqa: S301 our own bytes
    wanted = replace(order(tmp_path / "again", ("a.jpg", "d.jpg"), ask=refined))
    assert label(wanted, LocalEngine(0)).done.masks == 2
    again = list(read_results(wanted.place, finished_job(wanted.place)))
    assert [image.labels for image in again] == [("thing",)] * 2
    assert read_job(wanted.place).ask["former_sha256"] == refined.to_json()["former_sha256"]


def test_a_former_run_without_the_image(results):
    predictor, refined = Predictor(Backend()), Refined(results)
    for image_id in ("0.jpg", "broken.jpg", "zzz.jpg"):
        with pytest.raises(PromptError, match=f"has no masks of {image_id}"):
            refined.answer(predictor, Item(image_id, image_id, prompts=(BOX,)), None, None)
