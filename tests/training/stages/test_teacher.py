from __future__ import annotations

import numpy as np
from tests.fake_backend import FakeBackend

from samlet.training.stages.teacher import Teacher


class Counting(FakeBackend):
    calls = 0

    def encode(self, pixels):
        type(self).calls += 1
        return super().encode(pixels)


def picture(value):
    return np.full((6, 8, 3), value, np.uint8)


def test_an_image_is_embedded_once_and_remembered_across_runs(tmp_path):
    Counting.calls = 0
    first = Teacher(Counting(), tmp_path, "a" * 64).embed(picture(9))
    again = Teacher(Counting(), tmp_path, "a" * 64).embed(picture(9))
    assert Counting.calls == 1
    assert first.dtype == again.dtype == np.float16
    assert first.shape == (256, 64, 64)
    assert np.array_equal(first, again)


def test_other_images_and_other_weights_are_other_entries(tmp_path):
    Counting.calls = 0
    Teacher(Counting(), tmp_path, "a" * 64).embed(picture(9))
    Teacher(Counting(), tmp_path, "a" * 64).embed(picture(10))
    Teacher(Counting(), tmp_path, "b" * 64).embed(picture(9))
    assert Counting.calls == 3


def test_a_damaged_entry_is_made_again(tmp_path):
    teacher = Teacher(Counting(), tmp_path, "a" * 64)
    expected = teacher.embed(picture(9))
    (entry,) = tmp_path.rglob("*.npz")
    content = bytearray(entry.read_bytes())
    content[len(content) // 2] ^= 0xFF
    entry.write_bytes(content)
    Counting.calls = 0
    assert np.array_equal(teacher.embed(picture(9)), expected)
    assert Counting.calls == 1


def test_numbers_lie_in_the_same_order_whether_made_or_read(tmp_path):
    """Networks give channels-last maps: their sums over the same numbers differ in the last digits."""

    class ChannelsLast(FakeBackend):
        def encode(self, pixels):
            maps = super().encode(pixels)["image_embeddings"]
            return {"image_embeddings": np.ascontiguousarray(maps.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)}

    teacher = Teacher(ChannelsLast(), tmp_path, "a" * 64)
    made, read = teacher.embed(picture(9)), teacher.embed(picture(9))
    assert made.strides == read.strides


def test_nothing_is_written_before_the_first_embedding(tmp_path):
    Teacher(Counting(), tmp_path / "cache", "a" * 64)
    assert not (tmp_path / "cache").exists()
