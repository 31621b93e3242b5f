from __future__ import annotations

import threading

import pytest
from tests.training.toy_stage import config

from samlet.training.batches import choose, drawn, one_ahead, valid_cells


def test_every_epoch_is_another_permutation_of_all_images():
    settings = config()
    epochs = [[drawn(settings, 10, 10 * epoch + i)[1] for i in range(10)] for epoch in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1]
    assert drawn(settings, 10, 25)[0] == 2


def test_a_smaller_choice_is_the_beginning_of_a_larger_one():
    samples = list(range(50))
    assert list(choose(samples, config(images=10))) == choose(samples, config(images=20))[:10]
    assert sorted(choose(samples, config())) == samples


def test_one_ahead_keeps_the_order_and_prepares_in_another_thread():
    threads = set()

    def at(step):
        threads.add(threading.current_thread())
        return step

    assert list(one_ahead(at, 3, 9)) == list(range(3, 9))
    assert list(one_ahead(at, 3, 3)) == []
    assert threading.current_thread() not in threads


def test_an_error_while_preparing_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(one_ahead(lambda step: 1 / (step - 2), 0, 5))


@pytest.mark.parametrize(
    ("content_hw", "rows", "columns"),
    [((512, 512), 64, 64), ((256, 512), 32, 64), ((4, 512), 0, 64), ((5, 512), 1, 64)],
)
def test_a_cell_is_valid_if_its_centre_is_on_the_image(content_hw, rows, columns):
    valid = valid_cells(content_hw, 512)
    assert valid.sum() == rows * columns
    assert valid[:rows, :columns].all()
