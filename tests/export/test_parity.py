"""Parity sees a difference in the embedding, the predicted IoU, the logits and the masks, each by itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image
from tests.fake_backend import FakeBackend

from samlet.backend import ArrayMaskLogits
from samlet.errors import ImageError
from samlet.export.parity import PHOTOS, TOLERANCES, Parity, compare

STRICT = TOLERANCES["float32"]


@dataclass
class Shifted:
    """Another backend, off by a constant in one of its answers."""

    backend: FakeBackend = field(default_factory=FakeBackend)
    embedding: float = 0.0
    iou: float = 0.0
    logits: float = 0.0
    name: str = "shifted"

    @property
    def spec(self):
        return self.backend.spec

    def encode(self, pixels):
        embeddings = self.backend.encode(pixels)["image_embeddings"]
        return {"image_embeddings": embeddings + np.linspace(-1, 1, 64, dtype=np.float32) * self.embedding}

    def decode(self, features, tokens):
        logits = self.backend.decode(features, tokens)
        shifted = logits.low_res() + np.float32(self.logits)
        return ArrayMaskLogits(logits.iou + np.float32(self.iou), lambda rows, columns: shifted[rows, columns])


@pytest.fixture
def photos(tmp_path):
    x, y = np.meshgrid(np.arange(48), np.arange(32))
    Image.fromarray(np.stack([x, y, x + y], axis=-1).astype(np.uint8) * 3).save(tmp_path / "slope.png")
    return [tmp_path / "slope.png"]


def test_a_backend_equals_itself(photos):
    parity = compare(Shifted(embedding=1), Shifted(embedding=1), photos)
    assert (parity.embedding, parity.iou, parity.logits, parity.mean_mask_iou) == (0, 0, 0, 1)
    assert parity.violations(STRICT) == []
    assert parity.photos == ["slope.png"]
    assert len(parity.mask_ious) == 4 * (1 + 9 + 3 + 3 + 1)  # every candidate of every trial prompt


@pytest.mark.parametrize("name", ["embedding", "iou", "logits"])
def test_a_shift_is_seen_where_it_is(photos, name):
    parity = compare(Shifted(embedding=1), Shifted(**{"embedding": 1, name: 1.5}), photos)
    phrases = parity.violations(STRICT)
    assert any(phrase.startswith(name) for phrase in phrases)
    assert (parity.mean_mask_iou < 1) == (name == "logits")
    assert any("mask IoU" in phrase for phrase in phrases) == (name == "logits")


def test_not_a_number_is_a_violation(photos):
    parity = compare(Shifted(embedding=1), Shifted(embedding=np.nan, logits=np.nan), photos)
    assert [phrase.split()[0] for phrase in parity.violations(STRICT)][:2] == ["embedding", "logits"]


def test_a_later_good_photo_does_not_hide_a_bad_one(photos):
    parity = Parity(embedding=np.nan)
    parity.add_embedding(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    assert np.isnan(parity.embedding)


def test_the_record_holds_what_was_measured_and_allowed():
    parity = Parity(["a.jpg"], embedding=1e-6, iou=2e-6, logits=3e-6, mask_ious=[1.0, 0.5])
    record = parity.to_json(STRICT)
    assert record["mask_iou_mean"] == 0.75
    assert record["mask_iou_min"] == 0.5
    assert record["masks"] == 2
    assert record["tolerance"]["mask_iou"] == STRICT.mask_iou


def test_photos_come_with_the_package():
    assert len(PHOTOS) == 2


def test_a_photo_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"missing\.jpg"):
        compare(FakeBackend(), FakeBackend(), [tmp_path / "missing.jpg"])


@pytest.mark.parametrize(
    ("mask_ious", "near"),
    [([0.99, 0.99], True), ([1.0, 0.97], False), ([1.0] * 99 + [0.89], False), ([0.9] * 9, False)],
)
def test_a_cheaper_precision_stands_in_for_float32_by_mean_and_smallest(mask_ious, near):
    assert Parity(mask_ious=mask_ious).near_float32 == near
