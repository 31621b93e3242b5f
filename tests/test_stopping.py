from __future__ import annotations

import signal
import threading

import pytest

from samlet.errors import StoppedError
from samlet.stopping import SIGNALS, stop_requests, stopped_at_once


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_once(number):
    with stop_requests() as request:
        assert request.by is None
        before = signal.getsignal(number)
        signal.raise_signal(number)
        assert request.by == number
        assert signal.getsignal(number) != before  # a second one acts as if nobody listened


def stop(number):
    with stopped_at_once("all is kept"):
        signal.raise_signal(number)
        pytest.fail("the block went on")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_block_at_once(number):
    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match=f"^Stopped by {number.name}; all is kept\\.$") as error:
        stop(number)
    assert error.value.signal_number == number
    assert signal.getsignal(number) == before


def test_other_threads_do_not_listen():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with stop_requests() as request, stopped_at_once("all is kept"):
            seen.extend([request.by, signal.getsignal(signal.SIGTERM)])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None, before]
