"""One driver at a time for one output: a file that its driver renews, and that another may take once it is not.

Two drivers would do no harm to the results, whose bytes are the same whoever writes them, but all work twice.
"""

from __future__ import annotations

import json
import os
import platform
import secrets
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from samlet.errors import OutputError, SamletError
from samlet.labeling.places import Place

LEASE_FILE = "lease.json"
BEAT_S = 10.0
EXPIRES_S = 60.0


@dataclass(frozen=True)
class _Claim:
    """Who has the output: a random token, machine and process, and when it was last renewed (seconds, UTC).

    `system` is where numbers of processes mean the same: machines and containers may have one name.
    """

    owner: str
    machine: str
    process: int
    renewed: float
    system: str = ""

    def to_bytes(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def of(cls, content: bytes) -> _Claim | None:
        try:
            claim = cls(**json.loads(content))
        except (TypeError, ValueError, RecursionError):
            return None
        sound = type(claim.process) is int and 0 < claim.process < 2**31 and isinstance(claim.renewed, (int, float))
        words = (claim.owner, claim.machine, claim.system)
        return claim if sound and all(isinstance(word, str) for word in words) else None

    def has_ended(self, expires_s: float) -> bool:
        """Whether nobody renews it any more: for too long, or because its process, on this machine, is gone."""
        if self.system == _system() and not _runs(self.process):
            return True
        return time.time() - self.renewed > expires_s


class Lease:
    """The right to write to an output, as long as it is `held`."""

    def __init__(self, place: Place, claim: _Claim) -> None:
        self._place, self._claim = place, claim
        self._lost: str | None = None

    def check(self) -> None:
        """OutputError if another driver has taken over, or the output cannot be written any more."""
        if self._lost is not None:
            raise OutputError(self._lost)

    def renew(self) -> None:
        """Say that this driver lives."""
        renewed = replace(self._claim, renewed=time.time())
        try:
            if self._place.swap(LEASE_FILE, self._claim.to_bytes(), renewed.to_bytes()):
                self._claim = renewed
            else:
                self._lost = f"Another driver has taken {self._place.name} over: this one was not heard of in time."
        except SamletError as error:
            self._lost = str(error)

    def release(self) -> None:
        """Give the output back, if it is still ours."""
        if self._place.read(LEASE_FILE) == self._claim.to_bytes():
            self._place.remove(LEASE_FILE)


@contextmanager
def leased(place: Place, beat_s: float = BEAT_S, expires_s: float = EXPIRES_S) -> Iterator[Lease]:
    """Hold the lease of an output while the block runs, renewed by a thread; OutputError if another driver has it."""
    lease = Lease(place, _taken(place, expires_s))
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(beat_s):
            lease.renew()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        stop.set()
        thread.join()
        with suppress(SamletError):  # it expires, and what ended the block tells more
            lease.release()


def holder(place: Place, expires_s: float = EXPIRES_S) -> str | None:
    """Who works on an output now, in words; None if nobody does."""
    claim = _living(place, expires_s)
    return None if claim is None else f"process {claim.process} on {claim.machine}"


def check_free(place: Place, expires_s: float = EXPIRES_S) -> None:
    """OutputError if another driver has the output: told before anything is loaded for it. `leased` looks again."""
    claim = _living(place, expires_s)
    if claim is not None:
        raise OutputError(_refusal(place, claim, expires_s))


def _living(place: Place, expires_s: float) -> _Claim | None:
    content = place.read(LEASE_FILE)
    claim = None if content is None else _Claim.of(content)
    return None if claim is None or claim.has_ended(expires_s) else claim


def _taken(place: Place, expires_s: float) -> _Claim:
    ours = _Claim(secrets.token_hex(8), platform.node(), os.getpid(), time.time(), _system())
    while not place.create(LEASE_FILE, ours.to_bytes()):
        before = place.read(LEASE_FILE)
        if before is None:  # given back just now
            continue
        claim = _Claim.of(before)
        if claim is not None and not claim.has_ended(expires_s):
            raise OutputError(_refusal(place, claim, expires_s))
        if place.swap(LEASE_FILE, before, ours.to_bytes()):
            break
    return ours


def _refusal(place: Place, claim: _Claim, expires_s: float) -> str:
    return (
        f"{place.name} is being written by process {claim.process} on {claim.machine}: wait for it, or stop it; "
        f"if that machine is gone, it can be taken over {expires_s:.0f} seconds after its last sign of life."
    )


def _system() -> str:
    """This boot of this machine, and this container of it."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, ValueError):  # not on Linux
        return f"{platform.node()} {uuid.getnode():012x}"


def _runs(process: int) -> bool:
    if os.name == "nt":  # where asking for a process would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # under another user
        return True
    return True
