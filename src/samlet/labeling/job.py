"""What a job is: everything that its results depend on, as one value that is kept beside them.

The machine, the engine, the number of workers and the limits of a run are not in it: they change no byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from samlet.errors import OutputError
from samlet.labeling.places import Place

JOB_FILE = "job.json"
MOST_PER_SHARD = {"everything": 32, "prompts": 512}  # some minutes of work
LEAST_SHARDS = 64  # so that all workers of a machine have something to do
_FORMAT = 1


@dataclass(frozen=True)
class ModelFacts:
    """Which network answers, and how it is run; `weights_sha256` is None where nobody knows."""

    name: str
    weights_sha256: str | None
    backend: str
    device: str | None = None
    precision: str | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Job:
    """Images, question, model and form of the output.

    `sources` are as the user named them; `images` and `listing_sha256` are those of the listing. `ask` says what is
    asked of each image, in JSON values. Shards have `images_per_shard` images, the encoder sees `batch_size` at once.
    `states` are those of the sources when they were listed (`Source.state`), which the listing's digest says better.
    """

    sources: tuple[str, ...]
    images: int
    listing_sha256: str
    ask: Mapping[str, Any]
    model: ModelFacts
    images_per_shard: int
    output: str = "parquet"
    batch_size: int = 1
    states: tuple[str | None, ...] = ()
    format: int = field(default=_FORMAT)

    def __post_init__(self) -> None:
        if self.images_per_shard < 1 or self.batch_size < 1:
            raise ValueError("a shard and a batch hold one image at least")

    @property
    def shards(self) -> int:
        """How many shards there are; the last one may be smaller."""
        return -(-self.images // self.images_per_shard)

    def to_json(self) -> dict[str, Any]:
        """As it is kept in `JOB_FILE`."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Job:
        """The job of a record; KeyError, TypeError or ValueError if it is none."""
        tuples = {name: tuple(record[name]) for name in ("sources", "states")}
        fields = {**record, **tuples, "model": ModelFacts(**record["model"])}
        return cls(**fields)

    def differences(self, other: Job) -> list[str]:
        """What is not as in `other`, which was before: 'refine is "auto" now and was "none"'."""
        now, before = dict(_flat(self.to_json())), dict(_flat(other.to_json()))
        names = [name for name in (*now, *(name for name in before if name not in now)) if name != "states"]
        return [
            f"{name} is {json.dumps(now.get(name))} now and was {json.dumps(before.get(name))}"
            for name in names
            if now.get(name) != before.get(name)
        ]


def default_per_shard(images: int, what: str, batch_size: int = 1) -> int:
    """How many images a shard has where nobody says it: a batch at least; `what` is asked of them."""
    return max(batch_size, min(MOST_PER_SHARD[what], images // LEAST_SHARDS))


def read_job(place: Place) -> Job | None:
    """The job of an output, None if it has none; OutputError if what is kept there is not one."""
    content = place.read(JOB_FILE)
    if content is None:
        return None
    try:
        return Job.from_json(json.loads(content))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise OutputError(
            f"{place.name}/{JOB_FILE} is not a job of this version of samlet label: choose another --output."
        ) from error


def write_job(place: Place, job: Job) -> None:
    """Keep the job in its output."""
    place.write(JOB_FILE, (json.dumps(job.to_json(), indent=2) + "\n").encode())


def check_same(place: Place, job: Job, before: Job) -> None:
    """OutputError, which names each difference, unless the output is of this job."""
    differences = job.differences(before)
    if differences:
        raise OutputError(
            f"{place.name} holds the results of another job ({'; '.join(differences)}): choose another --output, or "
            "give the command as it was."
        )


def _flat(record: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots, and values; lists stay whole."""
    if not isinstance(record, Mapping):
        yield name, list(record) if isinstance(record, tuple) else record
        return
    for key, value in record.items():
        yield from _flat(value, f"{name}.{key}" if name else str(key))
