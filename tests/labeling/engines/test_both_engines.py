"""Local and Ray are one contract: the bytes of a job, whatever happens to its workers on the way.

Each engine starts processes of its own; Ray starts a cluster of its own on this machine, once for all tests.
"""

from __future__ import annotations

import hashlib
import os
import random
import sys
import time
from pathlib import Path

import pytest
from tests.data.records import write_image
from tests.fake_backend import FakeBackend
from tests.labeling.engines.killing import KillingAsk

from samlet.errors import BackendError, DataError
from samlet.labeling.driver import Order, label
from samlet.labeling.engines.local import LocalEngine
from samlet.labeling.engines.ray import RayEngine, check_reachable
from samlet.labeling.job import ModelFacts
from samlet.labeling.listing import Listing
from samlet.labeling.places import Folder
from samlet.labeling.sources import open_sources
from samlet.labeling.worker import Setup
from samlet.predictor import Predictor

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray uses what it has itself deprecated
IMAGES, PER_SHARD = 12, 3
IDS = [f"{number:02}.jpg" for number in range(IMAGES)]


@pytest.fixture(scope="module")
def ray():
    """A cluster of three cores whose workers find what this process finds."""
    ray = pytest.importorskip("ray")
    pytest.importorskip("ray.data")
    before = dict(os.environ)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    ray.init(num_cpus=3, include_dashboard=False, log_to_driver=False, object_store_memory=128 << 20)
    yield ray
    ray.shutdown()
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(params=["local", "ray"])
def engine(request):
    if request.param == "local":
        return LocalEngine(2)
    request.getfixturevalue("ray")
    return RayEngine(min_workers=2, max_workers=2)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    for image_id in IDS:
        write_image(folder / image_id, (60, 80))
    rows = [f'{image_id},"[[10, 10, {30 + number}, 40]]"' for number, image_id in enumerate(IDS)]
    (folder / "list.csv").write_text("\n".join(["path,boxes_xyxy", *rows]))
    return folder


def order(photos: Path, output: Path, **deaths: int) -> Order:
    """A job of a manifest of boxes; `deaths` by the number of an image, as `_3`."""
    killed = tuple((IDS[int(name[1:])], count) for name, count in deaths.items())
    (photos / "deaths").mkdir(exist_ok=True)
    predictor = Predictor(FakeBackend())
    return Order(
        tuple(open_sources([str(photos / "list.csv")])),
        KillingAsk(deaths=killed, folder=str(photos / "deaths")),
        predictor,
        ModelFacts(predictor.spec.name, predictor.weights, predictor.backend.name),
        Folder(output),
        images_per_shard=PER_SHARD,
    )


def prepared(job: Order) -> Setup:
    """What workers need for a job, its listing written."""
    listing = Listing.of(job.sources)
    listing.write(job.place, PER_SHARD)
    return job.setup(job.job(len(listing), listing.sha256))


def bytes_of(output: Path) -> dict[str, str]:
    """What a job has made, by name."""
    files = [path for path in output.rglob("*") if path.is_file() and path.name not in ("status.json", ".lock")]
    return {path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def uninterrupted(photos: Path, output: Path, **deaths: int) -> dict[str, str]:
    """As one process makes it."""
    label(order(photos, output, **deaths), LocalEngine(0))
    return bytes_of(output)


@pytest.mark.slow
def test_workers_killed_at_random_change_nothing(photos, tmp_path, engine):
    once = {f"_{number}": 1 for number in random.Random(15).sample(range(IMAGES), 3)}
    status = label(order(photos, tmp_path / "killed", **once), engine)
    assert (status.done.images, status.done.broken) == (IMAGES, 0)
    assert len(list((photos / "deaths").iterdir())) == 3
    assert bytes_of(tmp_path / "killed") == uninterrupted(photos, tmp_path / "whole")


@pytest.mark.slow
def test_an_image_that_always_kills_is_lost_alone(photos, tmp_path, engine):
    status = label(order(photos, tmp_path / "deadly", _4=99), engine, max_broken=1)
    assert (status.done.images, status.done.broken) == (IMAGES - 1, 1)
    made, whole = bytes_of(tmp_path / "deadly"), uninterrupted(photos, tmp_path / "whole")
    assert "quarantine/00000001.parquet" in made
    assert {name for name in whole if whole[name] != made.get(name)} == {
        f"{folder}/00000001.{'json' if folder == 'shards' else 'parquet'}" for folder in ("images", "masks", "shards")
    }


@pytest.mark.slow
def test_what_one_engine_leaves_the_other_ends(photos, tmp_path, engine):
    (photos / IDS[5]).write_bytes(b"no image")
    job = order(photos, tmp_path / "broken")
    with pytest.raises(DataError, match="more than --max-broken 0 allows"):
        label(job, engine)
    status = label(job, LocalEngine(0), max_broken=1)
    assert (status.state, status.done.images, status.done.broken) == ("finished", IMAGES - 1, 1)
    label(order(photos, tmp_path / "whole"), LocalEngine(0), max_broken=1)
    assert bytes_of(tmp_path / "broken") == bytes_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_run_that_is_left_early_leaves_no_actor_behind(photos, tmp_path, ray):
    job = order(photos, tmp_path / "left")
    shards = RayEngine(min_workers=2, max_workers=2).run([0, 1, 2, 3], prepared(job))
    next(shards)
    shards.close()
    ends_at = time.monotonic() + 20
    while ray.available_resources().get("CPU") != 3.0 and time.monotonic() < ends_at:
        time.sleep(0.1)
    assert ray.available_resources()["CPU"] == 3.0


@pytest.mark.slow
def test_errors_of_workers_come_out_as_they_were(photos, tmp_path, engine):
    job = order(photos, tmp_path / "other")
    other = Order(**{**vars(job), "model": ModelFacts("another-model", None, "fake")})
    with pytest.raises(BackendError, match="the job is of another-model"):
        label(other, engine)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://127.0.0.1:1", "No Ray cluster can be reached at ray://127.0.0.1:1"),
        ("127.0.0.1:1", "is it running"),
        ("nowhere", "is no address of a Ray cluster"),
        ("ray://h:port", "is no address of a Ray cluster"),
    ],
)
def test_a_cluster_that_is_not_there(address, message):
    with pytest.raises(BackendError, match=message):
        check_reachable(address)
