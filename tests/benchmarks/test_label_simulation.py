"""The simulated cluster does every image once, whatever fails; what it reckons with is the program's own plan."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("pyarrow")
SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "label_simulation.py"))
World, Simulation = SCRIPT["World"], SCRIPT["Simulation"]
CALM = World(worker_lives_s=1e12, driver_lives_s=1e12, deadly_share=0, slow_share=0, image_spread=0, worker_starts_s=0)


def test_without_failures_all_workers_are_busy_to_the_end() -> None:
    outcome = Simulation(51_200, 100, CALM, 0).run()
    assert (outcome.shards, outcome.worker_deaths, outcome.driver_deaths, outcome.left_out) == (100, 0, 0, 0)
    assert outcome.hours == pytest.approx(outcome.ideal_h)
    assert outcome.busy == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_every_image_is_done_once_whatever_dies(seed: int) -> None:
    rough = World(worker_lives_s=600, driver_lives_s=300, deadly_share=1e-3, worker_starts_s=10, images_per_shard=100)
    outcome = Simulation(20_050, 10, rough, seed).run()  # it looks itself whether any image is lost or twice there
    assert outcome.shards == 201
    assert outcome.worker_deaths > 20
    assert outcome.driver_deaths > 0
    assert outcome.left_out >= 20
    assert outcome.busy < 1


def test_slow_markers_are_paid_for_by_restarts_alone() -> None:
    slow = replace(CALM, driver_lives_s=1000, marker_read_s=60)
    outcome = Simulation(51_200, 10, slow, 1).run()
    assert outcome.driver_deaths > 0
    assert outcome.plan_h > 0
    assert Simulation(51_200, 10, replace(CALM, marker_read_s=60), 1).run().plan_h == 0
