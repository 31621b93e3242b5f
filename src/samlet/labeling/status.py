"""How far a job is, as numbers for people and programs: `status.json` in its output, renewed as shards are done.

What is done is counted from the markers of all runs; images a second and seconds by stage are of this run alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from samlet.labeling.places import Place
from samlet.labeling.worker import ShardDone

STATUS_FILE = "status.json"
State = Literal["running", "finished", "stopped", "failed"]


@dataclass(frozen=True)
class Done:
    """What is committed: shards, images with their masks, and images that could not be labeled."""

    shards: int = 0
    images: int = 0
    masks: int = 0
    broken: int = 0

    def with_shard(self, images: int, masks: int, broken: int) -> Done:
        """And one shard more."""
        return Done(self.shards + 1, self.images + images, self.masks + masks, self.broken + broken)


@dataclass(frozen=True)
class Status:
    """One look at a job; times are in seconds, `updated` since 1970 (UTC)."""

    state: State
    done: Done
    images: int
    shards: int
    workers: int
    images_per_second: float | None
    eta_s: float | None
    masks_per_image: float | None
    seconds: Mapping[str, float]
    updated: float
    message: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is kept in `STATUS_FILE`."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Status:
        """The status of a record; KeyError or TypeError if it is none."""
        return cls(**{**record, "done": Done(**record["done"])})


@dataclass
class Meter:
    """Counts what is done, and how fast, from the moment that it is made."""

    images: int
    shards: int
    workers: int
    done: Done = field(default_factory=Done)
    _new_images: int = 0
    _seconds: dict[str, float] = field(default_factory=dict)
    _started: float = field(default_factory=time.monotonic)

    def add(self, shard: ShardDone) -> None:
        """Count one shard of this run."""
        self.done = self.done.with_shard(shard.images, shard.masks, len(shard.broken))
        self._new_images += shard.images + len(shard.broken)
        for stage, seconds in shard.seconds.items():
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds

    def status(self, state: State = "running", message: str | None = None) -> Status:
        """Where it stands now."""
        done = self.done
        gone = time.monotonic() - self._started
        speed = self._new_images / gone if self._new_images and gone else None
        left = self.images - done.images - done.broken
        return Status(
            state=state,
            done=done,
            images=self.images,
            shards=self.shards,
            workers=self.workers,
            images_per_second=None if speed is None else round(speed, 3),
            eta_s=None if speed is None else round(left / speed, 1),
            masks_per_image=round(done.masks / done.images, 2) if done.images else None,
            seconds={stage: round(seconds, 3) for stage, seconds in self._seconds.items()},
            updated=round(time.time(), 3),
            message=message,
        )


def write_status(place: Place, status: Status) -> None:
    """Keep it in the output."""
    place.write(STATUS_FILE, (json.dumps(status.to_json(), indent=2) + "\n").encode())


def read_status(place: Place) -> Status | None:
    """What was kept last, None if nothing sound was."""
    content = place.read(STATUS_FILE)
    try:
        return None if content is None else Status.from_json(json.loads(content))
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
