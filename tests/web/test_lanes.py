from __future__ import annotations

from threading import Event

import pytest

from samlet.web.lanes import BusyError, Lane


@pytest.fixture
def lane():
    lane = Lane("answer", threads=1, waiting=1)
    yield lane
    lane.close()


def test_a_job_is_done_and_forgotten(lane):
    assert lane.submit(lambda: 7).result(5) == 7
    lane.submit(lambda: 8).result(5)
    assert lane.jobs == 0


def test_a_full_lane_says_when_to_come_back(lane):
    go = Event()
    running, waiting = (lane.submit(go.wait) for _ in range(2))
    with pytest.raises(BusyError, match=r"^The server is busy: 2 jobs wait to answer\. Ask again in 1 s\.$"):
        lane.submit(go.wait)
    go.set()
    assert running.result(5)
    assert waiting.result(5)
    assert lane.submit(lambda: 1).result(5) == 1


def test_what_waits_can_be_taken_back(lane):
    go, ran = Event(), []
    running = lane.submit(go.wait)
    waiting = lane.submit(lambda: ran.append(1))
    assert waiting.cancel()
    assert lane.jobs == 1
    go.set()
    running.result(5)
    assert ran == []


def test_a_job_that_fails_makes_room(lane):
    def fail():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        lane.submit(fail).result(5)
    assert lane.jobs == 0


def test_a_closed_lane_takes_nothing(lane):
    lane.close()
    with pytest.raises(RuntimeError):
        lane.submit(lambda: 1)
    assert lane.jobs == 0
