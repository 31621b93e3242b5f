from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from multiprocessing import get_context

import numpy as np
import pytest

from samlet.backend import ArrayMaskLogits, Embedding, each_in_image
from samlet.errors import InputError, OutputError
from samlet.geometry.frames import ImageFrame

FRAME = ImageFrame((30, 40), 512, 1024)


class Upscaler:
    """Masks of a constant value that says row and column; remembers what it was asked for."""

    def __init__(self):
        self.asked = []

    def __call__(self, rows, columns):
        self.asked.append(list(zip(rows.tolist(), columns.tolist(), strict=True)))
        return np.ones((1, 256, 256), np.float32) * (10 * rows + columns)[:, None, None]


@pytest.fixture
def upscaler():
    return Upscaler()


@pytest.fixture
def logits(upscaler):
    return ArrayMaskLogits(np.arange(12, dtype=np.float32).reshape(3, 4), upscaler)


class TestArrayMaskLogits:
    def test_iou_is_known_before_anything_is_upscaled(self, logits, upscaler):
        assert logits.keep([0, 2], [1, 3]).iou.tolist() == [[1.0], [11.0]]
        assert upscaler.asked == []

    def test_only_the_kept_masks_are_upscaled(self, logits, upscaler):
        low_res = logits.keep([2, 0], [3, 1]).low_res()
        assert low_res.shape == (2, 1, 256, 256)
        assert low_res[:, 0, 0, 0].tolist() == [23, 1]
        assert upscaler.asked == [[(2, 3), (0, 1)]]

    def test_keeping_from_the_kept_refers_to_the_first_rows(self, logits):
        assert logits.keep([2, 1, 0], [3, 2, 1]).keep([1], [0]).low_res().max() == 12

    def test_nothing_is_upscaled_twice(self, logits, upscaler):
        logits.low_res()
        assert logits.keep([1], [2]).low_res().max() == 12
        assert len(upscaler.asked) == 1

    def test_nothing_kept_asks_the_runtime_for_nothing(self, logits, upscaler):
        nothing = logits.keep([], [])
        assert nothing.low_res().shape == (0, 1, 256, 256)
        assert nothing.to_image(FRAME).shape == (0, 1, 30, 40)
        assert list(each_in_image(nothing, FRAME)) == []
        assert upscaler.asked == []

    def test_each_in_image_goes_row_by_row_after_one_upscale(self, logits, upscaler):
        values = [float(image.mean()) for image in each_in_image(logits, FRAME)]
        assert values == pytest.approx([10 * row + column for row in range(3) for column in range(4)], abs=1e-4)
        assert len(upscaler.asked) == 1

    def test_stability_and_boxes_on_the_256_grid(self):
        maps = np.full((2, 256, 256), -5, np.float32)
        maps[0, 10:20, 30:50] = 0.5  # positive, but not by the offset
        maps[0, 10:20, 30:40] = 5
        logits = ArrayMaskLogits(np.zeros((1, 2), np.float32), lambda rows, columns: maps[columns])
        assert logits.stability().tolist() == [[0.5, 0.0]]
        assert logits.stability(offset=0.25).tolist() == [[1.0, 0.0]]
        assert logits.boxes_xyxy().tolist() == [[[30, 10, 49, 19], [0, 0, 0, 0]]]


@pytest.fixture
def embedding():
    features = {"image_embeddings": np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2), "size_hw": np.ones(1)}
    return Embedding(features, FRAME, "mobile-sam")


def npy_bytes():
    file = BytesIO()
    np.save(file, np.ones(1))
    return file.getvalue()


def assert_same(one, other):
    assert (one.frame, one.model, set(one.features)) == (other.frame, other.model, set(other.features))
    for name, array in one.features.items():
        np.testing.assert_array_equal(array, other.features[name])
        assert array.dtype == other.features[name].dtype


