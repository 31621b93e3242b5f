from __future__ import annotations

import pytest

from samlet.labeling.places import Folder
from samlet.labeling.status import STATUS_FILE, Done, Meter, read_status, write_status
from samlet.labeling.worker import ShardDone

SHARD = ShardDone(0, 9, 27, {"x": "broken"}, {"read": 1.0, "encode": 2.5})


def test_what_was_done_before_counts_but_not_for_the_speed(monkeypatch):
    meter = Meter(100, 10, workers=2, done=Done(1, 10, 30, 0))
    start = meter._started
    monkeypatch.setattr("time.monotonic", lambda: start + 5)
    assert (meter.status().images_per_second, meter.status().eta_s) == (None, None)
    meter.add(SHARD)
    meter.add(SHARD)
    status = meter.status()
    assert status.done == Done(3, 28, 84, 2)
    assert (status.images_per_second, status.eta_s, status.masks_per_image) == (4.0, 17.5, 3.0)
    assert status.seconds == {"read": 2.0, "encode": 5.0}


def test_a_status_is_kept(tmp_path):
    place = Folder(tmp_path)
    assert read_status(place) is None
    meter = Meter(10, 1, 1)
    meter.add(SHARD)
    status = meter.status("stopped", "SIGTERM")
    write_status(place, status)
    assert read_status(place) == status


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"done": {"x": 1}}', b"\xff"])
def test_what_is_no_status_is_none(tmp_path, content):
    (tmp_path / STATUS_FILE).write_bytes(content)
    assert read_status(Folder(tmp_path)) is None
