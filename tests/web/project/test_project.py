"""A project on disk: which photos it has, what it keeps, what it refuses, what it writes and takes in."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from tests.web.project_photos import SIZE_HW, layer, photo, run_lengths, square

pytest.importorskip("fastapi")

from samlet.data.labelled import LABELLED_FORMATS
from samlet.errors import DataError, ImageError, InputError, SamletError
from samlet.files import forget
from samlet.geometry import rle
from samlet.web.project import Project
from samlet.web.project.annotations import StaleError
from samlet.web.project.labels import PALETTE, Label
from samlet.web.project.project import UnknownPhotoError


@pytest.fixture
def folder(tmp_path):
    photo(tmp_path / "photos/b.png")
    photo(tmp_path / "photos/sub/a.jpg", (30, 20))
    return tmp_path / "photos"


@pytest.fixture
def project(folder):
    return Project(folder)


def images(project) -> dict[str, dict]:
    return {image["name"]: image for image in project.describe()["images"]}


def id_of(project, name="b.png") -> str:
    return images(project)[name]["id"]


def exported(project, formats, photos=None):
    name, path = project.export(formats, photos)
    content = path.read_bytes()
    forget(path)
    return name, content


def test_photos_are_those_of_the_folder_and_all_below(folder, project, tmp_path):
    photo(folder / ".hidden/c.png")
    photo(folder / "b.overlay.png")
    (folder / "notes.txt").write_text("no photo")
    secret = photo(tmp_path / "elsewhere/secret.png")
    (folder / "link.png").symlink_to(secret)
    (folder / "links").symlink_to(secret.parent)
    assert list(images(project)) == ["b.png", "sub/a.jpg"]
    assert id_of(Project(folder)) == id_of(project)  # also after another start


def test_a_photo_that_became_a_link_is_not_followed(folder, project, tmp_path):
    number = id_of(project)
    (folder / "b.png").unlink()
    (folder / "b.png").symlink_to(photo(tmp_path / "elsewhere/secret.png"))
    for ask in (project.image_bytes, project.annotations, lambda known: project.picture(known, None)):
        with pytest.raises(ImageError, match="not there any more"):
            ask(number)
    with pytest.raises(UnknownPhotoError):
        project.image_bytes("../b.png")


def test_what_is_saved_comes_back_and_survives_another_start(folder, project):
    number = id_of(project)
    sent = layer(prompts={"points": [[1.0, 2.0]], "labels": [1]}, iou=0.9, strokes={"added": run_lengths(square())})
    assert project.save(number, 0, False, [sent]) == 1
    again = Project(folder)
    assert again.annotations(number) == {"revision": 1, "done": False, "layers": [sent]}
    assert images(again)["b.png"] | {"size": None} == {
        "id": number, "name": "b.png", "size": None, "state": "started", "masks": 1, "removable": False,
    }  # fmt: skip
    again.save(number, 1, True, [])
    assert images(again)["b.png"]["state"] == "done"
    assert not list(folder.glob("*.json"))  # nothing beside the user's photos


def test_who_saves_an_old_revision_is_refused(project):
    number = id_of(project)
    project.save(number, 0, False, [layer()])
    with pytest.raises(StaleError, match="somebody else"):
        project.save(number, 0, False, [])
    assert project.annotations(number)["revision"] == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (run_lengths(square(size_hw=(20, 20))), "does not fit"),
        ({"size": list(SIZE_HW), "counts": [1, 2]}, "fills 3 of"),
        ({"size": list(SIZE_HW), "counts": [-5, 2405]}, "damaged"),
    ],
)
def test_masks_that_are_none_of_the_photo_are_refused(code, words, project):
    with pytest.raises(DataError, match=words):
        project.save(id_of(project), 0, False, [layer() | {"rle": code}])
    assert project.annotations(id_of(project))["revision"] == 0


def test_photos_that_are_sent_are_kept_apart_and_can_go_again(folder, project):
    content = (folder / "b.png").read_bytes()
    first, second = project.add("../../b.png", content), project.add("b.png", content)
    assert [first["name"], second["name"]] == ["b.png", "b (2).png"]
    assert sorted(path.name for path in (folder / ".samlet/images").iterdir()) == ["b (2).png", "b.png"]
    assert first["removable"]
    assert first["id"] != id_of(Project(folder), "sub/a.jpg")
    project.save(second["id"], 0, False, [layer()])
    project.remove(second["id"])
    assert len(images(project)) == 2 + 1 - 1  # two are called b.png
    with pytest.raises(UnknownPhotoError):
        project.annotations(second["id"])
    with pytest.raises(InputError, match="your own folder"):
        project.remove(id_of(project, "sub/a.jpg"))
    with pytest.raises(ImageError, match="not an image"):
        project.add("x.png", b"no image at all")


def test_labels_are_kept_and_renamed_on_every_photo(folder, project):
    project.set_labels([Label("cat", "#112233"), Label("dog", "#445566")])
    for name, size_hw in (("b.png", SIZE_HW), ("sub/a.jpg", (30, 20))):
        project.save(id_of(project, name), 0, False, [layer(mask=square(size_hw=size_hw))])
    project.set_labels([Label("tiger", "#112233"), Label("dog", "#445566")], ("cat", "tiger"))
    again = Project(folder)
    assert [label["name"] for label in again.describe()["labels"]] == ["tiger", "dog"]
    for name in ("b.png", "sub/a.jpg"):
        assert again.annotations(id_of(again, name))["layers"][0]["label"] == "tiger"
        assert again.annotations(id_of(again, name))["revision"] == 2
    with pytest.raises(InputError, match="same name"):
        project.set_labels([Label("a", "#000000")] * 2)


def test_pictures_are_small_where_small_ones_are_asked_for(folder, project):
    photo(folder / "wide.jpg", (100, 400), shade=200)
    whole, small = (project.picture(id_of(project, "wide.jpg"), side) for side in (None, 100))
    assert whole.content == (folder / "wide.jpg").read_bytes()
    assert Image.open(io.BytesIO(small.content)).size == (100, 25)
    assert project.picture(id_of(project, "wide.jpg"), 100) is small  # kept
    assert Image.open(io.BytesIO(project.picture(id_of(project), None).content)).format == "JPEG"
    photo(folder / "wide.jpg", (50, 50))
    assert project.picture(id_of(project, "wide.jpg"), 100).mark != small.mark


def test_coco_comes_out_as_pycocotools_takes_it(project, tmp_path):
    from pycocotools.coco import COCO

    project.set_labels([Label("dog", PALETTE[0]), Label("cat", PALETTE[1])])
    project.save(id_of(project), 0, False, [layer(), layer("b", "dog", square(20, 10, 7))])
    name, content = exported(project, ["coco"])
    assert name == "annotations.coco.json"  # one file is given as it is
    (tmp_path / name).write_bytes(content)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / name)
    assert [coco.imgs[number]["file_name"] for number in coco.getImgIds()] == ["b.png"]  # without those nobody marked
    assert [coco.cats[one["category_id"]]["name"] for one in coco.loadAnns([1, 2])] == ["cat", "dog"]
    assert (rle.decode(rle.from_json(coco.annToRLE(coco.anns[1]))) == square()).all()


def test_every_format_comes_in_one_zip(project):
    project.save(id_of(project), 0, False, [layer()])
    name, content = exported(project, LABELLED_FORMATS, [id_of(project)])
    assert name.endswith(".zip")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        folders = {member.partition("/")[0] for member in archive.namelist()}
        mask = np.array(Image.open(archive.open("masks/b/001_cat.png")))
    assert {"labelme", "yolo", "masks", "label-map", "cutouts", "geojson", "sa1b"} <= folders
    assert (mask == square() * 255).all()
    with pytest.raises(InputError, match="no format"):
        project.export(["pdf"], None)


@pytest.mark.parametrize("form", ["coco", "labelme", "sa1b"])
def test_what_is_exported_can_be_brought_into_another_project(form, folder, project, tmp_path):
    project.save(id_of(project), 0, False, [layer(), layer("b", "dog", square(20, 10, 7))])
    name, content = exported(project, [form])
    other = Project(folder, tmp_path / "other")
    told = other.import_file(name, content)
    assert told == {"images": [id_of(other)], "masks": 2, "message": "2 masks on 1 image came in."}
    layers = other.annotations(id_of(other))["layers"]
    assert [one["label"] for one in layers] == (["object"] * 2 if form == "sa1b" else ["cat", "dog"])
    assert form == "labelme" or layers[0]["rle"] == layer()["rle"]  # outlines are as exact as outlines are
    assert len(other.describe()["labels"]) == (1 if form == "sa1b" else 2)
    assert other.import_file(name, content)["masks"] == 0  # nothing twice


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b"{", "JSON"),
        ("a.json", b"[]", "none of COCO"),
        ("a.json", json.dumps({"images": 3}).encode(), "images"),
        (
            "z.json",
            json.dumps({"shapes": [], "imagePath": "z.jpg", "imageHeight": 4, "imageWidth": 4}).encode(),
            "z.jpg",
        ),
        (
            "b.json",
            json.dumps({"shapes": [], "imagePath": "b.png", "imageHeight": 4, "imageWidth": 4}).encode(),
            "size",
        ),
    ],
)
def test_files_that_do_not_belong_here_are_refused_in_a_sentence(name, content, words, project):
    with pytest.raises(DataError, match=words):
        project.import_file(name, content)


def test_a_project_needs_a_place(tmp_path):
    with pytest.raises(InputError, match="not a folder"):
        Project(tmp_path / "missing")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SamletError, match="in the way"):
        Project(None, tmp_path / "file")
    assert Project(None, tmp_path / "new").describe()["images"] == []


def test_a_damaged_file_is_named(folder, project):
    (folder / ".samlet/annotations").mkdir(parents=True)
    (folder / f".samlet/annotations/{id_of(project)}.json").write_text('{"layers": 3}')
    with pytest.raises(DataError, match="move it away"):
        Project(folder).describe()
