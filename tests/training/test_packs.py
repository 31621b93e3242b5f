"""Packs hold what they were made of, smaller, within their size."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from samlet.cli import main
from samlet.errors import OutputError
from samlet.geometry.rle import encode
from samlet.training.batches.sources import open_source
from samlet.training.packs import pack


@pytest.fixture
def photos(tmp_path):
    """Five photos of 120 x 80 pixels, noise, so that they do not shrink; the first has a mask of its left half, and
    one so thin that it vanishes.
    """
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(0)
    for number in range(5):
        Image.fromarray(noise.integers(0, 256, (80, 120, 3), np.uint8)).save(folder / f"set{number}_x.png")
    left, thin = np.zeros((2, 80, 120), bool)
    left[:, :60] = True
    thin[3, 5:9] = True
    annotations = [
        {
            "id": number,
            "bbox": [0, 0, 60, 80],
            "area": int(mask.sum()),
            "segmentation": {"size": [80, 120], "counts": encode(mask)["counts"].decode()},
        }
        for number, mask in enumerate([left, thin])
    ]
    record = {"image": {"image_id": 0, "width": 120, "height": 80}, "annotations": annotations}
    (folder / "set0_x.json").write_text(json.dumps(record))
    return folder


def test_every_photo_is_in_one_pack_with_its_masks(photos, tmp_path):
    heard = []
    paths = pack(open_source([photos]), tmp_path / "packs", 60, 20_480, lambda *done: heard.append(done))
    assert heard == [(number, 5) for number in range(1, 6)]
    assert len(paths) > 1
    assert all(path.stat().st_size <= 20_480 for path in paths)
    samples = list(open_source(paths))
    assert {sample.source for sample in samples} == {f"set{number}" for number in range(5)}
    assert {sample.size_hw for sample in samples} == {(40, 60)}
    (mask,) = next(sample for sample in samples if sample.source == "set0").annotations
    expected = np.zeros((40, 60), bool)
    expected[:, :30] = True
    assert np.array_equal(mask.to_array(), expected)
    assert (mask.box_xywh, mask.area_px) == ((0, 0, 30, 40), 1200)


def test_a_small_photo_is_not_made_larger(photos, tmp_path):
    (path,) = pack(open_source([photos]), tmp_path / "packs")
    assert {sample.size_hw for sample in open_source([path])} == {(80, 120)}


def test_packs_are_not_mixed_with_older_ones(photos, tmp_path):
    pack(open_source([photos]), tmp_path / "packs")
    with pytest.raises(OutputError, match="holds packs already"):
        pack(open_source([photos]), tmp_path / "packs")


def test_the_command_tells_its_packs(photos, capsys, tmp_path):
    command = ["train", "pack", str(photos), "--output", str(tmp_path / "packs"), "--max-side", "60"]
    assert (main(command), capsys.readouterr().out) == (0, f"{tmp_path / 'packs' / 'pack-000.tar'}\n")
    assert main(command) == 2
