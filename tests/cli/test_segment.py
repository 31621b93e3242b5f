from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samlet import files, images
from samlet.cli import segment as module
from samlet.masks import MaskSet


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def area(path: Path) -> int:
    mask = read(path)
    assert mask.ndim == 2
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {0, 255}
    return int((mask == 255).sum())


def disc_px(radius: float) -> pytest.approx:
    return pytest.approx(np.pi * radius**2, rel=0.03)


def test_a_click_writes_a_mask_a_picture_and_a_record(samlet, loads, photo, workplace):
    code, out, err = samlet("segment", photo, "--point", "100,80", "--raw")
    assert (code, err) == (0, "")
    assert names(workplace) == ["photo.json", "photo.mask.png", "photo.overlay.png"]
    assert area(workplace / "photo.mask.png") == disc_px(30)  # the candidate with the best predicted IoU
    assert read(workplace / "photo.overlay.png").shape == (192, 256, 3)
    record = json.loads((workplace / "photo.json").read_text())
    assert record["image"] == {"image_id": 0, "width": 256, "height": 192, "file_name": "photo.jpg"}
    (mask,) = MaskSet.from_json(record)
    assert mask.area_px == area(workplace / "photo.mask.png")
    assert mask.iou == pytest.approx(0.9)
    unsaid = dict.fromkeys(("checkpoint", "device", "precision", "threads"))
    assert loads == [(None, {**unsaid, "backend": "auto", "task": "promptable"})]
    assert "0.900" in out
    assert "photo.mask.png" in out


def test_options_reach_the_model(samlet, loads, photo):
    words = ("--model", "vit_t", "--backend", "torch", "--checkpoint", "a.pt", "--device", "cuda:1", "--threads", 2)
    assert samlet("segment", photo, "--point", "1,1", *words, "--precision", "float16")[0] == 0
    options = {"backend": "torch", "checkpoint": Path("a.pt"), "device": "cuda:1", "precision": "float16", "threads": 2}
    assert loads == [("vit_t", {**options, "task": "promptable"})]


def test_each_box_is_a_mask_and_points_belong_to_all(samlet, loads, photo, workplace, monkeypatch):
    seen = []
    parse = module.parse_prompts
    monkeypatch.setattr(module, "parse_prompts", lambda *texts: seen.append(parse(*texts)) or seen[0])
    words = ["--box", "60,60,90,90", "--box=100,100,200,190", "--point", "70,70,0", "--point", "80,80"]
    assert samlet("segment", photo, *words)[0] == 0
    assert seen[0].points_xy.tolist() == [
        [[70, 70], [80, 80], [60, 60], [90, 90]],
        [[70, 70], [80, 80], [100, 100], [200, 190]],
    ]
    assert seen[0].labels.tolist() == [[0, 1, 2, 3]] * 2
    assert names(workplace) == ["photo.json", "photo.mask.1.png", "photo.mask.2.png", "photo.overlay.png"]


@pytest.mark.parametrize(
    ("choice", "radii"),
    [("best", [30]), ("single", [10]), ("multimask", [20, 30, 40]), ("every", [10, 20, 30, 40])],
)
def test_the_candidates_of_the_network(samlet, loads, photo, workplace, choice, radii):
    assert samlet("segment", photo, "--point", "128,96", "--candidates", choice)[0] == 0
    files = sorted(workplace.glob("photo.mask*.png"))
    assert [area(file) for file in files] == [disc_px(radius) for radius in radii]


@pytest.mark.parametrize("option", ["--all-masks", "--raw"])
def test_two_choices_of_candidates(refused, loads, photo, option):
    assert f"{option} means --candidates" in refused(
        "segment", photo, "--point", "9,9", option, "--candidates", "every"
    )


def test_all_masks(samlet, loads, photo, workplace):
    samlet("segment", photo, "--point", "128,96", "--all-masks")
    assert [area(workplace / f"photo.mask.{number}.png") for number in (1, 2, 3)] == [disc_px(r) for r in (20, 30, 40)]


def test_the_best_by_stability(samlet, loads, photo, workplace):
    samlet("segment", photo, "--point", "128,96", "--select", "stability", "--raw")
    assert area(workplace / "photo.mask.png") == disc_px(40)  # the largest disc has the least rim


