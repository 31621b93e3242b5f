from __future__ import annotations

import dataclasses
import errno
import os
import sys
from pathlib import Path

import pytest
from platformdirs import user_cache_path
from tests.hub.server import CONTENT, DIGEST, FILE, Site, serve

from samlet.errors import OutputError, UnknownModelError, WeightsError
from samlet.hub import download, weights
from samlet.models.registry import get_spec
from samlet.spec import Checkpoint


@pytest.fixture
def spec(site):
    return spec_of(f"{site.address}/{FILE}")


def spec_of(*urls: str, sha256: str | None = DIGEST):
    return dataclasses.replace(get_spec("mobile-sam"), checkpoint=Checkpoint(FILE, None, sha256, urls, "Apache-2.0"))


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_file_is_fetched_once_and_found_by_its_content(site, spec, cache):
    assert weights.find(spec) is None
    path = weights.fetch(spec)
    assert path == weights.find(spec) == weights.fetch(spec) == cache / "blobs" / f"sha256-{DIGEST}"
    assert path.read_bytes() == CONTENT
    assert len(site.requests) == 1
    assert files(cache) == [f"blobs/sha256-{DIGEST}", f"checked/sha256-{DIGEST}", f"refs/{FILE}"]
    assert weights.cached_bytes() == len(CONTENT)


def test_an_empty_cache_has_no_bytes():
    assert weights.cached_bytes() == 0


def test_progress_ends_at_the_size_of_the_file(spec):
    seen = []
    weights.fetch(spec, lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_a_cut_is_resumed_where_it_happened(site, spec):
    site.cut_after = [300_000, 1000]
    assert weights.fetch(spec).read_bytes() == CONTENT
    assert [asked for _, asked in site.requests] == [None, "bytes=300000-", "bytes=301000-"]


def test_a_download_is_resumed_by_a_later_process(site, spec):
    site.cut_after = [1000] * download.ATTEMPTS
    with pytest.raises(WeightsError, match="the connection ended after 4000 of 1280000 bytes"):
        weights.fetch(spec)
    assert weights.find(spec) is None
    assert weights.fetch(spec).read_bytes() == CONTENT
    assert site.requests[-1] == (f"/{FILE}", "bytes=4000-")


def test_a_server_without_ranges_starts_over(site, spec):
    site.knows_ranges = False
    site.cut_after = [1000]
    assert weights.fetch(spec).read_bytes() == CONTENT
    assert [asked for _, asked in site.requests] == [None, "bytes=1000-"]


@pytest.mark.parametrize("left_over", [b"not of this file", b"x" * len(CONTENT), CONTENT + b"too much"])
def test_a_wrong_left_over_is_thrown_away(spec, cache, left_over):
    part = cache / "blobs" / f"sha256-{DIGEST}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(left_over)
    assert weights.fetch(spec).read_bytes() == CONTENT
    assert not part.exists()


def test_a_complete_left_over_needs_no_transfer(site, spec, cache):
    part = cache / "blobs" / f"sha256-{DIGEST}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(CONTENT)
    assert weights.fetch(spec).read_bytes() == CONTENT


def test_bytes_with_a_wrong_hash_are_never_kept(site, spec, cache):
    site.files[f"/{FILE}"] = CONTENT[:-1] + b"?"
    with pytest.raises(WeightsError, match="does not have the published sha256"):
        weights.fetch(spec)
    assert files(cache) == []


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, download.ATTEMPTS)])
def test_a_server_that_says_no(site, spec, status, requests):
    site.fail_with = [status] * 10
    with pytest.raises(WeightsError, match=f"127.0.0.1:.*{status}"):
        weights.fetch(spec)
    assert len(site.requests) == requests


def test_a_busy_server_is_asked_again(site, spec):
    site.fail_with = [503, 429]
    assert weights.fetch(spec).read_bytes() == CONTENT


def test_no_server():
    with pytest.raises(WeightsError, match=r"download failed \(127.0.0.1:9: .*SAMLET_MIRROR"):
        weights.fetch(spec_of("http://127.0.0.1:9/mobile_sam.pt"))


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "x", "http://127.0.0.1:1/a b"])
def test_an_address_that_cannot_be_used(url):
    with pytest.raises(WeightsError, match="The download failed"):
        weights.fetch(spec_of(url))


def test_mirrors_come_first(site, monkeypatch):
    with serve(Site(files={f"/models/{FILE}": CONTENT})) as mirror:
        monkeypatch.setenv("SAMLET_MIRROR", f" {site.address}/none/ ,,{mirror.address}/models")
        spec = spec_of(f"{site.address}/{FILE}")
        assert weights.fetch(spec).read_bytes() == CONTENT
        assert site.requests == [(f"/none/{FILE}", None)]
        assert mirror.requests == [(f"/models/{FILE}", None)]


