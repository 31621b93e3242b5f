from __future__ import annotations

import json
import re
import shutil

import pytest
from PIL import Image

pytest.importorskip("pyarrow")
pytest.importorskip("fsspec")

FEW = ("--points-per-side", "2", "--pred-iou-thresh", "0.1", "--stability-score-thresh", "0.1", "--workers", "0")


@pytest.fixture
def photos(photo, loads):
    """A folder with a photo, one in a folder below, and none of ours."""
    folder = photo.parent / "photos"
    (folder / "day1").mkdir(parents=True)
    shutil.copy(photo, folder / "b.jpg")
    shutil.copy(photo, folder / "day1" / "a.jpg")
    Image.new("RGB", (8, 8)).save(folder / "b.overlay.png")
    return folder


@pytest.fixture
def manifest(photos):
    rows = [
        {"path": "b.jpg", "boxes_xyxy": [[10, 10, 60, 60], [90, 90, 150, 150]], "label": ["cat", "dog"]},
        {"path": "day1/a.jpg", "points_xy": [[100, 100]]},
    ]
    path = photos / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def records(folder):
    import pyarrow.parquet as pq

    return pq.read_table(folder).to_pylist()


def test_everything_in_a_folder(samlet, photos, workplace):
    code, out, err = samlet("label", photos, "--output", "out", *FEW)
    assert code == 0, err
    assert re.search("images +2 of 2", out)
    assert "shard 1: 1 image, " in err
    assert [image["image_id"] for image in records(workplace / "out" / "images")] == ["b.jpg", "day1/a.jpg"]
    assert len(records(workplace / "out" / "masks")) > 2
    job = json.loads((workplace / "out" / "job.json").read_text())
    assert job["ask"]["pred_iou_thresh"] == 0.1
    assert (job["images_per_shard"], job["model"]["threads"]) == (1, 1)
    code, out, _ = samlet("label", photos, "--output", "out", *FEW, "--json")
    assert (code, json.loads(out)["done"]["images"]) == (0, 2)


def test_prompts_of_a_manifest(samlet, manifest, workplace):
    code, _, err = samlet("label", manifest, "--output", "out", "--workers", "0", "--refine", "none")
    assert code == 0, err
    masks = records(workplace / "out" / "masks")
    assert [(mask["image_id"], mask["label"]) for mask in masks] == [
        ("b.jpg", "cat"),
        ("b.jpg", "dog"),
        ("day1/a.jpg", None),
    ]
    job = json.loads((workplace / "out" / "job.json").read_text())
    assert job["ask"] == {"what": "prompts", "refine": "none", "clean": True, "select": "iou"}
    assert job["images_per_shard"] == 1


def test_a_manifest_may_be_asked_for_everything(samlet, manifest, workplace):
    assert samlet("label", manifest, "--output", "out", *FEW, "--ask", "everything")[0] == 0
    assert {mask["label"] for mask in records(workplace / "out" / "masks")} == {None}


def test_broken_photos_are_passed_over_where_allowed(samlet, photos, workplace):
    (photos / "c.jpg").write_bytes(b"no photo")
    code, out, err = samlet("label", photos, "--output", "out", *FEW)
    assert (code, out) == (2, "")
    assert "1 image could not be labeled, more than --max-broken 0 allows" in err
    code, out, err = samlet("label", photos, "--output", "out", *FEW, "--max-broken", "1")
    assert (code, bool(re.search("broken +1, see out/quarantine", out))) == (3, True)
    assert err.endswith("1 image could not be labeled, see out/quarantine; all others are done.\n")


def test_the_status_of_a_job(samlet, refused, photos, workplace):
    samlet("label", photos, "--output", "out", *FEW)
    code, out, _ = samlet("label", "status", "out")
    assert code == 0
    assert "state" in out
    assert "finished" in out
    (workplace / "out" / "shards" / "00000000.json").unlink()
    status = json.loads((workplace / "out" / "status.json").read_text()) | {"state": "running"}
    (workplace / "out" / "status.json").write_text(json.dumps(status))
    told = json.loads(samlet("label", "status", "out", "--json")[1])
    assert (told["state"], told["done"]["images"], told["worked_on_by"]) == ("stopped", 1, None)
    assert refused("label", "status", "nowhere") == "nowhere holds no job of samlet label."


