"""What a job would take, before it is begun: some of its images are labeled here, and nothing is kept."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from samlet.labeling.driver import Order
from samlet.labeling.listing import Listing
from samlet.labeling.places import Folder
from samlet.labeling.schedule import Task
from samlet.labeling.worker import Worker

SAMPLE = 20


@dataclass(frozen=True)
class Estimate:
    """A job in numbers. What is per image was measured on `sample` images, in one worker that had the machine's rest.

    `seconds_per_image` by stage; `wall_s` and `cpu_s` per image of the whole worker; `broken` of the sample's images
    could not be labeled, `reason` is the first one's.
    """

    images: int
    shards: int
    sample: int
    broken: int
    reason: str | None
    masks_per_image: float
    bytes_per_image: float
    seconds_per_image: Mapping[str, float]
    wall_s: float
    cpu_s: float

    @property
    def bottleneck(self) -> str:
        """The stage that takes longest."""
        return max(self.seconds_per_image, key=lambda stage: self.seconds_per_image[stage])

    @property
    def bytes_out(self) -> int:
        """What all shards would take."""
        return round(self.images * self.bytes_per_image)

    def images_per_second(self, workers: int, cores: int, machines: int = 1) -> float:
        """So many workers on each machine of so many cores: bound by their waiting or by the cores' work."""
        return machines * min(workers / self.wall_s, max(cores / self.cpu_s, 1 / self.wall_s))

    def hours(self, workers: int, cores: int, machines: int = 1) -> float:
        """The same, for all images."""
        return self.images / self.images_per_second(workers, cores, machines) / 3600

    def to_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self) | {"bottleneck": self.bottleneck, "bytes_out": self.bytes_out}


def estimate(order: Order, sample: int = SAMPLE) -> Estimate:
    """Label `sample` images, spread over the job, and reckon; errors as `samlet.labeling.driver.label`."""
    listing = Listing.of(order.sources)
    listing.check()
    job = order.job(len(listing), listing.sha256)
    listed = listing.sample(sample)
    with tempfile.TemporaryDirectory(prefix="samlet-") as folder:
        setup = replace(order, place=Folder(Path(folder))).setup(job)
        worker = Worker(setup)
        worker.label_items(listed[:1], Task(0))  # the first run of a network takes longer
        wall, cpu = time.perf_counter(), time.process_time()
        result = worker.label_items(listed, Task(0))
        sources = {each.item.image_id: order.sources[each.source] for each in listed}
        writing = time.perf_counter()
        files = setup.sink.write(result, lambda item: sources[item.image_id].read(item))
        seconds = {**result.seconds, "write": time.perf_counter() - writing}
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        written = sum((Path(folder) / name).stat().st_size for name in files)
    good = max(len(result.images), 1)
    return Estimate(
        images=len(listing),
        shards=job.shards,
        sample=len(listed),
        broken=len(result.broken),
        reason=result.broken[0].reason if result.broken else None,
        masks_per_image=result.masks / good,
        bytes_per_image=written / len(listed),
        seconds_per_image={stage: spent / len(listed) for stage, spent in seconds.items()},
        wall_s=wall / len(listed),
        cpu_s=max(cpu / len(listed), 1e-9),
    )
