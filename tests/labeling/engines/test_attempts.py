"""What becomes of shards whose workers die without a word."""

from __future__ import annotations

from samlet.errors import BackendError
from samlet.labeling.engines.attempts import Attempts
from samlet.labeling.schedule import DEATHS_OF_IMAGE, DEATHS_UNEXPLAINED, Task
from samlet.labeling.worker import ShardDone


def test_a_shard_is_started_again_with_more_care():
    attempts = Attempts()
    assert attempts.start(7) == Task(7)
    assert attempts.start(8) == Task(8)
    assert attempts.start(7) == Task(7)
    assert attempts.start(7) == Task(7, careful=True)
    done = ShardDone(8, 1, 1, {})
    attempts.finish(done)
    assert attempts.start(8) is done


def test_an_image_that_kills_is_left_out():
    attempts = Attempts()
    attempts.start(0)
    for _ in range(DEATHS_OF_IMAGE + 1):
        attempts.look(0, ("a",))
        attempts.look(0, ("b",))
        task = attempts.start(0)
    assert isinstance(task, Task)
    assert task.skipped == {"b"}


def test_workers_that_die_of_nothing_are_not_started_for_ever():
    attempts = Attempts()
    said = [attempts.start(0) for _ in range(DEATHS_UNEXPLAINED + 1)]
    assert isinstance(said[-1], BackendError)
    assert all(isinstance(each, Task) for each in said[:-1])