def test_a_mask_is_refined_as_the_option_says(samlet, loads, photo, workplace):
    areas = {}
    for refine in ("auto", "look", "edges", "none"):
        assert samlet("segment", photo, "--point", "100,80", "--refine", refine)[0] == 0
        areas[refine] = area(workplace / "photo.mask.png")
    # On its grid the disc of a second look is as large, and the window a third of the photo.
    assert areas["none"] == disc_px(30)
    assert areas["look"] < 0.6 * areas["none"]
    assert len(set(areas.values())) == 4


def test_other_formats_are_written_on_request(samlet, loads, photo, workplace):
    second = photo.with_name("second.png")
    Image.new("L", (300, 200)).save(second)
    forms = ("sa1b", "png", "coco", "labelme", "yolo", "polygons", "geojson")
    words = [word for form in forms for word in ("--format", form)]
    assert samlet("segment", photo, second, "--point", "100,80", *words)[0] == 0
    suffixes = (".geojson", ".json", ".labelme.json", ".mask.png", ".overlay.png", ".polygons.json", ".txt")
    assert names(workplace) == sorted(
        ["annotations.coco.json", *(stem + suffix for stem in ("photo", "second") for suffix in suffixes)]
    )
    coco = json.loads((workplace / "annotations.coco.json").read_text())
    assert [image["file_name"] for image in coco["images"]] == ["photo.jpg", "second.png"]
    assert json.loads((workplace / "photo.labelme.json").read_text())["imagePath"] == "../photo.jpg"
    assert samlet("segment", photo, second, "--point", "120,80", *words)[0] == 0  # our own files are replaced


@pytest.mark.parametrize(("form", "name"), [("yolo", "photo.txt"), ("coco", "annotations.coco.json")])
def test_files_of_the_user_in_other_formats_stay(samlet, refused, loads, photo, workplace, form, name):
    words = ("segment", photo, "--point", "100,80", "--format", form)
    (workplace / name).write_text("{}")
    assert "was not written by samlet" in refused(*words)
    assert (workplace / name).read_text() == "{}"
    assert samlet(*words, "--overwrite")[0] == 0
    (workplace / name).write_text((workplace / name).read_text() + " ")
    assert form == "coco" or "changed since" in refused(*words)


def test_json_and_nothing_else_on_stdout(samlet, loads, photo, workplace):
    code, out, err = samlet("segment", photo, "--point", "100,80", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == json.loads((workplace / "photo.json").read_text())


def test_several_images(samlet, loads, photo, workplace):
    second = photo.with_name("second.png")
    Image.new("L", (300, 200)).save(second)
    code, out, _ = samlet("segment", photo, second, "--point", "100,80", "--output", "new/folder", "--json")
    assert code == 0
    assert [json.loads(line)["image"]["file_name"] for line in out.splitlines()] == ["photo.jpg", "second.png"]
    assert [json.loads(line)["image"]["image_id"] for line in out.splitlines()] == [0, 1]
    assert len(names(workplace / "new" / "folder")) == 6
    assert len(loads) == 1


def test_results_of_an_earlier_run_are_replaced(samlet, loads, photo, workplace):
    samlet("segment", photo, "--point", "100,80")
    first = (workplace / "photo.mask.png").read_bytes()
    samlet("segment", photo, "--point", "120,80")
    assert (workplace / "photo.mask.png").read_bytes() != first


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "There is nothing to segment: give a --point X,Y or a --box X0,Y0,X1,Y1."),
        (["--point", "256,10"], "outside the image"),
        (["--point", "-1,10"], "outside the image"),
        (["--point=10,192"], "outside the image"),
        (["--point", "nan,10"], "nan"),
        (["--point", "inf,10"], "inf"),
        (["--point", "10"], '--point "10"'),
        (["--point", "10,10,1,1"], '--point "10,10,1,1"'),
        (["--point", "ten,10"], '--point "ten,10"'),
        (["--point", ""], '--point ""'),
        (["--point", "10,10,2"], "1 (foreground) or 0 (background)"),
        (["--point", "10,10,-1"], "1 (foreground) or 0 (background)"),
        (["--point", "10,10,nan"], "1 (foreground) or 0 (background)"),
        (["--box", "1,2,3"], '--box "1,2,3"'),
        (["--box", "10,10,5,20"], "Box (10, 10, 5, 20)"),
        (["--box", "10,10,10,20"], "Box (10, 10, 10, 20)"),
        (["--box", "10,10,20,193.5"], "outside the image"),
        (["--box", "nan,10,20,30"], "nan"),
    ],
)
def test_bad_prompts(refused, loads, photo, workplace, words, sentence):
    assert sentence in refused("segment", photo, *words)
    assert names(workplace) == []


