"""Workers as actors of Ray Data: on this machine, or on a cluster, whose size it may follow.

What travels are numbers of shards and what became of them, a few hundred bytes each. Photos and masks never enter Ray's
object store: a worker reads, labels and writes its shard where it runs, so there is nothing to spill.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from samlet.errors import BackendError, MissingExtraError, SamletError
from samlet.labeling.engines.attempts import Attempts
from samlet.labeling.worker import Setup, ShardDone, Worker
from samlet.runtime.telemetry import import_without_telemetry
from samlet.stopping import SIGNALS

_REACH_S = 5.0
_HERE = "local"
_STORE_BYTES = 128 << 20  # of the object store of a cluster of our own, which holds next to nothing
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RayEngine:
    """From `min_workers` to `max_workers` actors, each with `cpus` cores and `gpus`, which may be a fraction.

    `address` is a cluster's (`ray://HOST:10001`, `HOST:6379`); None is $RAY_ADDRESS, or a cluster of our own on this
    machine, which ends with the run. Where the program around samlet has connected to Ray, that connection is used.
    """

    address: str | None = None
    min_workers: int = 1
    max_workers: int = 1
    cpus: float = 1.0
    gpus: float = 0.0
    name: str = "ray"

    @property
    def workers(self) -> int:
        """See `Engine`."""
        return self.max_workers

    def run(self, shards: Sequence[int], setup: Setup) -> Iterator[ShardDone]:
        """See `Engine`. BackendError if the cluster cannot be reached."""
        ray = import_ray()
        if not shards:
            return
        with self._connected(ray):
            self._tell_if_short(ray)
            yield from self._labeled(ray, shards, setup)

    def _labeled(self, ray: Any, shards: Sequence[int], setup: Setup) -> Iterator[ShardDone]:
        rows = ray.remote(num_cpus=0)(_Rows).remote(self, shards, setup)
        try:
            while (said := ray.get(rows.next.remote())) is not None:
                done = ray.cloudpickle.loads(said)
                if isinstance(done, Exception):
                    raise done
                yield done
        except ray.exceptions.RayError as error:
            raise BackendError(f"Ray gave up: {_first_line(error)} What is done is kept: start again.") from error
        finally:
            ray.kill(rows)  # and with it the workers, which it owns

    @contextmanager
    def _connected(self, ray: Any) -> Iterator[None]:
        if ray.is_initialized():
            yield
            return
        address = self.address or os.environ.get("RAY_ADDRESS") or _HERE
        check_reachable(address)
        options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
        if address == _HERE:
            cores = max(os.cpu_count() or 1, int(self.max_workers * self.cpus) + 1)
            options |= {"num_cpus": cores, "include_dashboard": False, "object_store_memory": _STORE_BYTES}
        try:
            with _our_signals():
                ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            token = "" if address == _HERE else " Where the cluster asks for a token, set RAY_AUTH_MODE=token."
            raise BackendError(f"Ray cannot be reached at {address}: {_first_line(error)}{token}") from error
        try:
            yield
        finally:
            ray.shutdown()

    def _tell_if_short(self, ray: Any) -> None:
        there = ray.cluster_resources()
        for kind, each in (("CPU", self.cpus), ("GPU", self.gpus)):
            if each * self.min_workers > there.get(kind, 0):
                _logger.warning(
                    "%d workers of %g %s each do not fit a cluster of %g: it has to grow first",
                    self.min_workers,
                    each,
                    kind,
                    there.get(kind, 0),
                )


class _Rows:
    """An actor that runs the data pipeline: through `ray://` a program cannot, its cluster can."""

    def __init__(self, engine: RayEngine, shards: Sequence[int], setup: Setup) -> None:
        ray = import_ray()
        attempts = ray.remote(num_cpus=0)(Attempts).remote()
        # A block is what is done again when its actor dies: one shard.
        data = ray.data.from_items([{"shard": number} for number in shards], override_num_blocks=len(shards))
        done = data.map(
            _Labeler,
            fn_constructor_args=(setup, attempts),
            compute=ray.data.ActorPoolStrategy(min_size=engine.min_workers, max_size=engine.max_workers),
            num_cpus=engine.cpus,
            num_gpus=engine.gpus,
        )
        self._rows = iter(done.iter_rows())

    def next(self) -> bytes | None:
        """What a worker said of its shard; None behind the last."""
        row = next(self._rows, None)
        return None if row is None else row["said"]


class _Labeler:
    """An actor: one worker, whose model is loaded once."""

    def __init__(self, setup: Setup, attempts: Any) -> None:
        self._ray = import_ray()
        self._attempts, self._shard = attempts, -1
        self._worker: Worker | SamletError
        try:
            self._worker = Worker(setup, self._announce)
        except SamletError as error:
            self._worker = error  # raised here, it would be started again for ever

    def __call__(self, row: dict[str, Any]) -> dict[str, bytes]:
        return {"said": self._ray.cloudpickle.dumps(self._do(int(row["shard"])))}

    def _do(self, shard: int) -> ShardDone | Exception:
        """What became of a shard; errors are said, not raised, so that they come out as they were."""
        if isinstance(self._worker, SamletError):
            return self._worker
        self._shard = shard
        task = self._ray.get(self._attempts.start.remote(shard))
        if isinstance(task, ShardDone | BackendError):
            return task
        try:
            done = self._worker.do(task)
        except SamletError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the driver raises it; not every error can be pickled
            return RuntimeError(f"{type(error).__name__}: {error}")
        self._ray.get(self._attempts.finish.remote(done))
        return done

    def _announce(self, image_ids: tuple[str, ...]) -> None:
        self._ray.get(self._attempts.look.remote(self._shard, image_ids))


@contextmanager
def _our_signals() -> Iterator[None]:
    """What SIGTERM and Ctrl-C do is as before the block: Ray takes SIGTERM over, and aborts the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def import_ray() -> Any:
    """Ray with its data library, its usage reports off and quiet; MissingExtraError."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ complains on stderr of what it then mends
    try:
        ray = import_without_telemetry("ray")
        import_without_telemetry("ray.data")
    except ImportError as error:
        raise MissingExtraError("ray", "--engine ray") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return ray


def check_reachable(address: str) -> None:
    """BackendError if nothing listens at an address of a cluster; Ray itself would try for minutes."""
    if address in (_HERE, "auto"):
        return
    try:
        parts = urlsplit(address if "://" in address else f"//{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port:
        raise BackendError(f"{address} is no address of a Ray cluster: give ray://HOST:10001 or HOST:6379.")
    try:
        socket.create_connection((host, port), timeout=_REACH_S).close()
    except OSError as error:
        raise BackendError(
            f"No Ray cluster can be reached at {address} ({error.strerror or error}): is it running, its port open?"
        ) from error


def _first_line(error: BaseException) -> str:
    line = str(error).strip().partition("\n")[0] or type(error).__name__
    return line if line.endswith(".") else f"{line}."
