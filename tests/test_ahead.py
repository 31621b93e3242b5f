from __future__ import annotations

import threading

import pytest

from samlet.ahead import one_ahead, some_ahead


def test_the_order_is_kept_and_all_is_made_in_another_thread():
    threads = set()

    def make(item):
        threads.add(threading.current_thread())
        return 2 * item

    assert list(one_ahead(make, range(3, 9))) == list(range(6, 18, 2))
    assert list(one_ahead(make, [])) == []
    assert threading.current_thread() not in threads


def test_an_error_reaches_the_caller():
    with pytest.raises(ZeroDivisionError):
        list(one_ahead(lambda item: 1 / (item - 2), range(5)))


def test_one_item_is_made_ahead_and_no_more():
    made = []
    items = one_ahead(made.append, range(9))
    next(items)
    next(items)
    items.close()
    assert made in ([0, 1], [0, 1, 2])  # the third may have been begun, or not


def test_whoever_ends_it_early_does_not_wait():
    """The garbage collector may, in a thread that is just starting: waiting for a thread there would never end."""
    held = threading.Event()
    items = one_ahead(lambda item: held.wait() if item else item, range(3))
    next(items)
    ended = threading.Thread(target=items.close, daemon=True)
    ended.start()
    ended.join(timeout=60)
    assert not ended.is_alive()
    held.set()


@pytest.mark.parametrize(("most", "together"), [(0, 1), (10, 1), (25, 2), (1000, 4)])
def test_as_many_are_made_ahead_as_fit(most, together):
    lock, unused, peak = threading.Lock(), 0, 0

    def make(item):
        nonlocal unused, peak
        with lock:
            unused += 1
            peak = max(peak, unused)
        return item

    made = []
    for item in some_ahead(make, range(60), 4, lambda _: 10, most):
        with lock:
            unused -= 1
            peak = peak if item > 8 else 0  # before the first one is made nobody knows how large they are
        made.append(item)
    assert made == list(range(60))
    assert peak <= together + 1  # one more may be made while this one is handed over