def test_a_lying_mirror_does_no_harm(site, spec, monkeypatch):
    with serve(Site(files={f"/{FILE}": b"evil" * 1000})) as mirror:
        monkeypatch.setenv("SAMLET_MIRROR", mirror.address)
        assert weights.fetch(spec).read_bytes() == CONTENT


@pytest.mark.parametrize("damage", [CONTENT[:-1], b"", b"x" * len(CONTENT)])
def test_a_damaged_official_file_is_fetched_again(site, spec, damage):
    weights.fetch(spec).write_bytes(damage)
    assert weights.fetch(spec).read_bytes() == CONTENT
    assert len(site.requests) == 2


@pytest.mark.parametrize(
    ("checkpoint", "sentence"),
    [
        (None, "no published weights: import"),
        (
            Checkpoint(FILE, None, None, ("http://127.0.0.1:9/x",), "MIT"),
            "fetch it from http.*/x and import",
        ),
    ],
)
def test_a_model_without_a_published_hash_is_never_downloaded(checkpoint, sentence):
    spec = dataclasses.replace(get_spec("mobile-sam"), checkpoint=checkpoint)
    with pytest.raises(WeightsError, match=sentence):
        weights.fetch(spec)


def test_a_full_disk_is_an_output_error(spec, cache, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(OutputError, match="disk is full"):
        weights.fetch(spec)
    assert weights.find(spec) is None


def test_a_cache_that_cannot_be_made(spec, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="Cannot write"):
        weights.fetch(spec)


def official(monkeypatch, *specs) -> None:
    monkeypatch.setattr(weights, "MODELS", specs)


def test_an_official_file_is_recognized(tmp_path, monkeypatch, site, spec):
    official(monkeypatch, get_spec("sam-vit-b"), spec)
    file = tmp_path / "downloaded by hand.bin"
    file.write_bytes(CONTENT)
    owner, path = weights.import_file(file)
    assert owner is spec
    assert path.read_bytes() == CONTENT
    assert weights.fetch(spec) == path
    assert site.requests == []


def test_an_unknown_file_needs_its_model(tmp_path, cache):
    file = tmp_path / "mine.safetensors"
    file.write_bytes(b"fine-tuned")
    with pytest.raises(UnknownModelError, match="--model"):
        weights.import_file(file)
    assert files(cache) == []
    owner, path = weights.import_file(file, "vit_t")
    assert owner.name == "mobile-sam"
    assert weights.find(owner) == weights.fetch(owner) == path


def test_a_file_can_be_imported_for_a_model_without_an_official_one(tmp_path):
    file = tmp_path / "b1.safetensors"
    file.write_bytes(b"trained")
    owner, path = weights.import_file(file, "efficientvit-sam-b1")
    assert weights.find(owner) == path


def test_an_official_file_of_another_model_is_refused(tmp_path, monkeypatch, cache):
    official(monkeypatch, spec_of("http://127.0.0.1:9/x"))
    file = tmp_path / "mobile.pt"
    file.write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="official file of mobile-sam, not of sam-vit-b"):
        weights.import_file(file, "sam-vit-b")
    assert files(cache) == []


def test_a_damaged_imported_file_cannot_be_fetched_again(tmp_path):
    file = tmp_path / "mine.pt"
    file.write_bytes(b"mine")
    owner, path = weights.import_file(file, "mobile-sam")
    path.write_bytes(b"mime")
    with pytest.raises(WeightsError, match=r"damaged.*import the file again"):
        weights.fetch(owner)


@pytest.mark.parametrize("name", ["missing.pt", "."])
def test_what_is_no_file_cannot_be_imported(tmp_path, name):
    with pytest.raises(WeightsError, match="There is no file"):
        weights.import_file(tmp_path / name)


def test_a_ref_that_is_no_hash_is_refused(spec, cache):
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / FILE).write_text("../../etc/passwd")
    with pytest.raises(WeightsError, match="does not hold a sha256"):
        weights.find(spec)


def test_the_cache_has_the_place_it_always_had(monkeypatch, tmp_path):
    monkeypatch.delenv("SAMLET_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert weights.cache_folder() == user_cache_path("samlet", appauthor=False)
    if sys.platform == "linux":
        assert weights.cache_folder() == tmp_path / "samlet"
        monkeypatch.setenv("XDG_CACHE_HOME", "")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert weights.cache_folder() == tmp_path / ".cache" / "samlet"