def truncated_jpeg(path: Path) -> None:
    Image.effect_noise((200, 200), 80).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


def bomb(path: Path) -> None:
    Image.new("1", (20_000, 10_000)).save(path, "PNG")


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,  # missing
        lambda path: path.mkdir(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("not a picture"),
        truncated_jpeg,
        bomb,
    ],
    ids=["missing", "folder", "empty", "text", "truncated", "bomb"],
)
def test_bad_images(refused, loads, workplace, make):
    path = workplace.parent / "bad.jpg"
    make(path)
    assert "bad.jpg" in refused("segment", path, "--point", "10,10")
    assert names(workplace) == []


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("I;16", ".png"), ("CMYK", ".jpg"), ("P", ".png"), ("RGBA", ".png"), ("L", ".jpg"), ("1", ".gif")],
)
def test_images_of_every_kind_work(samlet, loads, workplace, mode, suffix):
    path = workplace.parent / f"photo{suffix}"
    Image.new(mode, (200, 100)).save(path)
    assert samlet("segment", path, "--point", "150,50")[0] == 0
    assert read(workplace / "photo.mask.png").shape == (100, 200)


def test_an_image_is_turned_as_its_camera_says(samlet, refused, loads, workplace):
    path = workplace.parent / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (200, 100)).save(path, exif=exif)
    assert samlet("segment", path, "--point", "50,150")[0] == 0
    assert read(workplace / "turned.mask.png").shape == (200, 100)
    assert "outside the image" in refused("segment", path, "--point", "150,50")


def test_an_animation_gives_its_first_frame(samlet, loads, workplace):
    path = workplace.parent / "film.gif"
    Image.new("L", (64, 64), 255).save(path, save_all=True, append_images=[Image.new("L", (64, 64))])
    assert samlet("segment", path, "--point", "5,5")[0] == 0


def test_every_image_must_exist_before_the_first_is_touched(refused, loads, photo, workplace):
    assert refused("segment", photo, photo.with_name("gone.jpg"), "--point", "10,10").startswith(
        str(photo.with_name("gone.jpg"))
    )
    assert names(workplace) == []
    assert loads == []


def test_a_bad_image_stops_the_run_and_is_named(samlet, loads, photo, workplace):
    small = photo.with_name("small.png")
    Image.new("L", (8, 8)).save(small)
    last = photo.with_name("zlast.png")
    Image.new("L", (256, 256)).save(last)
    code, out, err = samlet("segment", photo, small, last, "--point", "100,80", "--json")
    assert code == 2
    assert f'error: "{small}": Point (100, 80) lies outside' in err
    assert json.loads(out)["image"]["file_name"] == "photo.jpg"
    assert names(workplace) == ["photo.json", "photo.mask.png", "photo.overlay.png"]


def test_images_that_would_write_the_same_files(refused, loads, photo, workplace):
    twin = photo.with_suffix(".png")
    Image.new("L", (256, 192)).save(twin)
    sentence = refused("segment", photo, twin, "--point", "10,10")
    assert str(photo) in sentence
    assert str(twin) in sentence
    assert names(workplace) == []


def test_an_address_is_named_as_such(refused, loads, workplace):
    sentence = refused("segment", "https://example.com/a.jpg", "--point", "1,1")
    assert sentence == "https:/example.com/a.jpg does not exist: samlet reads files, so download it first."
    assert loads == []


def test_the_same_image_twice(refused, loads, photo):
    assert "both write" in refused("segment", photo, photo, "--point", "10,10")


