"""An output in a store: whole files, and conditions that one of several meets. The real S3 is in test_s3.py."""

from __future__ import annotations

import pytest

from samlet.errors import InputError, OutputError
from samlet.labeling import bucket
from samlet.labeling.bucket import Bucket, open_place
from samlet.labeling.places import Folder
from samlet.labeling.sources.retrying import ATTEMPTS


@pytest.fixture
def place(flaky, monkeypatch):
    monkeypatch.setattr(bucket, "_CONDITIONAL", {"flaky"})
    return open_place("flaky://job/")


def test_files_are_whole_and_listed(place):
    assert (place.name, place.read("a"), place.names(""), place.names("shards")) == ("flaky://job", None, [], [])
    place.write("shards/2.json", b"{}")
    place.write("shards/1.json", iter([b"1", b"2"]))
    place.write("shards/.hidden", b"")
    place.write("job.json", b"job")
    assert (place.names(""), place.names("shards")) == (["job.json", "shards"], ["1.json", "2.json"])
    assert place.read("shards/1.json") == b"12"
    for _ in range(2):
        place.remove("job.json")
    assert place.names("") == ["shards"]
    place.tidy("shards")
    assert place.names("shards") == ["1.json", "2.json"]


def test_one_of_several_has_the_lease(place):
    assert [place.create("lease", b"first"), place.create("lease", b"second")] == [True, False]
    assert [place.swap("lease", b"other", b"third"), place.swap("none", b"", b"third")] == [False, False]
    assert place.swap("lease", b"first", b"third")
    assert place.read("lease") == b"third"


def test_a_put_whose_answer_got_lost_was_made(place, flaky):
    flaky.failures["put lease"] = [ConnectionResetError()]
    assert place.create("lease", b"first")
    flaky.failures["put lease"] = [TimeoutError()]
    assert place.swap("lease", b"first", b"second")
    flaky.failures["put lease"] = [TimeoutError()]
    assert not place.create("lease", b"third")


@pytest.mark.parametrize(
    ("failures", "message"),
    [
        ([FileNotFoundError(2, "none")], "there is no such bucket: make it first"),
        ([PermissionError(13, "no")], "cannot be written: access is denied"),
        ([OSError(16, "slow")] * ATTEMPTS, "cannot be written, for its store does not answer: .*slow"),
    ],
)
def test_what_cannot_be_written(place, flaky, failures, message):
    flaky.failures["put x"] = failures
    with pytest.raises(OutputError, match=message):
        place.write("x", b"1")


def test_a_lease_that_cannot_be_written(place, flaky):
    flaky.failures["put x"] = [PermissionError(13, "no")]
    with pytest.raises(OutputError, match="access is denied"):
        place.create("x", b"1")


def test_where_outputs_may_lie(tmp_path, flaky):
    assert open_place(str(tmp_path)) == Folder(tmp_path)
    with pytest.raises(InputError, match="results go to a folder or to an s3://"):
        open_place("flaky://job")


def test_an_output_can_be_sent_to_a_worker(place):
    import pickle

    place.write("x", b"1")
    assert pickle.loads(pickle.dumps(place)).read("x") == b"1"  # noqa: S301 our own bytes
    assert pickle.loads(pickle.dumps(place)) == Bucket("flaky://job")  # noqa: S301
