"""Drives a job: one lease, one listing, one plan, an engine, and a line for each shard. The same above every engine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from samlet.errors import DataError, OutputError, SamletError, StoppedError
from samlet.labeling import listing
from samlet.labeling.asking import Ask
from samlet.labeling.engines.engine import Engine
from samlet.labeling.items import Source
from samlet.labeling.job import JOB_FILE, Job, ModelFacts, check_same, default_per_shard, read_job, write_job
from samlet.labeling.lease import LEASE_FILE, Lease, leased
from samlet.labeling.places import Place
from samlet.labeling.plan import Plan, forget_markers, make_plan
from samlet.labeling.sinks import make_sink
from samlet.labeling.status import STATUS_FILE, Meter, State, Status, write_status
from samlet.labeling.worker import SHARDS, Setup, ShardDone
from samlet.predictor import Predictor
from samlet.stopping import stopped_at_once

STATUS_EVERY_S = 5.0
_BEFORE_THE_JOB = {LEASE_FILE, STATUS_FILE, listing.FOLDER}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Order:
    """What the user wants: images, question, model, form and place of the output.

    `images_per_shard` is how much is done again at most where a worker dies; None is `default_per_shard`.
    """

    sources: tuple[Source, ...]
    ask: Ask
    predictor: Predictor
    model: ModelFacts
    place: Place
    output: str = "parquet"
    images_per_shard: int | None = None
    batch_size: int = 1

    def job(self, images: int, listing_sha256: str) -> Job:
        """The job that it is with this listing."""
        names = tuple(source.name for source in self.sources)
        return Job(
            sources=names,
            images=images,
            listing_sha256=listing_sha256,
            ask=self.ask.to_json(),
            model=self.model,
            output=self.output,
            images_per_shard=self.images_per_shard or default_per_shard(images, self.ask.what, self.batch_size),
            batch_size=self.batch_size,
            states=tuple(source.state() for source in self.sources),
        )

    def setup(self, job: Job) -> Setup:
        """What workers need for it."""
        sink = make_sink(job, self.place)
        return Setup(job, self.ask, self.predictor, self.sources, self.place, sink)


def label(
    order: Order,
    engine: Engine,
    max_broken: int = 0,
    retry_broken: bool = False,
    on_shard: Callable[[ShardDone, Status], None] | None = None,
) -> Status:
    """Do what is left of an order; `on_shard` sees each shard that is committed. The last status, which is "finished".

    OutputError if the output is of another job, in other hands, full or read-only; DataError if more than `max_broken`
    images cannot be labeled; InputError if the sources cannot be listed; StoppedError after SIGTERM or Ctrl-C, which
    end it at once: what is committed stays. Whatever ends it, the same call goes on.
    """
    with leased(order.place) as lease:
        job = _job_of(order)
        plan = make_plan(order.place, job, retry_broken)
        if retry_broken:  # killed in between, a shard would have files of two attempts under the marker of the first
            forget_markers(order.place, plan.waiting)
        run = _Run(order.setup(job), plan, engine, lease, max_broken, on_shard)
        kept = f"what is done is kept in {order.place.name}: the same command goes on"
        try:
            with stopped_at_once(kept):
                run.check()
                run.go()
        except BaseException as error:
            run.end("stopped" if isinstance(error, StoppedError | KeyboardInterrupt) else "failed", error)
            raise
        return run.end("finished")


@dataclass
class _Run:
    """One call of `label`."""

    setup: Setup
    plan: Plan
    engine: Engine
    lease: Lease
    max_broken: int
    on_shard: Callable[[ShardDone, Status], None] | None

    def __post_init__(self) -> None:
        job = self.setup.job
        self.meter = Meter(job.images, job.shards, self.engine.workers, self.plan.done)
        self._told = 0.0

    def go(self) -> None:
        """Have all shards done."""
        write_status(self.setup.place, self.meter.status())
        shards = self.engine.run(self.plan.waiting, self.setup)
        try:
            for shard in shards:
                self.lease.check()
                self.meter.add(shard)
                self._tell(shard)
                self.check(shard)
        finally:
            close = getattr(shards, "close", None)  # a generator's; the workers go before the lease does
            if close is not None:
                close()

    def check(self, shard: ShardDone | None = None) -> None:
        """DataError if too many images are broken."""
        broken = self.meter.done.broken
        if broken <= self.max_broken:
            return
        named = next(iter(shard.broken.items()), None) if shard else None
        which = f"{named[0]}: {named[1].rstrip('.')}" if named else "found by an earlier run"
        raise DataError(
            f"{counted(broken)} could not be labeled, more than --max-broken {self.max_broken} allows; see "
            f"{self.setup.place.name}/quarantine ({which}). All others are kept: give a higher --max-broken to go on, "
            "or --retry-broken to try those again."
        )

    def end(self, state: State, error: BaseException | None = None) -> Status:
        """Keep the last status; where that fails too, the error that ended the run tells more."""
        status = self.meter.status(state, None if error is None else str(error) or type(error).__name__)
        place = self.setup.place
        if error is None:
            for folder in ("", SHARDS, *{name.partition("/")[0] for name in self.setup.sink.files_of(0)}):
                place.tidy(folder)
            write_status(place, status)
            return status
        try:
            write_status(place, status)
        except SamletError:
            _logger.warning("the status could not be written")
        return status

    def _tell(self, shard: ShardDone) -> None:
        status = self.meter.status()
        _logger.info("%s", shard_line(shard, status))
        if self.on_shard is not None:
            self.on_shard(shard, status)
        if time.monotonic() - self._told > STATUS_EVERY_S:
            write_status(self.setup.place, status)
            self._told = time.monotonic()


def counted(images: int) -> str:
    """So many images, in words."""
    return f"{images:,} image{'' if images == 1 else 's'}"


def shard_line(shard: ShardDone, status: Status) -> str:
    """A line of the log for a shard that is committed."""
    stages = " ".join(f"{stage} {seconds:.1f}s" for stage, seconds in shard.seconds.items())
    speed = f"{status.images_per_second or 0:.1f} images/s"
    broken = f", {len(shard.broken)} broken" if shard.broken else ""
    return f"shard {shard.shard}: {counted(shard.images)}, {shard.masks} masks{broken} ({stages}; {speed})"


def _job_of(order: Order) -> Job:
    """The job in its output, which is the order's; it is written there first if there is none."""
    place = order.place
    before = read_job(place)
    if before is None:
        strangers = [name for name in place.names("") if name not in _BEFORE_THE_JOB]
        if strangers:
            raise OutputError(f"{place.name} is not empty ({strangers[0]} is there): choose an empty folder.")
        images = listing.Listing.of(order.sources)
        job = order.job(len(images), images.sha256)
        images.write(place, job.images_per_shard)
        write_job(place, job)
        return job
    if order.images_per_shard is None:
        order = replace(order, images_per_shard=before.images_per_shard)
    now = order.job(before.images, before.listing_sha256)
    check_same(place, now, before)
    if now.states == before.states and None not in now.states and not make_plan(place, before).waiting:
        return before
    count, sha256 = listing.digest_of(order.sources)
    if sha256 != before.listing_sha256:
        raise OutputError(
            f"The images have changed since {place.name}/{JOB_FILE} was written ({before.images} then, {count} now; "
            f"{listing.difference(place, order.sources)}): choose another --output, or bring them back."
        )
    return before
