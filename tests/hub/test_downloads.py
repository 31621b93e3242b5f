"""Several downloads of one file at once, servers that never end, and damage in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest
from tests.hub.server import CONTENT, DIGEST, FILE

from samlet.errors import WeightsError
from samlet.hub import download, weights
from samlet.hub.lock import locked
from samlet.models.registry import get_spec
from samlet.spec import Checkpoint

PULL_EACH = """
import sys
from pathlib import Path
from samlet.hub import download
download.PAUSE_S = 0.01
url, digest = sys.argv[1:]
for line in sys.stdin:
    download.download([url], Path(line.rstrip()), digest)
    print("there", flush=True)
"""


@pytest.fixture
def spec(site):
    return spec_of(site)


def spec_of(site, size_bytes=None):
    file = Checkpoint(FILE, size_bytes, DIGEST, (f"{site.address}/{FILE}",), "Apache-2.0")
    return replace(get_spec("mobile-sam"), checkpoint=file)


def test_two_at_once_fetch_it_once(site, tmp_path):
    path = tmp_path / "blob"
    with ThreadPoolExecutor(4) as pool:
        tasks = [pool.submit(download.download, [f"{site.address}/{FILE}"], path, DIGEST) for _ in range(4)]
        for task in tasks:
            task.result()
    assert len(site.requests) == 1
    assert path.read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["blob"]


@pytest.mark.slow
def test_two_processes_a_hundred_times(site, tmp_path):
    words = [sys.executable, "-c", PULL_EACH, f"{site.address}/{FILE}", DIGEST]
    pulls = [subprocess.Popen(words, text=True, stdin=PIPE, stdout=PIPE, stderr=PIPE) for _ in range(2)]
    for number in range(100):
        path = tmp_path / f"blob{number}"
        site.cut_after = [number * 3000] if number % 2 else []  # every other time the first connection breaks off
        for pull in pulls:
            print(path, file=pull.stdin, flush=True)
        assert [pull.stdout.readline() for pull in pulls] == ["there\n", "there\n"]
        assert path.read_bytes() == CONTENT
    assert [pull.communicate() for pull in pulls] == [("", ""), ("", "")]
    assert len([each for each in tmp_path.iterdir() if each.is_file()]) == 100


def test_where_locks_are_unknown_each_has_a_file_of_its_own(site, tmp_path, monkeypatch):
    def unknown(_file):
        raise OSError(37, "No locks available")

    monkeypatch.setattr("samlet.hub.lock._lock", unknown)
    path = tmp_path / "blob"
    with ThreadPoolExecutor(4) as pool:
        for task in [pool.submit(download.download, [f"{site.address}/{FILE}"], path, DIGEST) for _ in range(8)]:
            task.result()
    assert path.read_bytes() == CONTENT
    assert not list(tmp_path.glob("*.part"))


def test_a_killed_download_is_gone_on_with(site, tmp_path):
    (tmp_path / "blob.77-abcd0123.part").write_bytes(CONTENT[:1000])
    (tmp_path / "blob.78-abcd0123.part").write_bytes(CONTENT[:10])
    download.download([f"{site.address}/{FILE}"], tmp_path / "blob", DIGEST)
    assert site.requests == [(f"/{FILE}", "bytes=1000-")]
    assert [each.name for each in tmp_path.glob("blob*")] == ["blob"]


def test_the_lock_is_waited_for(tmp_path):
    order = []

    def second():
        with locked(tmp_path / "lock"):
            order.append("second")

    with locked(tmp_path / "lock") as alone:
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join()
    assert alone
    assert order == ["first", "second"]
    assert not (tmp_path / "lock").exists()


def test_a_file_of_another_size_is_refused_unread(site):
    with pytest.raises(WeightsError, match="has 1280000 bytes, not 5"):
        weights.fetch(spec_of(site, size_bytes=5))


def test_a_file_without_end_is_refused(site, spec, monkeypatch):
    monkeypatch.setattr(download, "LARGEST_BYTES", 1000)
    with pytest.raises(WeightsError, match="more than 1000 bytes"):
        weights.fetch(spec)


def test_a_server_that_stalls(site, spec, monkeypatch):
    monkeypatch.setattr(download, "STALL_S", -1.0)
    monkeypatch.setattr(download, "STALL_BYTES", 1 << 30)
    with pytest.raises(WeightsError, match=r"the server sent .* bytes in"):
        weights.fetch(spec)


@pytest.mark.parametrize("at", [0, 150_000, len(CONTENT) - 1])
def test_a_flipped_bit_is_named_and_moved_aside(site, spec, cache, at):
    blob = weights.fetch(spec)
    content = bytearray(CONTENT)
    content[at] ^= 64
    blob.write_bytes(content)
    with pytest.raises(WeightsError, match=r"mobile-sam are damaged.*\.damaged.*samlet models pull mobile-sam"):
        weights.find_checked(spec)
    assert blob.with_name(blob.name + ".damaged").read_bytes() == content
    assert weights.find_checked(spec) is None
    assert weights.fetch(spec).read_bytes() == CONTENT
    assert weights.find_checked(spec) == blob


def test_a_file_is_hashed_once_and_again_when_it_changes(spec, monkeypatch):
    blob = weights.fetch(spec)
    hashed = []
    sha256_of = weights.sha256_of
    monkeypatch.setattr(weights, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    assert weights.find_checked(spec) == weights.find_checked(spec) == blob
    assert hashed == []
    times = blob.stat()
    blob.write_bytes(CONTENT)
    os.utime(blob, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a tool that hides its traces does
    assert weights.find_checked(spec) == weights.find_checked(spec) == blob
    assert hashed == [blob]


def test_a_cache_that_cannot_be_written_is_hashed_each_time(spec, monkeypatch):
    blob = weights.fetch(spec)
    weights._stamp_path(blob).unlink()
    monkeypatch.setattr(weights, "write_files", lambda contents: (_ for _ in ()).throw(weights.OutputError("no")))
    assert weights.find_checked(spec) == weights.find_checked(spec) == blob


@pytest.mark.parametrize("mirror", ["http://[::1", "ftp://host", "host", "http://", "http://host:port"])
def test_a_mirror_that_is_no_address(spec, monkeypatch, mirror):
    monkeypatch.setenv("SAMLET_MIRROR", mirror)
    with pytest.raises(WeightsError, match="SAMLET_MIRROR holds"):
        weights.sources(spec)


def test_a_cache_of_nobody(spec, monkeypatch):
    monkeypatch.setenv("SAMLET_CACHE", "~nosuchuser/x")
    with pytest.raises(WeightsError, match="unknown user"):
        weights.find(spec)


def no_home(*_names, **_options):
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.parametrize("without_home", [no_home, lambda *_names, **_options: Path("~/.cache/samlet")])
def test_a_user_without_a_home_can_do_without_a_cache(spec, monkeypatch, without_home):
    monkeypatch.delenv("SAMLET_CACHE")
    monkeypatch.setattr("samlet.hub.folder.user_cache_path", without_home)
    assert weights.find(spec) is None
    assert weights.cached_bytes() == 0
    assert weights.is_official(spec)
    with pytest.raises(WeightsError, match=r"no home folder.*SAMLET_CACHE"):
        weights.fetch(spec)


def test_a_cache_that_may_not_be_looked_into(spec, monkeypatch):
    weights.fetch(spec)

    def forbidden(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_file", forbidden)
    with pytest.raises(WeightsError, match=r"cannot be read \(Permission denied\): set SAMLET_CACHE"):
        weights.find(spec)
