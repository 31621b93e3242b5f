from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time

import pytest

from samlet.errors import OutputError
from samlet.labeling.lease import LEASE_FILE, _system, check_free, holder, leased
from samlet.labeling.places import Folder


def gone_process() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def claim(folder, machine=None, process=None, renewed=None):
    """Somebody else's lease, on this machine if none is named."""
    record = {"owner": "other", "machine": machine or platform.node(), "process": process or os.getpid()}
    record["system"] = "of its own" if machine else _system()
    (folder / LEASE_FILE).write_text(json.dumps({**record, "renewed": renewed or time.time()}))


def test_one_at_a_time(tmp_path):
    place = Folder(tmp_path / "new")
    assert holder(place) is None
    with leased(place) as lease:
        assert holder(place) == f"process {os.getpid()} on {platform.node()}"
        with pytest.raises(OutputError, match=f"is being written by process {os.getpid()} on .*wait for it, or stop"):
            leased(place).__enter__()
        with pytest.raises(OutputError, match="is being written by process"):
            check_free(place)
        lease.check()
    check_free(place)
    assert place.names("") == []
    with leased(place):
        pass


def test_it_is_renewed_while_its_driver_lives(tmp_path):
    place = Folder(tmp_path)
    with leased(place, beat_s=0.01, expires_s=60) as lease:
        before = place.read(LEASE_FILE)
        deadline = time.monotonic() + 30
        while place.read(LEASE_FILE) == before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert place.read(LEASE_FILE) != before
        lease.check()


@pytest.mark.parametrize(
    "other",
    [{"machine": "elsewhere", "renewed": 1.0}, {"process": gone_process}, None],
    ids=["expired", "its process is gone", "not a lease"],
)
def test_what_nobody_renews_is_taken_over(tmp_path, other):
    if other is None:
        (tmp_path / LEASE_FILE).write_text("?")
    else:
        claim(tmp_path, **{name: value() if callable(value) else value for name, value in other.items()})
    assert holder(Folder(tmp_path)) is None
    with leased(Folder(tmp_path)) as lease:
        lease.renew()
        lease.check()
    assert not (tmp_path / LEASE_FILE).exists()


def test_another_machine_is_believed_until_its_lease_expires(tmp_path):
    claim(tmp_path, machine="elsewhere", renewed=time.time() - 30)
    with pytest.raises(OutputError, match=r"process .* on elsewhere: .*taken over 60 seconds after"):
        leased(Folder(tmp_path)).__enter__()
    with leased(Folder(tmp_path), expires_s=20):
        pass


def test_a_machine_of_the_same_name_is_another_one(tmp_path):
    claim(tmp_path, machine=platform.node(), process=gone_process())
    with pytest.raises(OutputError, match="is being written by process"):
        leased(Folder(tmp_path)).__enter__()


def test_whoever_was_not_heard_of_notices_that_another_took_over(tmp_path):
    with leased(Folder(tmp_path)) as lease:
        claim(tmp_path, machine="elsewhere")
        lease.renew()
        with pytest.raises(OutputError, match="Another driver has taken"):
            lease.check()
    assert json.loads((tmp_path / LEASE_FILE).read_text())["owner"] == "other"


def test_an_output_that_cannot_be_written_any_more_is_told(tmp_path, monkeypatch):
    with leased(Folder(tmp_path)) as lease:

        def full(*_):
            raise OutputError("full")

        monkeypatch.setattr(Folder, "write", full)
        lease.renew()
        with pytest.raises(OutputError, match="full"):
            lease.check()
