"""What becomes of `samlet label` on a thousand workers that fail, without a cluster: 10⁶ to 10⁹ images.

    python benchmarks/label_simulation.py
    python benchmarks/label_simulation.py --image-s 0.02 --most-images 100000000

A simulation of discrete events: no sleeping, no network, no processes. The plan, the schedule, the markers and the
counting are the program's own code; workers are numbers: how long an image takes, how often a worker dies, how long a
new one needs to load its model. Images that kill whoever looks at them, slow workers and deaths of the driver are among
the events. At the end every image must be in the result, or be left out for its deaths, exactly once.
It prints what was assumed, a table and one JSON line. `busy` is the share of the workers' time that ended in the
result, `plan h` the time that drivers read markers, `us/shard` the CPU time a driver spends on a shard.
"""

from __future__ import annotations

import heapq
import json
import random
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import cyclopts

from samlet.cli.tables import print_table
from samlet.labeling.driver import shard_line
from samlet.labeling.job import Job, ModelFacts
from samlet.labeling.lease import EXPIRES_S
from samlet.labeling.plan import MARKERS_AT_ONCE, SHARDS, make_plan
from samlet.labeling.results import shard_name
from samlet.labeling.schedule import Schedule, Task
from samlet.labeling.status import Meter
from samlet.labeling.worker import ShardDone

# Images, workers, images in a shard.
CASES = (
    (10**6, 100, 512),
    (10**6, 100, 64),
    (10**7, 1000, 512),
    (10**7, 1000, 64),
    (10**8, 1000, 512),
    (10**9, 1000, 4096),
    (10**9, 10_000, 2048),
)
STATUS_EVERY = 100  # shards, for the status that is written
IDLE_S = 10.0  # until a worker without a task asks again


@dataclass(frozen=True)
class World:
    """What is assumed; times in seconds."""

    image_s: float = 0.3
    image_spread: float = 0.1
    slow_share: float = 0.01
    slow_factor: float = 5.0
    careful_factor: float = 1.6
    worker_lives_s: float = 24 * 3600.0
    worker_starts_s: float = 60.0
    driver_lives_s: float = 24 * 3600.0
    marker_read_s: float = 0.02
    deadly_share: float = 1e-7
    images_per_shard: int = 512


@dataclass(frozen=True)
class Outcome:
    """One simulated job. `busy` is the share of the workers' time that ended in the result."""

    images: int
    workers: int
    shards: int
    ideal_h: float
    hours: float
    busy: float
    worker_deaths: int
    driver_deaths: int
    left_out: int
    plan_h: float
    driver_cpu_us_per_shard: float
    simulated_s: float


@dataclass
class Memory:
    """An output that is a dictionary: what the plan asks of a `Place`."""

    name: str = "memory"
    files: dict[str, bytes] = field(default_factory=dict)

    def read(self, name: str) -> bytes | None:
        """One request to a store."""
        return self.files.get(name)

    def names(self, folder: str) -> list[str]:
        """All markers."""
        return sorted(name[len(folder) + 1 :] for name in self.files)


