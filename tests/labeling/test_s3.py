"""From S3 to S3 on the loopback: the same bytes whatever the store does on the way, and one driver at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.data.records import jpeg
from tests.labeling.faulty_s3 import serve
from tests.labeling.small_jobs import order

from samlet.errors import DataError, InputError, OutputError
from samlet.labeling.asking import Everything
from samlet.labeling.bucket import Bucket, open_place
from samlet.labeling.driver import label
from samlet.labeling.engines.local import LocalEngine
from samlet.labeling.exporting import export_results
from samlet.labeling.lease import leased
from samlet.labeling.sources import open_sources, retrying, stores

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # aiohttp's sockets, at the end
]
PHOTOS = 10


@pytest.fixture(scope="module")
def server():
    for name in ("pyarrow", "moto", "s3fs", "werkzeug"):
        pytest.importorskip(name)
    with serve() as served:
        yield served


@pytest.fixture
def s3(server, monkeypatch):
    """The faults of an S3 with a bucket of photos, and one for results."""
    address, faults = server
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(retrying, "_sleep", lambda _: None)
    faults.share = 0.0
    filesystem, _ = stores.filesystem_of("s3://photos")
    for bucket in ("photos", "results"):
        if not filesystem.exists(bucket):
            filesystem.mkdir(bucket)
    for number in range(PHOTOS):
        filesystem.pipe_file(f"photos/day{number % 2}/{number}.jpg", jpeg(20 * number))
    return faults


def job(tmp_path, output, form="parquet"):
    """Everything in the photos of the bucket."""
    made = order(tmp_path, ask=Everything({"points_per_side": 2}))
    return replace(made, sources=tuple(open_sources(["s3://photos"])), place=open_place(output), output=form)


def files(place, folder=""):
    """All that a job has left, but its status and the times of its lease."""
    found = {}
    for name in place.names(folder):
        path = f"{folder}/{name}".strip("/")
        content = place.read(path)
        found |= {path: content} if content is not None else files(place, path)
    found.pop("status.json", None)
    return found


@pytest.mark.parametrize("form", ["parquet", "sa1b"])
def test_a_store_that_stumbles_changes_nothing(tmp_path, s3, form):
    label(job(tmp_path, f"s3://results/calm-{form}", form), LocalEngine(0))
    s3.share = 0.3
    status = label(job(tmp_path, f"s3://results/stumbling-{form}", form), LocalEngine(0))
    s3.share = 0.0
    assert (status.done.images, status.done.broken) == (PHOTOS, 0)
    assert {"cut", "503 GET", "503 PUT"} <= s3.made.keys()
    calm = files(Bucket(f"s3://results/calm-{form}"))
    assert len(calm) > 6
    assert export_results(Bucket(f"s3://results/calm-{form}"), tmp_path / "exported", ["coco"]) == PHOTOS
    assert files(Bucket(f"s3://results/stumbling-{form}")) == calm


def test_a_store_that_is_down_ends_the_job_and_loses_no_image(tmp_path, s3):
    wanted = job(tmp_path, "s3://results/down")
    s3.share = 1.0
    with pytest.raises((DataError, OutputError), match="its store does not answer"):
        label(wanted, LocalEngine(0))
    s3.share = 0.0
    assert label(wanted, LocalEngine(0)).done.images == PHOTOS


def test_one_driver_has_the_lease_and_another_takes_it_once_it_is_not_renewed(s3):
    place = open_place("s3://results/leased")
    with leased(place, beat_s=60, expires_s=60) as lease:
        with pytest.raises(OutputError, match="is being written by process"), leased(place, expires_s=60):
            pass
        with leased(place, beat_s=60, expires_s=-1):
            lease.renew()
            with pytest.raises(OutputError, match="Another driver has taken s3://results/leased over"):
                lease.check()
    assert place.read("lease.json") is None


def test_without_credentials_it_says_which_variable(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(stores, "_filesystems", {})
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match="no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_sources(["s3://photos"])
    s3fs.S3FileSystem.clear_instance_cache()