def test_an_image_of_the_call_is_never_overwritten(refused, loads, workplace):
    for name in ("dog.jpg", "dog.mask.png"):
        Image.new("L", (64, 64)).save(workplace / name)
    before = (workplace / "dog.mask.png").read_bytes()
    assert "overwrite" in refused("segment", "dog.jpg", "dog.mask.png", "--point", "10,10")
    assert (workplace / "dog.mask.png").read_bytes() == before


def test_a_full_disk(refused, loads, photo, workplace, monkeypatch):
    write = files._write

    def full(path, content):
        if "overlay" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(path, content)

    monkeypatch.setattr(files, "_write", full)
    sentence = refused("segment", photo, "--point", "10,10")
    assert sentence == 'Cannot write "photo.overlay.png": the disk is full: free some space or choose another folder.'
    assert names(workplace) == []


def test_an_unwritable_folder(refused, loads, photo, workplace, monkeypatch):
    def forbidden(*_arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "write_bytes", forbidden)  # root, who runs many containers, may write everywhere
    assert "no permission" in refused("segment", photo, "--point", "10,10", "--output", "out")
    assert names(workplace / "out") == []


def test_an_output_that_is_a_file(refused, loads, photo, workplace):
    (workplace / "out").write_bytes(b"precious")
    assert 'Cannot write "out"' in refused("segment", photo, "--point", "10,10", "--output", "out")
    assert (workplace / "out").read_bytes() == b"precious"


def test_an_interrupt_leaves_only_finished_images(samlet, loads, photo, workplace, monkeypatch):
    second = photo.with_name("second.png")
    Image.new("L", (256, 256)).save(second)
    read_image = module.read_image

    def interrupted(path):
        if path == second:
            raise KeyboardInterrupt
        return read_image(path)

    monkeypatch.setattr(module, "read_image", interrupted)
    code, _, err = samlet("segment", photo, second, "--point", "100,80")
    assert (code, err) == (130, "error: Interrupted.\n")
    assert names(workplace) == ["photo.json", "photo.mask.png", "photo.overlay.png"]


def test_smooth_is_for_cleaned_masks(samlet, photo, loads):
    assert samlet("segment", photo, "--point", "100,80", "--smooth", "0.1")[0] == 0
    code, _, err = samlet("segment", photo, "--point", "100,80", "--smooth", "0.1", "--raw")
    assert (code, "--smooth is for cleaned masks" in err) == (2, True)


@pytest.fixture
def scene(photo, monkeypatch):
    """A picture of 1500 x 1200 pixels, which is more than may be read at once."""
    Image.new("RGB", (1500, 1200), "gray").save(photo.with_name("scene.png"))
    monkeypatch.setattr(images, "MAX_PIXELS", 1_500_000)
    monkeypatch.setattr("samlet.cli.scenes.PICTURE_PX", 500)
    return photo.with_name("scene.png")


def test_a_scene_too_large_to_be_read_at_once_is_looked_at_by_windows(samlet, loads, scene, workplace):
    code, _, err = samlet("segment", scene, "--point", "1300,700", "--raw", "--box", "1200,600,1400,800")
    assert (code, err) == (0, "")
    mask = read(workplace / "scene.mask.png")
    assert mask.shape == (1200, 1500)
    rows, columns = np.nonzero(mask)
    assert abs(rows.mean() - 700) < 5
    assert abs(columns.mean() - 1300) < 5
    assert read(workplace / "scene.overlay.png").shape == (400, 500, 3)
    assert json.loads((workplace / "scene.json").read_text())["image"]["width"] == 1500


def test_a_prompt_outside_a_scene_is_refused_with_its_name(refused, loads, scene):
    assert "scene.png" in refused("segment", scene, "--point", "1500,10")


def test_a_scene_above_the_bound_is_refused_with_the_option_that_lifts_it(refused, samlet, loads, scene):
    words = ("segment", scene, "--point", "10,10", "--max-megapixels")
    assert "--max-megapixels" in refused(*words, "1.7")
    assert samlet(*words, "2")[0] == 0
    assert "1 to 1,000" in refused(*words, "2000")