class Simulation:
    """One job, from its first driver to its end."""

    def __init__(self, images: int, workers: int, world: World, seed: int) -> None:
        self._random = random.Random(seed)
        self._world, self._workers = world, workers
        self._job = simulated_job(images, world.images_per_shard)
        self._place = Memory()
        self._slowness = [self._one_slowness() for _ in range(workers)]
        self._deadly = self._deadly_images()
        self._left_out: set[str] = set()
        self._now = self._plan_s = self._driver_cpu_s = 0.0
        self._deaths = self._driver_deaths = 0

    def run(self) -> Outcome:
        """Drivers one after the other, until nothing is left."""
        started = time.perf_counter()
        while not self._drive():
            self._driver_deaths += 1
            self._now += EXPIRES_S  # until the lease may be taken over
        job, busy_s = self._job, self._now * self._workers
        useful_s = job.images * self._world.image_s
        self._check()
        return Outcome(
            images=job.images,
            workers=self._workers,
            shards=job.shards,
            ideal_h=useful_s / self._workers / 3600,
            hours=self._now / 3600,
            busy=useful_s / busy_s,
            worker_deaths=self._deaths,
            driver_deaths=self._driver_deaths,
            left_out=len(self._left_out),
            plan_h=self._plan_s / 3600,
            driver_cpu_us_per_shard=self._driver_cpu_s / job.shards * 1e6,
            simulated_s=time.perf_counter() - started,
        )

    def _drive(self) -> bool:
        """One driver's life; whether it saw the end."""
        plan = self._planned()
        schedule = Schedule(plan.waiting)
        meter = Meter(self._job.images, self._job.shards, self._workers, plan.done)
        ends_at = self._now + self._random.expovariate(1 / self._world.driver_lives_s)
        # Each worker loads its model, then asks for work; an event is (time, worker, task, died at, ended well).
        events: list[tuple[float, int, Task | None, tuple[str, ...], bool]] = [
            (self._now + self._world.worker_starts_s, worker, None, (), True) for worker in range(self._workers)
        ]
        heapq.heapify(events)
        while schedule.unfinished:
            at, worker, task, image, well = heapq.heappop(events)
            if at > ends_at:
                self._now = ends_at
                return False
            self._now = at
            began = time.thread_time()
            if task is not None:
                self._settle(schedule, meter, task, image, well)
            waits = 0.0 if well else self._world.worker_starts_s
            new = schedule.take()
            self._driver_cpu_s += time.thread_time() - began
            if new is not None:
                heapq.heappush(events, self._work(at + waits, worker, new))
            elif schedule.unfinished:
                heapq.heappush(events, (at + IDLE_S, worker, None, (), True))
        return True

    def _planned(self) -> Any:
        """The program's own plan; its requests take their time."""
        plan = make_plan(self._place, self._job)  # type: ignore[arg-type] - it reads and lists, no more
        spent = len(self._place.files) * self._world.marker_read_s / MARKERS_AT_ONCE
        self._plan_s += spent
        self._now += spent
        return plan

    def _settle(self, schedule: Schedule, meter: Meter, task: Task, image: tuple[str, ...], well: bool) -> None:
        """What a driver does with an event."""
        if not well:
            self._deaths += 1
            schedule.died(task.shard, image)
            return
        images = self._images_of(task.shard)
        broken = dict.fromkeys(task.skipped, "worker processes died on it")
        done = ShardDone(task.shard, images - len(broken), images, broken, {"encode": 1.0})
        name = f"{SHARDS}/{shard_name(task.shard)}.json"
        if name in self._place.files:
            raise AssertionError(f"shard {task.shard} was committed twice")
        marker = {"shard": task.shard, "images": done.images, "masks": done.masks, "broken": len(broken)}
        self._place.files[name] = json.dumps(marker).encode()
        self._left_out |= task.skipped
        schedule.done(task.shard)
        meter.add(done)
        if task.shard % STATUS_EVERY == 0:
            shard_line(done, meter.status())

    def _work(self, at: float, worker: int, task: Task) -> tuple[float, int, Task, tuple[str, ...], bool]:
        """When a worker ends with a task, and how."""
        world = self._world
        images = self._images_of(task.shard)
        image_s = world.image_s * self._slowness[worker] * (world.careful_factor if task.careful else 1)
        needs_s = images * image_s
        lives_s = self._random.expovariate(1 / world.worker_lives_s)
        kills = [place for place in self._deadly.get(task.shard, ()) if _id(task.shard, place) not in task.skipped]
        if kills and (kills[0] + 1) * image_s < lives_s:
            said = (_id(task.shard, kills[0]),) if task.careful else ()
            return at + (kills[0] + 1) * image_s, worker, task, said, False
        if lives_s < needs_s:
            place = int(lives_s / image_s)
            return at + lives_s, worker, task, (_id(task.shard, place),) if task.careful else (), False
        return at + needs_s, worker, task, (), True

    def _images_of(self, shard: int) -> int:
        return min(self._job.images_per_shard, self._job.images - shard * self._job.images_per_shard)

    def _one_slowness(self) -> float:
        world = self._world
        slow = world.slow_factor if self._random.random() < world.slow_share else 1.0
        return slow * self._random.lognormvariate(0, world.image_spread)

    def _deadly_images(self) -> dict[int, list[int]]:
        """Where in a shard images lie that kill whoever looks at them."""
        count = round(self._job.images * self._world.deadly_share)
        found: dict[int, list[int]] = {}
        for image in sorted(self._random.sample(range(self._job.images), count)):
            found.setdefault(image // self._job.images_per_shard, []).append(image % self._job.images_per_shard)
        return found

    def _check(self) -> None:
        """Every image once; an image may be left out for deaths that it did not cause, but no deadly one is in."""
        markers = [json.loads(content) for content in self._place.files.values()]
        counted = sum(marker["images"] + marker["broken"] for marker in markers)
        deadly = {_id(shard, place) for shard, places in self._deadly.items() for place in places}
        if counted != self._job.images or len(markers) != self._job.shards or not deadly <= self._left_out:
            raise AssertionError(f"{counted} of {self._job.images} images are accounted for")


def simulated_job(images: int, images_per_shard: int) -> Job:
    """A job of images that nobody has."""
    model = ModelFacts("simulated", None, "simulated")
    return Job(("simulated",), images, "", {}, model, images_per_shard=images_per_shard)


def _id(shard: int, place: int) -> str:
    return f"{shard}/{place}"


def main(*, image_s: float = 0.3, most_images: int = 10**9, seed: int = 15, json_only: bool = False) -> None:
    """Simulate jobs of 10⁶ to `most_images` images; `image_s` is a worker's time for one, as --dry-run measures it."""
    world = World(image_s=image_s)
    cases = [case for case in CASES if case[0] <= most_images]
    outcomes = [
        Simulation(images, workers, replace(world, images_per_shard=per_shard), seed).run()
        for images, workers, per_shard in cases
    ]
    if not json_only:
        facts = {name: value for name, value in asdict(world).items() if name != "images_per_shard"}
        print(f"Assumed: {', '.join(f'{name} {value:g}' for name, value in facts.items())}\n")
        columns = (
            "images",
            "workers",
            "a shard",
            "ideal h",
            "hours",
            "busy",
            "deaths",
            "drivers",
            "left out",
            "plan h",
            "us/shard",
        )
        rows = [
            (
                f"{each.images:.0e}",
                f"{each.workers:,}",
                f"{-(-each.images // each.shards):,}",
                f"{each.ideal_h:,.1f}",
                f"{each.hours:,.1f}",
                f"{each.busy:.1%}",
                f"{each.worker_deaths:,}",
                f"{1 + each.driver_deaths}",
                f"{each.left_out}",
                f"{each.plan_h:.2f}",
                f"{each.driver_cpu_us_per_shard:.0f}",
            )
            for each in outcomes
        ]
        print_table(tuple((column, "right") for column in columns), rows)
    print(json.dumps({"world": asdict(world), "outcomes": [asdict(each) for each in outcomes]}))


if __name__ == "__main__":
    cyclopts.run(main)
