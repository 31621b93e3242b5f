from __future__ import annotations

import random

import pytest

from samlet.errors import BackendError
from samlet.labeling.schedule import DEATHS_OF_IMAGE, DEATHS_UNEXPLAINED, DEATHS_UNTIL_CAREFUL, Schedule, Task


def test_shards_come_in_order_until_all_are_done():
    schedule = Schedule([3, 5, 8])
    assert [schedule.take(), schedule.take()] == [Task(3), Task(5)]
    schedule.done(5)
    assert (schedule.unfinished, schedule.take(), schedule.take()) == (2, Task(8), None)
    schedule.done(3)
    schedule.done(8)
    assert (schedule.unfinished, schedule.take()) == (0, None)
    assert Schedule([]).take() is None


def test_the_shard_of_a_dead_worker_is_next_and_then_done_carefully():
    schedule = Schedule([0, 1])
    assert DEATHS_UNTIL_CAREFUL == 2
    schedule.take()
    schedule.died(0)
    assert schedule.take() == Task(0)
    schedule.died(0)
    assert schedule.take() == Task(0, careful=True)
    schedule.done(0)
    assert schedule.take() == Task(1)


def die(schedule: Schedule, times: int, at: tuple[str, ...] = ()) -> Task | None:
    """Each worker that takes a task dies; the last task that was handed out, which nobody has."""
    task = None
    for _ in range(times):
        task = schedule.take()
        assert task is not None
        schedule.died(task.shard, at)
    return task


def test_an_image_on_which_workers_die_in_a_row_is_left_out():
    schedule = Schedule([0])
    die(schedule, DEATHS_UNTIL_CAREFUL)
    die(schedule, DEATHS_OF_IMAGE - 1, ("a",))
    assert schedule.take() == Task(0, careful=True)
    schedule.died(0, ("a",))
    assert schedule.take() == Task(0, careful=True, skipped=frozenset({"a"}))


def test_of_several_that_were_encoded_together_it_is_found_which():
    schedule = Schedule([0])
    die(schedule, DEATHS_UNTIL_CAREFUL)
    die(schedule, DEATHS_OF_IMAGE, ("a", "b"))
    assert schedule.take() == Task(0, careful=True, alone=True)
    schedule.died(0, ("b",))
    die(schedule, DEATHS_OF_IMAGE - 1, ("b",))
    assert schedule.take() == Task(0, careful=True, alone=True, skipped=frozenset({"b"}))


def test_deaths_that_nothing_explains_end_the_job():
    schedule = Schedule([0])
    die(schedule, DEATHS_UNEXPLAINED - 1)
    schedule.take()
    with pytest.raises(BackendError, match="died 10 times on shard 0"):
        schedule.died(0)


def test_whatever_dies_by_chance_every_shard_is_done_once():
    chance = random.Random(7)
    schedule = Schedule(range(200))
    at_work, done = [], []
    while schedule.unfinished:
        while len(at_work) < 8 and (task := schedule.take()) is not None:
            at_work.append(task)
        task = at_work.pop(chance.randrange(len(at_work)))
        assert not task.skipped
        if chance.random() < 0.2:
            schedule.died(task.shard, (str(chance.random()),) if task.careful else ())
        else:
            schedule.done(task.shard)
            done.append(task.shard)
    assert sorted(done) == list(range(200))
