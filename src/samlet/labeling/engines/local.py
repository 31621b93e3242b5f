"""Workers as processes of this machine: each has its own model; one that dies is replaced and its shard done again."""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from samlet.errors import BackendError, SamletError
from samlet.labeling.schedule import Schedule, Task
from samlet.labeling.worker import Setup, ShardDone, Worker
from samlet.spawning import leave_to_parent, threads_each

_DEATHS_AT_START = 6  # in a row


@dataclass(frozen=True)
class LocalEngine:
    """So many processes, each of `threads` threads; 0 processes is this one, which a deadly image ends."""

    processes: int
    threads: int = 1
    name: str = "local"

    @property
    def workers(self) -> int:
        """See `Engine`."""
        return max(self.processes, 1)

    def run(self, shards: Sequence[int], setup: Setup) -> Iterator[ShardDone]:
        """See `Engine`."""
        if not self.processes:
            worker = Worker(setup)
            yield from (worker.do(Task(number)) for number in shards)
            return
        schedule = Schedule(shards)
        crew = _Crew(setup, self.threads)
        try:
            while schedule.unfinished:
                crew.hire(min(self.processes, schedule.unfinished))
                crew.hand_out(schedule)
                for member, said in crew.listen():
                    if isinstance(said, ShardDone):
                        schedule.done(said.shard)
                        yield said
                    elif member.task is not None:
                        schedule.died(member.task.shard, member.at)
        finally:
            crew.dismiss()


class _Member:
    """One worker process: its task, what it said last that it looks at, whether it is ready for work."""

    def __init__(self, setup: Setup, threads: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy the parent's threads in mid-air
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(theirs,), daemon=True)
        with threads_each(threads):
            self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.at: tuple[str, ...] = ()
        self.ready = False
        with suppress(OSError):  # one that dies at once is heard of later
            self.connection.send(setup)

    def give(self, task: Task) -> None:
        """Hand a task over."""
        self.task, self.at = task, ()
        with suppress(OSError):  # if it has died meanwhile, it is heard of later
            self.connection.send(task)

    def hear(self) -> Any:
        """What it says; None if it died."""
        try:
            return self.connection.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return None

    def end(self) -> None:
        """Without waiting for what it does: a worker holds nothing that is not done again."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class _Crew:
    """The worker processes."""

    def __init__(self, setup: Setup, threads: int) -> None:
        self._setup, self._threads = setup, threads
        self._members: list[_Member] = []
        self._deaths_at_start = 0

    def hire(self, count: int) -> None:
        """Have so many, if there are fewer."""
        while len(self._members) < count:
            self._members.append(_Member(self._setup, self._threads))

    def hand_out(self, schedule: Schedule) -> None:
        """Give a task to each that has none."""
        for member in self._members:
            if member.ready and member.task is None and (task := schedule.take()) is not None:
                member.give(task)

    def listen(self) -> Iterator[tuple[_Member, ShardDone | None]]:
        """Wait until somebody says something: shards that are done, and (None) members that died, who leave."""
        said = wait([member.connection for member in self._members])
        for member in [member for member in self._members if member.connection in said]:
            heard = member.hear()
            match heard:
                case None:
                    self._leave(member)
                    yield member, None
                case "ready":
                    member.ready, self._deaths_at_start = True, 0
                case tuple():
                    member.at = heard
                case ShardDone():
                    member.task, member.at = None, ()
                    yield member, heard
                case _:
                    raise heard

    def dismiss(self) -> None:
        """End all of them."""
        for member in self._members:
            member.end()
        self._members.clear()

    def _leave(self, member: _Member) -> None:
        member.end()
        self._members.remove(member)
        if not member.ready:
            self._deaths_at_start += 1
            if self._deaths_at_start >= _DEATHS_AT_START:
                raise BackendError(
                    "Worker processes die while they load the model, perhaps for lack of memory: give fewer --workers."
                )


def _work(connection: Connection) -> None:
    """A worker process: says that it is ready, then what becomes of each task."""
    leave_to_parent()
    try:
        worker = Worker(connection.recv(), connection.send)
        connection.send("ready")
        while True:
            connection.send(worker.do(connection.recv()))
    except (EOFError, BrokenPipeError, ConnectionResetError):  # the parent is gone
        return
    except SamletError as error:
        connection.send(error)
    except Exception as error:  # noqa: BLE001 - the parent raises it; not every error can be pickled
        connection.send(RuntimeError(f"{type(error).__name__}: {error}"))
