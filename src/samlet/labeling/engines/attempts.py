"""Who is at which shard, for an engine that starts shards again by itself, silently: it counts what their workers say.

A shard that is started and never finished was its worker's last. What becomes of it then, `Schedule` knows.
"""

from __future__ import annotations

from samlet.errors import BackendError
from samlet.labeling.schedule import Schedule, Task
from samlet.labeling.worker import ShardDone


class Attempts:
    """One for all workers of a run, which tell it of every shard that they start and finish."""

    def __init__(self) -> None:
        self._schedules: dict[int, Schedule] = {}
        self._at: dict[int, tuple[str, ...]] = {}
        self._done: dict[int, ShardDone] = {}

    def start(self, shard: int) -> Task | ShardDone | BackendError:
        """How the shard is to be done now; what became of it, if it is done; an error, if workers die of it."""
        if shard in self._done:
            return self._done[shard]
        schedule = self._schedules.get(shard)
        if schedule is None:
            schedule = self._schedules[shard] = Schedule([shard])
        else:
            try:
                schedule.died(shard, self._at.pop(shard, ()))
            except BackendError as error:
                return error
        task = schedule.take()
        return Task(shard) if task is None else task

    def look(self, shard: int, image_ids: tuple[str, ...]) -> None:
        """The worker of a shard looks at these images next."""
        self._at[shard] = image_ids

    def finish(self, done: ShardDone) -> None:
        """A shard is committed."""
        self._done[done.shard] = done
        self._schedules.pop(done.shard, None)
        self._at.pop(done.shard, None)
