from __future__ import annotations

import json

import pytest

from samlet.errors import OutputError
from samlet.labeling.job import Job, ModelFacts
from samlet.labeling.places import Folder
from samlet.labeling.plan import make_plan
from samlet.labeling.status import Done

JOB = Job(("a", "b"), 10, "00", {"what": "everything", "fast": True}, ModelFacts("b0", "w", "onnx"), images_per_shard=3)


def commit(folder, shard, broken=0):
    (folder / "shards").mkdir(exist_ok=True)
    marker = {"shard": shard, "images": 3 - broken, "masks": 5, "broken": broken, "files": {}}
    (folder / "shards" / f"{shard:08}.json").write_text(json.dumps(marker))


def test_what_has_no_marker_waits(tmp_path):
    assert make_plan(Folder(tmp_path / "new"), JOB).waiting == (0, 1, 2, 3)
    commit(tmp_path, 1)
    commit(tmp_path, 3, broken=1)
    commit(tmp_path, 7)  # of no job of four shards
    plan = make_plan(Folder(tmp_path), JOB)
    assert (plan.waiting, plan.done) == ((0, 2), Done(2, 5, 10, 1))
    plan = make_plan(Folder(tmp_path), JOB, retry_broken=True)
    assert (plan.waiting, plan.done) == ((0, 2, 3), Done(1, 3, 5, 0))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"images": null}'])
def test_a_damaged_marker_is_named(tmp_path, content):
    commit(tmp_path, 1)
    (tmp_path / "shards" / "00000001.json").write_text(content)
    with pytest.raises(OutputError, match=r"00000001\.json is damaged: remove it"):
        make_plan(Folder(tmp_path), JOB)
