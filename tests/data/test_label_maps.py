"""PNG masks and maps of labels: beside photos or in a folder of their own, and told from photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests import filler

from samlet.data import open_data
from samlet.errors import DataError

HEIGHT, WIDTH = 40, 60


def photo(path: Path, size_hw: tuple[int, int] = (HEIGHT, WIDTH)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(filler.image(*size_hw)).save(path)


def regions(*values: int, dtype: type = np.uint8) -> NDArray:
    """A map of squares of 10 pixels a side, one for each value."""
    levels = np.zeros((HEIGHT, WIDTH), dtype)
    for index, value in enumerate(values):
        levels[5:15, 10 * index : 10 * index + 10] = value
    return levels


def save(path: Path, levels: NDArray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(levels)
    if mode == "P":
        image = Image.fromarray(levels).copy()
        image.putpalette(list(range(256)) * 3)
    elif mode is not None:
        image = image.convert(mode)
    image.save(path)


MAPS = {
    "black and white": (regions(255), None, [255]),
    "0 and 1": (regions(1), None, [1]),
    "1 bit": (regions(255), "1", [1]),
    "labels": (regions(3, 1, 7), None, [1, 3, 7]),
    "16 bits": (regions(300, 2, dtype=np.uint16), None, [2, 300]),
    "palette": (regions(1, 2), "P", [1, 2]),
    "a border of nobody": (regions(1, 2, 255), "P", [1, 2]),
    "empty": (regions(), None, []),
}


@pytest.mark.parametrize(("levels", "mode", "ids"), MAPS.values(), ids=MAPS.keys())
@pytest.mark.parametrize("place", ["images/p.png", "masks/p.png"])
def test_each_value_is_a_mask(tmp_path: Path, levels: NDArray, mode: str | None, ids: list[int], place: str) -> None:
    photo(tmp_path / "images" / "p.jpg")
    save(tmp_path / place, levels, mode)
    [sample] = open_data([tmp_path / "images"]).samples
    assert [mask.id for mask in sample.annotations] == ids
    assert (sample.name, sample.size_hw) == ("p", (HEIGHT, WIDTH))
    for mask in sample.annotations:
        assert mask.area_px == 100
        expected = levels > 0 if mode == "1" else levels == mask.id
        np.testing.assert_array_equal(mask.to_array(), expected)


def test_a_data_set_is_opened_by_its_own_folder(tmp_path: Path) -> None:
    photo(tmp_path / "JPEGImages" / "2007_1.jpg")
    save(tmp_path / "SegmentationObject" / "2007_1.png", regions(1, 255), "P")
    [sample] = open_data([tmp_path]).samples
    assert [mask.id for mask in sample.annotations] == [1]
    photo(tmp_path / "set" / "images" / "train" / "a.jpg")
    save(tmp_path / "set" / "masks" / "train" / "a.png", regions(1))
    [sample] = open_data([tmp_path / "set" / "images" / "train"]).samples
    assert len(sample.annotations) == 1


def test_a_png_of_color_beside_a_photo_is_another_photo(tmp_path: Path) -> None:
    photo(tmp_path / "p.jpg")
    photo(tmp_path / "p.png")
    assert [sample.name for sample in open_data([tmp_path]).samples] == ["p.jpg", "p.png"]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "p.jpg", (30, 30))
    save(tmp_path / "masks" / "p.png", regions(1))
    with pytest.raises(DataError, match=r"masks/p\.png has 60x40 pixels, but its image 30x30"):
        open_data([tmp_path / "images"])


def test_a_mask_without_its_photo_is_a_missing_photo(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "p.jpg")
    save(tmp_path / "masks" / "q.png", regions(1))
    with pytest.raises(DataError, match=r"1 of 2 images are missing: q\.png"):
        open_data([tmp_path / "images"])


def test_a_gray_photo_and_a_blurred_mask_are_no_maps(tmp_path: Path) -> None:
    photo(tmp_path / "p.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH)).astype(np.uint8)
    save(tmp_path / "p.png", noise)
    with pytest.raises(DataError, match=r"p\.png has one channel but looks like a photo"):
        open_data([tmp_path])
    blurred = np.array(Image.fromarray(np.where(regions(1) > 0, 255, 0).astype(np.uint8)).resize((WIDTH, HEIGHT)))
    blurred[4, 1:4] = (30, 90, 200)
    save(tmp_path / "p.png", blurred)
    with pytest.raises(DataError, match=r"p\.png is a mask with blurred rims"):
        open_data([tmp_path])


def test_a_mask_of_color_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "images" / "p.jpg")
    photo(tmp_path / "masks" / "p.png")
    with pytest.raises(DataError, match=r"masks/p\.png has color"):
        open_data([tmp_path / "images"])
