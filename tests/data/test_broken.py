from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from samlet.data import Broken, open_folders
from samlet.data.opening import open_data
from samlet.errors import DataError

TINY = Path(__file__).parents[1] / "fixtures" / "tiny"


def test_up_to_the_limit_broken_samples_are_named_once_and_told():
    told = []
    broken = Broken(2, told.append)
    for name in ("a", "b", "a"):
        broken.add(name, DataError(f"{name} is cut off."))
    assert len(broken) == 2
    assert "a" in broken
    assert broken.last == "b is cut off."
    assert told == ["skipped a: a is cut off.", "skipped b: b is cut off."]
    with pytest.raises(DataError, match=r"3 samples are broken \(a, b, c\).*--max-broken 2 .*: c is gone"):
        broken.add("c", DataError("c is gone."))


def test_where_none_is_allowed_the_first_one_is_the_error():
    error = DataError("a is cut off.")
    with pytest.raises(DataError, match="cut off") as raised:
        Broken().add("a", error)
    assert raised.value is error


def test_a_folder_opens_without_its_broken_images_and_records(tmp_path):
    for file in [*TINY.glob("tiny_camera.*"), *TINY.glob("tiny_coins.*")]:
        shutil.copy(file, tmp_path)
    (tmp_path / "tiny_coins.json").write_text('{"image": ')
    (tmp_path / "cut.png").write_bytes(b"\x89PNG")
    broken = Broken(5)
    assert [sample.name for sample in open_data([tmp_path], broken=broken).samples] == ["tiny_camera"]
    assert list(broken.reasons) == ["cut", "tiny_coins"]
    with pytest.raises(DataError, match=r"cut\.png"):
        open_folders([tmp_path])
