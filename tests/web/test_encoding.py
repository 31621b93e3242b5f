from __future__ import annotations

from threading import Event

import numpy as np
import pytest
from tests.web.conftest import photo_file

from samlet.errors import ImageError
from samlet.web.encoding import EncodeQueue
from samlet.web.kept import BoundedCache
from samlet.web.lanes import BusyError, Lane


class SlowEncoder:
    """The model, whose encoder waits for `go` and tells how many photos came at once."""

    def __init__(self, model):
        self.spec, self.weights, self._model = model.spec, model.weights, model
        self.go, self.started, self.batches = Event(), Event(), []

    def embed_many(self, photos, batch_size):
        self.started.set()
        assert self.go.wait(10)
        self.batches.append(len(photos))
        return self._model.embed_many(photos, batch_size)


@pytest.fixture
def slow(model):
    return SlowEncoder(model)


@pytest.fixture
def queue_of():
    lanes = []

    def make(model, batch=1, waiting=8, cache_bytes=1 << 30):
        lanes.append(Lane("encode", 1, waiting))
        return EncodeQueue(model, BoundedCache(cache_bytes, lambda kept: kept.bytes), lanes[-1], batch, 10**6)

    yield make
    for lane in lanes:
        lane.close()


def test_a_photo_is_embedded_as_the_model_does(queue_of, model):
    kept = queue_of(model).submit(photo_file()).result(10)
    expected = model.embed(photo_file())
    assert all((kept.embedding.features[name] == array).all() for name, array in expected.features.items())
    assert kept.photo.shape == (200, 320, 3)


def test_the_same_photo_is_encoded_once(queue_of, slow):
    queue = queue_of(slow)
    first, second = queue.submit(photo_file()), queue.submit(photo_file())
    slow.go.set()
    assert first.result(10) is second.result(10) is queue.submit(photo_file()).result(10)
    assert slow.batches == [1]


def test_those_that_wait_are_encoded_together(queue_of, slow):
    queue = queue_of(slow, batch=4)
    first = queue.submit(photo_file(shade=1))
    assert slow.started.wait(10)
    rest = [queue.submit(photo_file(shade=shade)) for shade in range(2, 8)]
    slow.go.set()
    shades = [int(future.result(10).photo[0, 0, 0]) for future in [first, *rest]]
    assert shades == list(range(1, 8))
    assert slow.batches == [1, 4, 2]


def test_one_broken_photo_does_not_harm_the_others(queue_of, slow):
    queue = queue_of(slow, batch=4)
    first = queue.submit(photo_file(shade=1))
    assert slow.started.wait(10)
    broken, sound = queue.submit(b"broken"), queue.submit(photo_file(shade=2))
    slow.go.set()
    with pytest.raises(ImageError):
        broken.result(10)
    assert sound.result(10).photo[0, 0, 0] == 2
    first.result(10)
    assert queue.encoded == 2


def test_nobody_works_for_those_who_left(queue_of, slow):
    queue = queue_of(slow)
    first = queue.submit(photo_file(shade=1))
    assert slow.started.wait(10)
    left, shared, stays = (queue.submit(photo_file(shade=shade)) for shade in (2, 3, 3))
    left.cancel()
    shared.cancel()
    slow.go.set()
    assert np.array_equal(first.result(10).photo[0, 0], [1, 1, 1])
    assert stays.result(10).photo[0, 0, 0] == 3
    assert queue.encoded == 2


def test_too_many_are_told_so(queue_of, slow):
    queue = queue_of(slow, waiting=1)
    futures = [queue.submit(photo_file(shade=shade)) for shade in (1, 2)]
    with pytest.raises(BusyError):
        queue.submit(photo_file(shade=3))
    slow.go.set()
    assert [int(future.result(10).photo[0, 0, 0]) for future in futures] == [1, 2]


def test_an_encoder_that_fails_is_told_to_all(queue_of, slow):
    slow.go.set()
    slow.embed_many = lambda photos, size: 1 / 0
    with pytest.raises(ZeroDivisionError):
        queue_of(slow).submit(photo_file()).result(10)