def test_a_plan_writes_nothing(samlet, photos, workplace):
    code, out, err = samlet("label", photos, "--output", "out", *FEW, "--dry-run", "--machines", "7")
    assert (code, err) == (0, "")
    assert "bottleneck" in out
    assert "on 7 such machines" in out
    told = json.loads(samlet("label", photos, "--output", "out", *FEW, "--dry-run", "--json")[1])
    assert (told["images"], told["shards"], set(told["hours_on_machines"])) == (2, 2, {"1", "10"})
    assert list(workplace.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("{photos}/*.png", "--output", "out"), "No image matches {photos}/*.png"),
        (("nowhere", "--output", "out"), "nowhere does not exist."),
        (("{photos}", "--output", "out", "--ask", "prompts"), "brings no prompts: give a manifest with boxes_xyxy"),
        (("{photos}", "--output", "out", "--images", "x"), "--images belongs to a manifest or a COCO file"),
        (("{photos}", "--output", "gs://x/y"), "results go to a folder or to an s3:// store"),
        (("{photos}", "--output", "{photos}"), "is not empty"),
        (("{photos}", "--output", "{photos}/b.jpg"), "a file is in the way"),
        (("{photos}", "{photos}", "--output", "out"), 'Two images have the id "b.jpg"'),
        (("{photos}", "--output", "out", "--images-per-shard", "0"), "It must be from 1 to 100,000."),
        (("{photos}",), "--output"),
    ],
)
def test_bad_words(refused, photos, workplace, words, message):
    assert message.format(photos=photos) in refused("label", *(word.format(photos=photos) for word in words), *FEW)
    assert not (workplace / "out" / "shards").exists()


def test_another_question_is_refused_with_its_difference(samlet, refused, photos):
    samlet("label", photos, "--output", "out", *FEW)
    sentence = refused("label", photos, "--output", "out", *FEW, "--no-clean")
    assert "ask.clean is false now and was true" in sentence


@pytest.mark.slow
def test_two_processes_of_the_shipped_model_write_the_bytes_of_one(samlet, photo, workplace):
    few = ("--points-per-side", "4", "--images-per-shard", "1")
    for name in ("a", "b", "c"):
        shutil.copy(photo, workplace / f"{name}.jpg")
    for workers in ("0", "2"):
        assert samlet("label", "*.jpg", "--output", f"out{workers}", *few, "--workers", workers)[0] == 0
    files = [path for path in (workplace / "out0").rglob("*") if path.is_file() and path.name != "status.json"]
    assert len(files) == 3 * 3 + 2
    for path in files:
        assert path.read_bytes() == (workplace / "out2" / path.relative_to(workplace / "out0")).read_bytes()


def test_results_are_exported_and_asked_for_again(samlet, refused, manifest, photos, workplace):
    prompted = ("--workers", "0", "--refine", "none")
    assert samlet("label", manifest, "--output", "out", "--format", "sa1b", *prompted)[0] == 0
    code, out, err = samlet("label", "export", "out", "--output", "coco", "--format", "coco", "--format", "masks")
    assert (code, out) == (0, "Wrote the masks of 2 images to coco.\n"), err
    coco = json.loads((workplace / "coco" / "annotations.coco.json").read_text())
    assert [category["name"] for category in coco["categories"]] == ["cat", "dog", "object"]
    assert len(list((workplace / "coco" / "masks" / "b").iterdir())) == 2
    assert "is there already" in refused("label", "export", "out", "--output", "coco")
    code, _, err = samlet("label", photos, "--output", "again", "--former", "out", *prompted)
    assert code == 0, err
    assert [mask["label"] for mask in records(workplace / "again" / "masks")] == ["cat", "dog", None]
    assert "holds no job" in refused("label", photos, "--output", "third", "--former", "nowhere")


def test_engines_are_told_apart(refused, photos):
    words = ("label", photos, "--output", "out", "--engine", "ray", "--workers", "2")
    assert "No Ray cluster can be reached" in refused(*words, "--ray-address", "127.0.0.1:1")
    assert "belongs to --engine ray" in refused("label", photos, "--output", "out", "--min-workers", "2")
