"""Batches as a data set: numbered through the parts of the steps, the same wherever a run goes on."""

from __future__ import annotations

from tests.training.toy_stage import config

from samlet.training.batches.feed import Batches


class Numbers(Batches):
    def at(self, step, part=0):
        return (step, part)


def test_a_run_of_three_steps_in_two_parts_has_six_batches():
    batches = Numbers(config(steps=3, batch_size=2, accumulate=2))
    assert len(batches) == 6
    assert [batches[number] for number in range(6)] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert list(batches.stream(1)) == [(1, 0), (1, 1), (2, 0), (2, 1)]
    assert list(batches.stream(3)) == []
