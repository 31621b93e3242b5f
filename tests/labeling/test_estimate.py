from __future__ import annotations

import pytest
from tests.labeling.small_jobs import order

from samlet.labeling.estimate import Estimate, estimate
from samlet.labeling.worker import STAGES

pytest.importorskip("pyarrow")


def test_some_images_are_measured_and_nothing_is_written(tmp_path):
    found = estimate(order(tmp_path / "new", 50, delay_s=0.01), sample=4)
    assert (found.images, found.shards, found.sample, found.broken, found.masks_per_image) == (50, 13, 4, 0, 1)
    assert tuple(found.seconds_per_image) == STAGES
    assert found.seconds_per_image["encode"] >= 0.01
    assert found.bytes_out == round(50 * found.bytes_per_image) > 50
    assert not (tmp_path / "new").exists()


def test_broken_images_of_the_sample_are_told(tmp_path):
    found = estimate(order(tmp_path, ("a-broken", "b")), sample=4)
    assert (found.sample, found.broken, found.masks_per_image) == (2, 1, 1)
    assert "a-broken is not an image" in str(found.reason)


def test_machines_are_bound_by_waiting_or_by_cores():
    stages = {"read": 0.5, "decode": 0.1, "encode": 0.3, "masks": 0.1, "write": 0.0}
    plan = Estimate(7200, 1, 20, 0, None, 1.0, 1.0, stages, wall_s=1.0, cpu_s=0.5)
    assert plan.bottleneck == "read"
    assert plan.images_per_second(workers=2, cores=4) == 2  # each waits half of the time
    assert plan.images_per_second(workers=16, cores=4) == 8  # all cores are busy
    assert plan.images_per_second(workers=1, cores=1, machines=10) == 10
    assert plan.hours(workers=2, cores=4) == 1
