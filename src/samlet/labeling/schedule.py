"""Which shard is done next, and what becomes of one whose worker died. Pure bookkeeping: no processes, no clock.

A worker may die for reasons of its own (killed, its machine gone) or because an image kills whoever looks at it. So a
shard is tried again as it is; from the second death on its worker says what it looks at, and an image on which several
workers in a row have died is left out, with that as its reason.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, replace

from samlet.errors import BackendError

DEATHS_UNTIL_CAREFUL = 2
DEATHS_OF_IMAGE = 3
DEATHS_UNEXPLAINED = 10


@dataclass(frozen=True)
class Task:
    """One shard to be done.

    `careful`: one image after the other, each said before it is looked at; `alone`: not even encoded together;
    `skipped` are ids of images on which workers died.
    """

    shard: int
    careful: bool = False
    alone: bool = False
    skipped: frozenset[str] = frozenset()


class Schedule:
    """Hands out shards, in order; those of dead workers first."""

    def __init__(self, shards: Iterable[int]) -> None:
        self._waiting = deque(Task(number) for number in shards)
        self._at_work: dict[int, Task] = {}
        self._deaths: Counter[int] = Counter()
        self._deaths_at: Counter[tuple[int, tuple[str, ...]]] = Counter()

    @property
    def unfinished(self) -> int:
        """How many shards are not done."""
        return len(self._waiting) + len(self._at_work)

    def take(self) -> Task | None:
        """The next task, None if nothing waits."""
        if not self._waiting:
            return None
        task = self._waiting.popleft()
        self._at_work[task.shard] = task
        return task

    def done(self, shard: int) -> None:
        """A shard is committed."""
        del self._at_work[shard]

    def died(self, shard: int, at: tuple[str, ...] = ()) -> None:
        """The worker of a shard died; `at` are the images that it said last. BackendError if nobody can tell why."""
        task = self._at_work.pop(shard)
        self._deaths[shard] += 1
        self._deaths_at[shard, at] += 1
        if self._deaths_at[shard, at] >= (DEATHS_OF_IMAGE if at else DEATHS_UNEXPLAINED):
            task = self._without(task, at)
        self._waiting.appendleft(replace(task, careful=self._deaths[shard] >= DEATHS_UNTIL_CAREFUL))

    def _without(self, task: Task, at: tuple[str, ...]) -> Task:
        """The task without what kills its workers."""
        match at:
            case ():
                raise BackendError(
                    f"Worker processes died {DEATHS_UNEXPLAINED} times on shard {task.shard} and named no image, "
                    "perhaps for lack of memory: what is done is kept, so try again with fewer workers."
                )
            case (one,):
                return replace(task, skipped=task.skipped | {one})
            case _:
                return replace(task, alone=True)
