"""Working ahead: the next items are made in threads while the caller uses the last."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


def one_ahead(make: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """`some_ahead` with one thread that makes one item: the next one, while the caller works on the last."""
    return some_ahead(make, items, 1)


def some_ahead(
    make: Callable[[Item], Made],
    items: Iterable[Item],
    threads: int,
    size_of: Callable[[Made], int] | None = None,
    most: int = 0,
) -> Iterator[Made]:
    """make(item) of every item, in order, the next ones in so many threads while the caller works on the last.

    No more than `threads` are made or wait, and with `size_of` no more than come to `most`, each taken to be as large
    as the largest so far; one is always made.

    Left before its end it waits for nobody. Where an error keeps it alive it is the garbage collector that ends it, in
    whatever thread that runs: even in one that just starts, and then waiting for a thread never ends.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Made]] = deque()
    left = iter(items)
    largest = 0

    def start() -> None:
        while len(waiting) < threads and (not waiting or largest * (len(waiting) + 1) <= most):
            for item in left:
                waiting.append(pool.submit(make, item))
                break
            else:
                return

    try:
        start()
        while waiting:
            made = waiting.popleft().result()
            largest = max(largest, size_of(made)) if size_of else 0
            start()
            yield made
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
