import json

import cv2
import numpy as np
import pytest

from samlet.errors import OutputError
from samlet.geometry import rle
from samlet.masks import Mask, MaskSet


@pytest.fixture
def arrays():
    arrays = np.zeros((2, 12, 20), bool)
    arrays[0, 2:10, 3:15] = True
    arrays[1, 4:6, 5:7] = True
    return arrays


@pytest.fixture
def masks(arrays):
    return MaskSet([Mask(rle.encode(array)) for array in arrays], (12, 20))


def read(path):
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_json_is_a_record_that_reads_back(masks, tmp_path):
    masks.save(tmp_path / "out.json")
    again = MaskSet.from_json(json.loads((tmp_path / "out.json").read_text()))
    np.testing.assert_array_equal(again.to_array(), masks.to_array())


def test_png_of_one_mask_is_black_and_white_and_of_several_a_label_map(masks, arrays, tmp_path):
    masks[:1].save(tmp_path / "one.png")
    np.testing.assert_array_equal(read(tmp_path / "one.png"), arrays[0] * np.uint8(255))
    masks.save(tmp_path / "two.png")
    labels = read(tmp_path / "two.png")
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels, np.where(arrays[1], 2, arrays[0]))


def test_no_masks_are_an_empty_label_map(tmp_path):
    MaskSet([], (4, 5)).save(tmp_path / "none.png")
    assert not read(tmp_path / "none.png").any()


def test_a_folder_holds_a_picture_of_each_mask_and_the_record(masks, arrays, tmp_path):
    masks.save(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "masks.json"]
    np.testing.assert_array_equal(read(tmp_path / "out/1.png") > 0, arrays[1])


def test_another_suffix_is_refused_with_what_would_do(masks, tmp_path):
    with pytest.raises(OutputError, match=r"out\.gif.*\.json or \.png, or a folder"):
        masks.save(tmp_path / "out.gif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.json", "out.png", "out"])
def test_masks_are_saved_again_over_their_own_files(masks, tmp_path, name):
    masks.save(tmp_path / name)
    masks[:1].save(tmp_path / name)
    if name == "out":  # of two masks the second is gone
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == ["0.png", "masks.json"]


@pytest.mark.parametrize(
    ("name", "there"), [("a.json", "a.json"), ("a.png", "a.png"), ("a", "a/masks.json"), ("a", "a/1.png")]
)
def test_a_file_of_the_users_is_replaced_only_where_asked(masks, tmp_path, name, there):
    theirs = tmp_path / there
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_bytes(b"{}")
    with pytest.raises(OutputError, match=f"{theirs.name}.* was not written by samlet.*overwrite=True"):
        masks.save(tmp_path / name)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [theirs]
    assert theirs.read_bytes() == b"{}"
    masks.save(tmp_path / name, overwrite=True)
    assert theirs.read_bytes() != b"{}"


def test_pictures_of_the_users_beside_ours_stay(masks, tmp_path):
    masks.save(tmp_path)
    (tmp_path / "7.png").write_bytes(b"theirs")
    masks[:1].save(tmp_path)
    assert (tmp_path / "7.png").read_bytes() == b"theirs"
