"""What is left of a job: the shards without a marker."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from samlet.ahead import some_ahead
from samlet.errors import OutputError
from samlet.labeling.job import Job
from samlet.labeling.places import Place
from samlet.labeling.results import shard_name
from samlet.labeling.status import Done
from samlet.labeling.worker import SHARDS

MARKERS_AT_ONCE = 32  # a store answers each in some hundredths of a second, and a large job has a million


@dataclass(frozen=True)
class Plan:
    """The shards to be done, in order, and what is done already."""

    waiting: tuple[int, ...]
    done: Done


def make_plan(place: Place, job: Job, retry_broken: bool = False) -> Plan:
    """The plan of a job as its output is now; with `retry_broken` shards with broken images are done once more.

    OutputError for a marker that samlet did not write.
    """
    names = {name.partition(".")[0] for name in place.names(SHARDS)}
    there = [number for number in range(job.shards) if shard_name(number) in names]
    known = dict(zip(there, some_ahead(lambda number: _counts(place, number), there, MARKERS_AT_ONCE), strict=True))
    done, waiting = Done(), []
    for number in range(job.shards):
        counts = known.get(number)
        if counts is None or (retry_broken and counts[2]):
            waiting.append(number)
        else:
            done = done.with_shard(*counts)
    return Plan(tuple(waiting), done)


def forget_markers(place: Place, shards: Iterable[int]) -> None:
    """Make shards uncommitted, which are to be done once more."""
    there = set(place.names(SHARDS))
    for name in (f"{shard_name(number)}.json" for number in shards):
        if name in there:
            place.remove(f"{SHARDS}/{name}")


def _counts(place: Place, number: int) -> tuple[int, int, int]:
    """Images, masks and broken images of a committed shard."""
    name = f"{SHARDS}/{shard_name(number)}.json"
    try:
        marker = json.loads(place.read(name) or b"")
        return int(marker["images"]), int(marker["masks"]), int(marker["broken"])
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise OutputError(f"{place.name}/{name} is damaged: remove it, and its shard is done again.") from error
