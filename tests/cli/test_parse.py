"""`samlet parse` over a network that looks at nothing but brightness."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from tests.fake_network import FakeNetwork

from samlet import loading
from samlet.parsing import SemanticSegmenter

NAMES = ("dark", "light")


@pytest.fixture
def network(monkeypatch):
    network = FakeNetwork("semantic_segmentation", NAMES)
    monkeypatch.setattr(loading, "load", lambda **options: SemanticSegmenter(network))
    return network


@pytest.fixture
def photo(tmp_path):
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 64:] = 255
    path = tmp_path / "photo.png"
    Image.fromarray(image).save(path)
    return path


def parsed(samlet, photo, *arguments):
    return samlet("parse", str(photo), "--model", "fake", "--output", str(photo.parent / "out"), *arguments)


def test_a_label_map_in_colors_a_picture_and_areas(samlet, network, photo):
    code, out, err = parsed(samlet, photo)
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split() == ["image", "class", "area", "(px)", "share", "label", "map"]
    assert [row.split()[-2 if "out" not in row else -3] for row in out.splitlines()[1:]] == ["4,096", "4,096"]
    folder = photo.parent / "out"
    with Image.open(folder / "photo.labels.png") as labels:
        assert labels.mode == "P"
        found = np.asarray(labels)
        assert len({tuple(color) for color in np.asarray(labels.convert("RGB")).reshape(-1, 3)}) == 2
    assert (found[:, :60] == 0).all()
    assert (found[:, 68:] == 1).all()
    with Image.open(folder / "photo.overlay.png") as picture:
        assert picture.size[0] > 128
        assert picture.size[1] == 64
    record = json.loads((folder / "photo.json").read_text())
    assert [each["class"] for each in record["classes"]] == ["dark", "light"]
    assert sum(each["area_px"] for each in record["classes"]) == 64 * 128


def test_windows_and_json(samlet, network, photo):
    _, out, _ = parsed(samlet, photo, "--window", "64", "--json")
    assert json.loads(out)["window"] == 64
    assert set(network.sizes_hw) == {(64, 64)}


def test_results_of_another_photo_are_kept(samlet, network, photo):
    assert parsed(samlet, photo)[0] == 0
    assert parsed(samlet, photo)[0] == 0  # its own results are replaced
    (photo.parent / "out" / "photo.labels.png").write_bytes(b"mine")
    code, _, err = parsed(samlet, photo)
    assert code == 2
    assert "was not written by samlet" in err
    assert (photo.parent / "out" / "photo.labels.png").read_bytes() == b"mine"
    assert parsed(samlet, photo, "--overwrite")[0] == 0


def test_two_photos_of_one_name_are_refused(samlet, network, photo):
    twin = photo.parent / "twin"
    twin.mkdir()
    (twin / "photo.png").write_bytes(photo.read_bytes())
    code, _, err = samlet("parse", str(photo), str(twin), "--model", "fake", "--output", str(photo.parent / "out"))
    assert code == 2
    assert "would both write" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [(("--window", "32"), "--window"), (("--window", "4096"), "--window"), (("--window", "100"), "multiple of 32")],
)
def test_a_window_out_of_bounds_is_refused(samlet, network, photo, arguments, sentence):
    code, _, err = parsed(samlet, photo, *arguments)
    assert code == 2
    assert sentence in err
    assert not (photo.parent / "out" / "photo.json").exists()
