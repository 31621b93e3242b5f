"""A job from its order to its files, in one process; what ends it, and what goes on."""

from __future__ import annotations

import errno
import shutil
import signal
from dataclasses import replace

import pytest
from tests.labeling.small_jobs import Pictures, names, order, results

from samlet.errors import DataError, InputError, OutputError, StoppedError
from samlet.labeling.asking import Everything, Prompted
from samlet.labeling.driver import label
from samlet.labeling.engines.local import LocalEngine
from samlet.labeling.lease import leased
from samlet.labeling.places import Folder
from samlet.labeling.status import read_status

pq = pytest.importorskip("pyarrow.parquet")

HERE = LocalEngine(0)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder of a job of ten images that is done."""
    folder = tmp_path_factory.mktemp("done")
    label(order(folder), HERE)
    return folder


def test_every_image_is_in_the_result_once_in_order(tmp_path):
    status = label(order(tmp_path, tuple(reversed(names(10)))), HERE)
    assert (status.state, status.done.images, status.done.masks, status.done.shards) == ("finished", 10, 10, 3)
    images = pq.read_table(tmp_path / "images").to_pylist()
    assert [image["image_id"] for image in images] == list(names(10))
    masks = pq.read_table(tmp_path / "masks").to_pylist()
    assert {(mask["image_id"], mask["label"], mask["weights_sha256"]) for mask in masks} == {
        (name, "thing", "weights") for name in names(10)
    }
    assert not (tmp_path / "quarantine").exists()
    assert not (tmp_path / "lease.json").exists()
    assert read_status(Folder(tmp_path)) == status


def test_everything_mode_needs_no_prompts(tmp_path):
    ask = Everything({"points_per_side": 2, "pred_iou_thresh": 0.1, "stability_score_thresh": 0.1})
    wanted = replace(order(tmp_path, 2, ask), sources=(Pictures(names(2), prompts=None),))
    assert label(wanted, HERE).done.masks > 2


def test_a_finished_job_is_not_done_again(done):
    before = results(done)
    seen = []
    status = label(order(done), HERE, on_shard=lambda shard, _: seen.append(shard))
    assert (seen, status.done.images, results(done)) == ([], 10, before)


@pytest.mark.parametrize("stop_after", [1, 2])
def test_a_stopped_job_goes_on_and_ends_the_same(tmp_path, done, stop_after):
    count = 0

    def stop(_shard, _status):
        nonlocal count
        count += 1
        if count == stop_after:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(StoppedError, match="Stopped by SIGTERM; what is done is kept"):
        label(order(tmp_path), HERE, on_shard=stop)
    status = read_status(Folder(tmp_path))
    assert (status.state, status.done.shards) == ("stopped", stop_after)
    assert label(order(tmp_path), HERE).done.shards == 3
    assert results(tmp_path) == results(done)


def test_what_is_half_there_is_done_again(tmp_path, done):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    (tmp_path / "shards" / "00000001.json").unlink()  # killed before its marker
    (tmp_path / "images" / "00000001.parquet").write_bytes(b"")
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine" / "00000001.parquet").write_bytes(b"of an attempt that failed")
    label(order(tmp_path), HERE)
    assert results(tmp_path) == results(done)


def test_a_job_that_was_killed_while_it_listed_begins_anew(tmp_path):
    (tmp_path / "listing").mkdir(parents=True)
    (tmp_path / "listing" / "000000.parquet").write_bytes(b"half")
    assert label(order(tmp_path), HERE).done.images == 10


SOME_BROKEN = ("a", "b-broken", "c", "d-no-memory", "e")


def test_broken_images_are_told_apart_from_the_others(tmp_path):
    status = label(order(tmp_path, SOME_BROKEN, batch_size=3), HERE, max_broken=2)
    assert (status.done.images, status.done.broken) == (3, 2)
    rows = pq.read_table(tmp_path / "quarantine").to_pylist()
    assert [row["image_id"] for row in rows] == ["b-broken", "d-no-memory"]
    assert "not an image that can be read" in rows[0]["reason"]
    assert rows[1]["reason"] == "there was not memory enough for it"
    assert [row["image_id"] for row in pq.read_table(tmp_path / "images").to_pylist()] == ["a", "c", "e"]


def test_too_many_broken_images_end_the_job_and_more_may_be_allowed(tmp_path):
    with pytest.raises(DataError, match=r"2 images could not be labeled, more than --max-broken 0 .*\(b-broken: "):
        label(order(tmp_path, SOME_BROKEN), HERE)
    assert read_status(Folder(tmp_path)).state == "failed"
    with pytest.raises(DataError, match="found by an earlier run"):
        label(order(tmp_path, SOME_BROKEN), HERE)
    assert label(order(tmp_path, SOME_BROKEN), HERE, max_broken=2).done.broken == 2
    label(order(tmp_path / "at-once", SOME_BROKEN), HERE, max_broken=2)
    at_once = results(tmp_path / "at-once")
    assert at_once == {name: content for name, content in results(tmp_path).items() if not name.startswith("at-once")}


class DyingEngine:
    name, workers = "dying", 1

    def run(self, shards, setup):
        yield 1 // 0


def test_broken_images_may_be_tried_again(tmp_path, monkeypatch):
    label(order(tmp_path, SOME_BROKEN), HERE, max_broken=2)
    monkeypatch.setattr("tests.labeling.small_jobs.NO_MEMORY", -1)
    with pytest.raises(ZeroDivisionError):  # stopped at once, what is to be done again is not committed any more
        label(order(tmp_path, SOME_BROKEN), DyingEngine(), max_broken=2, retry_broken=True)
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["00000001.json"]
    status = label(order(tmp_path, SOME_BROKEN), HERE, max_broken=2, retry_broken=True)
    assert (status.done.images, status.done.broken) == (4, 1)
    assert [row["image_id"] for row in pq.read_table(tmp_path / "quarantine").to_pylist()] == ["b-broken"]


def test_an_image_without_prompts_is_broken_and_one_with_none_has_no_masks(tmp_path):
    wanted = order(tmp_path, 0)
    sources = (Pictures(("a",), prompts=None), Pictures(("b",), prompts=()))
    status = label(replace(wanted, sources=sources), HERE, max_broken=1)
    assert (status.done.images, status.done.masks, status.done.broken) == (1, 0, 1)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (lambda old: replace(old, ask=Prompted(refine="edges")), 'ask.refine is "edges" now and was "none"'),
        (lambda old: replace(old, batch_size=2), "batch_size is 2 now and was 1"),
        (lambda old: replace(old, model=replace(old.model, name="l0")), 'model.name is "l0" now and was "disc"'),
        (lambda old: replace(old, output="sa1b"), 'output is "sa1b" now and was "parquet"'),
        (lambda old: replace(old, sources=(Pictures(names(10), "others"),)), r'sources is \["others"\] now'),
        (lambda old: replace(old, sources=(Pictures(names(11)),)), r"images have changed .*10 then, 11 now; 00010 of"),
        (
            lambda old: replace(old, sources=(Pictures(names(9)),)),
            r"images have changed .*10 then, 9 now; 00009 is gone",
        ),
        (lambda old: replace(old, sources=(Pictures(names(10), version="2"),)), r"00000 of pictures has changed"),
    ],
)
def test_another_job_is_refused_with_its_difference(done, change, difference):
    before = results(done)
    with pytest.raises(OutputError, match=difference):
        label(change(order(done)), HERE)
    assert results(done) == before


def test_the_size_of_shards_is_the_jobs_where_nobody_says_it(tmp_path, done):
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    status = label(replace(order(tmp_path), images_per_shard=None), HERE)
    assert (status.done.shards, results(tmp_path)) == (3, results(done))
    assert label(replace(order(tmp_path / "new"), images_per_shard=None), HERE).shards == 10
    with pytest.raises(OutputError, match="images_per_shard is 5 now and was 4"):
        label(replace(order(tmp_path), images_per_shard=5), HERE)


def test_bad_orders(tmp_path):
    twice = (Pictures(("a", "b"), "first"), Pictures(("b",), "second"))
    with pytest.raises(InputError, match='the id "b": first/b of first and second/b of second'):
        label(replace(order(tmp_path / "twice"), sources=twice), HERE)
    with pytest.raises(InputError, match="no image to label in pictures"):
        label(order(tmp_path / "none", ()), HERE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"is not empty \(notes.txt is there\)"):
        label(order(tmp_path / "mine"), HERE)
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "job.json").write_text("{}")
    with pytest.raises(OutputError, match="not a job of this version"):
        label(order(tmp_path / "damaged"), HERE)


def test_a_second_driver_is_refused_while_the_first_lives(tmp_path):
    with leased(Folder(tmp_path)), pytest.raises(OutputError, match="is being written by process"):
        label(order(tmp_path), HERE)
    assert label(order(tmp_path), HERE).state == "finished"


def test_a_full_disk_ends_the_job_and_room_lets_it_go_on(tmp_path, done, monkeypatch):
    write = Folder.write

    def full(self, name, content):
        if name == "masks/00000001.parquet":
            raise OutputError(f'Cannot write "{name}": {errno.ENOSPC}.')
        write(self, name, content)

    monkeypatch.setattr(Folder, "write", full)
    with pytest.raises(OutputError, match="masks/00000001"):
        label(order(tmp_path), HERE)
    monkeypatch.setattr(Folder, "write", write)
    label(order(tmp_path), HERE)
    assert results(tmp_path) == results(done)


class Kept(Pictures):
    """Pictures with a state; `listed` counts how often they are listed."""

    listed = 0

    def state(self):
        return "the same"

    def items(self):
        Kept.listed += 1
        yield from super().items()


def test_a_finished_job_is_not_listed_again_where_its_source_knows_better(tmp_path):
    wanted = replace(order(tmp_path), sources=(Kept(names(10)),))
    Kept.listed = 0
    label(wanted, HERE)
    label(wanted, HERE)
    assert Kept.listed == 1
    (tmp_path / "shards" / "00000002.json").unlink()
    label(wanted, HERE)
    assert Kept.listed == 2
