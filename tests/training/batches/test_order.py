from __future__ import annotations

import pytest
from tests.training.toy_stage import config

from samlet.data import Broken, Sample
from samlet.errors import DataError, TrainingError
from samlet.training.batches.order import (
    Readable,
    choose,
    drawn,
    hold_out,
    one_pass,
    positions_of,
    valid_cells,
)


def test_every_epoch_is_another_permutation_of_all_images():
    settings = config()
    epochs = [[drawn(settings, 10, 10 * epoch + i)[1] for i in range(10)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert drawn(settings, 10, 25)[0] == 2


def test_a_pool_is_seen_again_and_again():
    settings, pooled = config(), config(pool=4)
    first = [drawn(settings, 10, position) for position in range(4)]
    assert [drawn(pooled, 10, position) for position in range(12)] == 3 * first


def test_a_smaller_choice_is_the_beginning_of_a_larger_one():
    samples = list(range(50))
    assert list(choose(samples, config(images=10))) == choose(samples, config(images=20))[:10]
    assert sorted(choose(samples, config())) == samples


@pytest.mark.parametrize(
    ("content_hw", "rows", "columns"),
    [((512, 512), 64, 64), ((256, 512), 32, 64), ((4, 512), 0, 64), ((5, 512), 1, 64)],
)
def test_a_cell_is_valid_if_its_center_is_on_the_image(content_hw, rows, columns):
    valid = valid_cells(content_hw, 512, 64)
    assert valid.sum() == rows * columns
    assert valid[:rows, :columns].all()


def sample(name):
    return Sample(name, "set", lambda: None, (8, 8))


def failing(broken_names):
    def make(sample):
        if sample.name in broken_names:
            raise DataError(f"{sample.name} is cut off.")
        return sample.name

    return make


def test_a_broken_sample_is_replaced_by_the_next_the_same_in_every_order_of_asking():
    samples = [sample(name) for name in "abcd"]
    make = failing({"b", "d"})
    first = Readable(samples, Broken(2))
    assert [first.make(i, make) for i in range(5)] == ["a", "c", "c", "a", "a"]
    second = Readable(samples, Broken(2))
    assert [second.make(i, make) for i in (3, 1)] == ["a", "c"]


def test_more_broken_samples_than_allowed_stop_the_run():
    samples = [sample(name) for name in "ab"]
    with pytest.raises(DataError, match="a is cut off"):
        Readable(samples).make(0, failing({"a"}))
    with pytest.raises(DataError, match="all 2 images are broken; the last: b is cut off"):
        Readable(samples, Broken(5)).make(0, failing({"a", "b"}))


def test_images_are_held_out_before_any_are_chosen():
    samples = list(range(20))
    settings = config(validation_images=5, images=10)
    held, learned = list(hold_out(samples, settings)), list(choose(samples, settings))
    assert (len(held), len(learned)) == (5, 10)
    assert not set(held) & set(learned)
    with pytest.raises(TrainingError, match="leaves none"):
        choose(samples, config(validation_images=20))


def test_one_pass_shows_every_held_out_image_on_the_last_canvas():
    settings = one_pass(config(validation_images=5, batch_size=4, canvases=((0.5, 64), (1.0, 128))))
    assert (settings.steps, settings.canvas_at(0), settings.validation_images) == (2, 128, 0)


def test_the_parts_of_a_step_are_its_images_in_order():
    settings = config(batch_size=8, grad_accum_steps=4)
    assert [list(positions_of(settings, 1, part)) for part in range(4)] == [[8, 9], [10, 11], [12, 13], [14, 15]]
