"""Workers as processes: the same bytes as one, whatever dies and whenever."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tests.labeling.small_jobs import order, results

from samlet.errors import BackendError, OutputError
from samlet.labeling.driver import label
from samlet.labeling.engines.local import LocalEngine
from samlet.labeling.listing import Listing
from samlet.labeling.places import Folder

pq = pytest.importorskip("pyarrow.parquet")

HERE, TWO = LocalEngine(0), LocalEngine(2)
ROOT = Path(__file__).parents[3]


def test_two_processes_write_the_bytes_of_one(tmp_path):
    label(order(tmp_path / "two", 5, per_shard=2), TWO)
    label(order(tmp_path / "one", 5, per_shard=2), HERE)
    assert results(tmp_path / "two") == results(tmp_path / "one")
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_an_image_that_kills_is_left_out_and_all_others_are_as_ever(tmp_path):
    images = ("a", "b", "c-deadly", "d", "e", "f", "g", "h")
    label(order(tmp_path / "killed", images, batch_size=2), TWO, max_broken=1)
    (row,) = pq.read_table(tmp_path / "killed" / "quarantine").to_pylist()
    assert (row["image_id"], row["reason"]) == ("c-deadly", "3 worker processes in a row died on it")
    label(order(tmp_path / "without", tuple(name for name in images if "deadly" not in name)), HERE)
    killed, without = (pq.read_table(tmp_path / folder / "masks").to_pylist() for folder in ("killed", "without"))
    assert killed == without
    assert multiprocessing.active_children() == []


class Unloadable:
    """A setup that no worker can unpickle."""

    def __reduce__(self):
        return os._exit, (3,)


@pytest.mark.slow
def test_workers_that_cannot_start_end_the_job(tmp_path):
    with pytest.raises(BackendError, match="die while they load the model"):
        list(LocalEngine(1).run([0], Unloadable()))
    assert multiprocessing.active_children() == []


@pytest.mark.slow
def test_what_a_worker_cannot_write_ends_the_job(tmp_path):
    wanted = order(tmp_path, 8)
    tmp_path.joinpath("masks").touch()
    job = wanted.job(8, "")
    Listing.of(wanted.sources).write(Folder(tmp_path), 4)
    with pytest.raises(OutputError, match="masks"):
        list(TWO.run([0, 1], wanted.setup(job)))
    assert multiprocessing.active_children() == []


DRIVER = """
import sys
from pathlib import Path
from tests.labeling.small_jobs import order
from samlet.labeling.driver import label
from samlet.labeling.engines.local import LocalEngine

if __name__ == "__main__":
    label(order(Path(sys.argv[1]), int(sys.argv[2]), delay_s=0.03, per_shard=10), LocalEngine(2))
"""
IMAGES = 1200


def workers_of(driver: int) -> list[int]:
    """The worker processes of a driver: not the process of Python's own that comes with them."""
    children = Path(f"/proc/{driver}/task/{driver}/children")
    numbers = [int(number) for number in children.read_text().split()] if children.exists() else []
    return [number for number in numbers if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are looked up in /proc")
def test_killed_at_twenty_moments_a_job_ends_with_the_bytes_of_one_left_alone(tmp_path):
    chance = random.Random(20)
    program = tmp_path / "drive.py"
    program.write_text(DRIVER)
    command = [sys.executable, str(program), str(tmp_path / "killed"), str(IMAGES)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    killed = 0
    while killed < 20:
        driver = subprocess.Popen(command, env=environment)
        for _ in range(4):
            while not workers_of(driver.pid) and driver.poll() is None:
                time.sleep(0.05)
            time.sleep(chance.uniform(0.1, 0.9))
            workers = workers_of(driver.pid)
            assert driver.poll() is None, "the job was done before all were killed"
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
                killed += 1
        driver.kill()
        driver.wait()
        killed += 1
    subprocess.run(command, env=environment, check=True)
    label(order(tmp_path / "alone", IMAGES, per_shard=10), HERE)
    assert results(tmp_path / "killed") == results(tmp_path / "alone")


@pytest.mark.slow
def test_drivers_that_race_for_an_output_do_not_both_get_it(tmp_path):
    outcomes = []

    def drive():
        try:
            outcomes.append(label(order(tmp_path, 40, delay_s=0.02), HERE).state)
        except OutputError:
            outcomes.append("refused")

    drivers = [threading.Thread(target=drive) for _ in range(4)]
    for driver in drivers:
        driver.start()
    for driver in drivers:
        driver.join()
    assert sorted(outcomes) == ["finished", "refused", "refused", "refused"]