class TestEmbedding:
    def test_it_cannot_be_changed(self, embedding):
        with pytest.raises(ValueError, match="read-only"):
            embedding.features["image_embeddings"][0] = 1
        with pytest.raises(TypeError):
            embedding.features["more"] = np.ones(1)

    def test_it_does_not_follow_the_array_it_was_made_from(self):
        array = np.zeros(3)
        embedding = Embedding({"image_embeddings": array}, FRAME, "mobile-sam")
        array[0] = 7
        assert embedding.features["image_embeddings"][0] == 0

    def test_it_comes_back_from_a_file(self, embedding, tmp_path):
        embedding.save(tmp_path / "photo.npz")
        assert_same(Embedding.load(tmp_path / "photo.npz"), embedding)
        assert [path.name for path in tmp_path.iterdir()] == ["photo.npz"]

    def test_another_file_is_replaced_only_where_asked(self, embedding, tmp_path):
        embedding.save(tmp_path / "photo.npz")
        embedding.save(tmp_path / "photo.npz")
        np.savez(tmp_path / "theirs.npz", model="mine")
        with pytest.raises(OutputError, match=r"theirs\.npz.* was not written by samlet.*overwrite=True"):
            embedding.save(tmp_path / "theirs.npz")
        embedding.save(tmp_path / "theirs.npz", overwrite=True)
        assert_same(Embedding.load(tmp_path / "theirs.npz"), embedding)

    def test_it_is_saved_under_the_name_given(self, embedding, tmp_path):
        embedding.save(tmp_path / "photo")
        assert_same(Embedding.load(tmp_path / "photo"), embedding)

    def test_it_travels_between_processes(self, embedding):
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            assert_same(pool.submit(copy.copy, embedding).result(), embedding)

    def test_a_missing_folder_is_one_sentence(self, embedding, tmp_path):
        with pytest.raises(OutputError, match="nowhere"):
            embedding.save(tmp_path / "nowhere" / "photo.npz")

    @pytest.mark.parametrize(
        "write",
        [
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"not an archive"),
            lambda path: np.savez(path, other=np.ones(1)),  # an archive of something else
            lambda path: path.write_bytes(npy_bytes()),  # an array, not an archive
            lambda path: np.savez(path, model=np.array([{}], object)),  # a pickle
            lambda path: path.mkdir(),
        ],
    )
    def test_another_file_is_refused(self, write, tmp_path):
        write(tmp_path / "photo.npz")
        with pytest.raises(InputError, match=r"photo\.npz (cannot be read as|is a folder, not) an embedding"):
            Embedding.load(tmp_path / "photo.npz")

    def test_a_missing_file_is_refused(self, tmp_path):
        with pytest.raises(InputError, match="There is no embedding at"):
            Embedding.load(tmp_path / "photo.npz")


def test_an_embedding_says_which_weights_made_it_wherever_it_goes(tmp_path):
    features = {"image_embeddings": np.zeros((1, 2, 3, 3), np.float32)}
    embedding = Embedding(features, ImageFrame((30, 40), 64), "model", "a" * 64)
    embedding.save(tmp_path / "photo.npz")
    assert Embedding.load(tmp_path / "photo.npz").weights == "a" * 64
    assert pickle.loads(pickle.dumps(embedding)).weights == "a" * 64  # noqa: S301
    Embedding(features, ImageFrame((30, 40), 64), "model").save(tmp_path / "unknown.npz")
    assert Embedding.load(tmp_path / "unknown.npz").weights is None


def test_a_file_from_before_weights_were_named_is_read_with_a_notice(tmp_path):
    path = tmp_path / "old.npz"
    features = np.zeros((1, 2, 3, 3), np.float32)
    facts = {"model": "model", "size_hw": np.array([30, 40]), "canvases": np.array([64, 1024])}
    np.savez(path, **facts, **{"features/image_embeddings": features})
    with pytest.warns(UserWarning, match="does not say which weights of 'model' made it"):
        assert Embedding.load(path).weights is None
