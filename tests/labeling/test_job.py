from __future__ import annotations

import json

import pytest

from samlet.errors import OutputError
from samlet.labeling.job import Job, ModelFacts, check_same, default_per_shard, read_job, write_job
from samlet.labeling.places import Folder

JOB = Job(("a", "b"), 10, "00", {"what": "everything", "fast": True}, ModelFacts("b0", "w", "onnx"), images_per_shard=3)


@pytest.mark.parametrize(("images", "shards"), [(0, 0), (1, 1), (3, 1), (4, 2), (10, 4)])
def test_the_last_shard_may_be_smaller(images, shards):
    assert Job((), images, "", {}, ModelFacts("b0", None, "onnx"), images_per_shard=3).shards == shards


def test_a_job_is_kept_and_known_again(tmp_path):
    place = Folder(tmp_path)
    assert read_job(place) is None
    write_job(place, JOB)
    kept = read_job(place)
    assert kept == JOB
    check_same(place, JOB, kept)
    other = Job(("a",), 10, "00", {"what": "prompts"}, ModelFacts("b0", "v", "onnx"), images_per_shard=3)
    with pytest.raises(OutputError) as error:
        check_same(place, other, kept)
    assert (
        'sources is ["a"] now and was ["a", "b"]; ask.what is "prompts" now and was "everything"; model.weights_sha256 '
        'is "v" now and was "w"; ask.fast is null now and was true' in str(error.value)
    )


@pytest.mark.parametrize(
    ("images", "what", "per_shard"),
    [(1, "prompts", 1), (100, "prompts", 1), (6400, "prompts", 100), (6400, "everything", 32), (10**9, "prompts", 512)],
)
def test_a_small_job_has_shards_for_all_workers(images, what, per_shard):
    assert default_per_shard(images, what) == per_shard
    assert default_per_shard(images, what, batch_size=64) == max(per_shard, 64)


EMPTY_SHARDS = json.dumps(JOB.to_json() | {"images_per_shard": 0})


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"sources": [], "model": {}}', EMPTY_SHARDS])
def test_what_is_no_job_is_refused(tmp_path, content):
    (tmp_path / "job.json").write_text(content)
    with pytest.raises(OutputError, match="not a job of this version of samlet label"):
        read_job(Folder(tmp_path))
