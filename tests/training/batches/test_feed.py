"""Batches as a data set: numbered through the parts of the steps, the same wherever a run goes on."""

from __future__ import annotations

import pytest
import torch
from tests.training.pictures import write_pictures
from tests.training.toy_stage import config

from samlet.data import Broken, open_folders
from samlet.errors import DataError, TrainingError
from samlet.spec import ImageSpec
from samlet.training.batches.feed import Batches
from samlet.training.batches.masks import MaskBatches
from samlet.training.batches.order import Readable


class Numbers(Batches):
    def at(self, step, part=0):
        return (step, part)


def test_a_run_of_three_steps_in_two_parts_has_six_batches():
    batches = Numbers(config(steps=3, batch_size=2, grad_accum_steps=2), Readable([]))
    assert len(batches) == 6
    assert [batches[number] for number in range(6)] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert list(batches.stream(1)) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert list(batches.stream(3)) == []


@pytest.fixture
def folder(tmp_path):
    return write_pictures(tmp_path / "images")


def mask_batches(folder, broken=None):
    settings = config(steps=4, batch_size=2, grad_accum_steps=2, canvases=((1.0, 64),), views=3)
    return MaskBatches(open_folders([folder]), ImageSpec(canvas=64), settings, 5, broken)


def test_batches_are_the_same_to_the_bit_however_many_workers_make_them(folder):
    before = torch.get_rng_state()
    alone = list(mask_batches(folder).stream(1))
    for workers in (1, 2):
        found = list(mask_batches(folder).stream(1, workers))
        assert len(found) == len(alone) == 6
        for one, other in zip(alone, found, strict=True):
            assert one.names == other.names
            for name in ("pixels", "points_xy", "labels", "image_index", "masks", "valid", "clicks", "hints", "spots"):
                assert torch.equal(getattr(one, name), getattr(other, name)), name
    assert torch.equal(torch.get_rng_state(), before)


def test_what_workers_find_broken_is_counted_once_and_said_by_the_run(folder):
    said = []
    broken = Broken(1, said.append)
    batches, strict = mask_batches(folder, broken), mask_batches(folder)
    content = (folder / "set_0.png").read_bytes()
    (folder / "set_0.png").write_bytes(content[: len(content) // 2])  # after the data set was opened
    names = {name for batch in batches.stream(0, 2) for name in batch.names}
    assert names == {"set_1"}
    assert len(broken) == len(said) == 1
    with pytest.raises(DataError, match="set_0"):
        list(strict.stream(0, 2))


def test_batches_that_a_network_works_on_are_prepared_here():
    class Asking(Numbers):
        needs_teacher = True

    asking = Asking(config(), Readable([]))
    asking.check_workers(0)
    with pytest.raises(TrainingError, match="use --workers 0"):
        asking.stream(0, 2)
