"""Working ahead: the next item is made in a thread while the caller uses the last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def one_ahead(make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """make(item) of every item, in order, the next one in a thread while the caller works on the last.

    Left before its end it waits for nobody. Where an error keeps it alive it is the garbage collector that ends it, in
    whatever thread that runs: even in one that just starts, and then waiting for a thread never ends.
    """
    pool = ThreadPoolExecutor(1)
    try:
        pending = [pool.submit(make, item) for item in items[:1]]
        for item in items[1:]:
            made = pending.pop().result()
            pending.append(pool.submit(make, item))
            yield made
        for last in pending:
            yield last.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
