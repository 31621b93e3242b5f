from __future__ import annotations

from dataclasses import replace

import pytest
from tests.labeling.small_jobs import Backend, Pictures, names, order

from samlet.errors import BackendError, DataError
from samlet.labeling.asking import Everything
from samlet.labeling.items import Item
from samlet.labeling.listing import Listing
from samlet.labeling.places import Folder
from samlet.labeling.schedule import Task
from samlet.labeling.worker import STAGES, Setup, Worker
from samlet.predictor import Predictor

pytest.importorskip("pyarrow")


def setup(folder, images=8, **options) -> Setup:
    """What a worker needs for these images, listed in `folder`."""
    wanted = order(folder, images, **options)
    listing = Listing.of(wanted.sources)
    job = wanted.job(len(listing), listing.sha256)
    listing.write(Folder(folder), job.images_per_shard)
    return wanted.setup(job)


class CountingBackend(Backend):
    """Notes how many images are encoded together."""

    def __init__(self):
        super().__init__()
        self.encoded = []

    def encode(self, pixels):
        self.encoded.append(len(pixels))
        return super().encode(pixels)


@pytest.mark.parametrize(
    ("task", "together"),
    [
        (Task(0), [3, 3, 1]),
        (Task(0, careful=True), [3, 3, 1]),
        (Task(0, careful=True, alone=True), [1] * 7),
        (Task(0, skipped=frozenset({"00000"})), [3, 3]),
    ],
)
def test_which_images_are_encoded_together_is_settled_by_their_order(tmp_path, task, together):
    backend = CountingBackend()
    images = (*names(7), "00003-broken")
    given = replace(setup(tmp_path, images, per_shard=8, batch_size=3), predictor=Predictor(backend, "weights"))
    result = Worker(given).label(task)
    assert backend.encoded == together
    assert [image.item.image_id for image in result.images] == [name for name in names(7) if name not in task.skipped]
    assert [each.item.image_id for each in result.broken] == [*sorted(task.skipped), "00003-broken"]


def test_a_careful_task_says_what_it_looks_at_before_it_does(tmp_path):
    said = []
    worker = Worker(setup(tmp_path, 3, batch_size=2), said.append)
    worker.do(Task(0, careful=True))
    a, b, c = names(3)
    assert said == [(a,), (b,), (a, b), (a,), (b,), (c,), (c,), (c,), ()]
    said.clear()
    worker.do(Task(0))
    assert said == [()]


def test_what_fails_in_a_batch_is_one_image(tmp_path):
    images = ("a", "b-no-memory", "c", "d")
    result = Worker(setup(tmp_path, images, batch_size=4)).label(Task(0))
    assert [image.item.image_id for image in result.images] == ["a", "c", "d"]
    assert [(each.item.image_id, each.reason) for each in result.broken] == [
        ("b-no-memory", "there was not memory enough for it")
    ]


class DefectiveBackend(Backend):
    def decode(self, features, tokens):
        raise RuntimeError("CUDA error: an illegal\n address")


def test_whatever_a_model_raises_is_the_reason(tmp_path):
    given = replace(setup(tmp_path, 2), predictor=Predictor(DefectiveBackend(), "weights"))
    assert [each.reason for each in Worker(given).label(Task(0)).broken] == [
        "RuntimeError: CUDA error: an illegal address"
    ] * 2


class GoneStore(Pictures):
    def read(self, item: Item) -> bytes:
        raise DataError("the store does not answer")


def test_a_store_that_is_gone_ends_the_job_and_is_not_blamed_on_images(tmp_path):
    given = setup(tmp_path)
    with pytest.raises(DataError, match="does not answer"):
        Worker(replace(given, sources=(GoneStore(names(8)),))).label(Task(0))


@pytest.mark.parametrize("ask", [None, Everything({"points_per_side": 2})])
def test_seconds_are_counted_by_stage(tmp_path, ask):
    given = setup(tmp_path, 2, ask=ask, delay_s=0.05)
    done = Worker(given).do(Task(0))
    assert tuple(done.seconds) == STAGES
    assert 0.1 <= done.seconds["encode"] < 10
    assert all(seconds > 0 for seconds in done.seconds.values())


def test_another_model_than_the_jobs_is_refused(tmp_path):
    given = setup(tmp_path)
    with pytest.raises(BackendError, match=r"This worker runs disc \(other…\) with disc, the job is of disc"):
        Worker(replace(given, predictor=Predictor(Backend(), "other")))
