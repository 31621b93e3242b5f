from __future__ import annotations

import dataclasses
import hashlib

import pytest
from tests.hub.server import Site, serve

from samlet.cli import models as module
from samlet.hub import download, weights
from samlet.models.registry import MODELS, get_spec
from samlet.spec import Checkpoint

CONTENT = b"weights" * 100_000


@pytest.fixture
def spec(monkeypatch):
    """MobileSAM, its file on the loopback."""
    monkeypatch.delenv("http_proxy", raising=False)
    with serve(Site(files={"/mobile_sam.pt": CONTENT})) as site:
        url = f"{site.address}/mobile_sam.pt"
        checkpoint = Checkpoint("mobile_sam.pt", 700_000, hashlib.sha256(CONTENT).hexdigest(), (url,), "MIT")
        spec = dataclasses.replace(get_spec("mobile-sam"), checkpoint=checkpoint)
        monkeypatch.setattr(module, "get_spec", lambda _name: spec)
        monkeypatch.setattr(module, "MODELS", (spec,))
        monkeypatch.setattr(weights, "MODELS", (spec,))
        yield spec


def test_the_list_has_a_row_for_every_model(samlet):
    code, out, err = samlet("models")
    heading, *rows = out.splitlines()
    assert (code, err) == (0, "")
    assert heading.split()[0] == "name"
    assert [row.split()[0] for row in rows] == [spec.name for spec in MODELS]


def test_a_row_says_all_there_is_to_know(samlet, spec, monkeypatch, tmp_path):
    def row():
        return samlet("models")[1].splitlines()[1].split()

    host = spec.checkpoint.urls[0].split("/")[2]
    known = ["mobile-sam", "10.1", "M", f"{spec.encoder_macs / 1e9:.1f}", "1024", "Apache-2.0"]
    assert row() == [*known, f"{host},", "1", "MB"]
    monkeypatch.setenv("SAMLET_MIRROR", "http://mirror.example")
    assert row() == [*known, "mirror.example", "or", f"{host},", "1", "MB"]
    monkeypatch.delenv("SAMLET_MIRROR")
    samlet("models", "pull", "mobile-sam")
    assert row() == [*known, "cached"]
    monkeypatch.setattr(module, "shipped_folder", lambda _name: tmp_path)
    assert row() == [*known, "shipped"]


def test_pull_says_what_it_fetches_and_prints_where_it_is(samlet, spec):
    code, out, err = samlet("models", "pull", "mobile-sam")
    assert code == 0
    assert out == f"{weights.find(spec)}\n"
    assert f"mobile_sam.pt, 1 MB, MIT, sha256 {spec.checkpoint.sha256}, from {spec.checkpoint.urls[0]}" in err
    assert samlet("models", "pull", "mobile-sam")[2].strip() == ""


def test_a_shipped_model_needs_no_pull(samlet, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "shipped_folder", lambda _name: tmp_path)
    code, out, _ = samlet("models", "pull", "efficientvit-sam-b0")
    assert (code, out) == (0, "efficientvit-sam-b0 came with samlet: there is nothing to pull.\n")


def test_pull_of_what_nobody_has(refused):
    assert "There is no model" in refused("models", "pull", "zebra")
    assert "no published weights" in refused("models", "pull", "efficientvit-sam-b1")


def test_a_pull_that_fails(samlet, spec, monkeypatch):
    monkeypatch.setattr(download, "PAUSE_S", 0.0)
    broken = dataclasses.replace(spec.checkpoint, urls=(spec.checkpoint.urls[0] + ".gone",))
    monkeypatch.setattr(module, "get_spec", lambda _name: dataclasses.replace(spec, checkpoint=broken))
    code, out, err = samlet("models", "pull", "mobile-sam")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("error: The download failed (127.0.0.1")


def test_import_recognizes_an_official_file(samlet, spec, tmp_path):
    file = tmp_path / "x"
    file.write_bytes(CONTENT)
    code, out, err = samlet("models", "import", file)
    assert (code, out, err) == (0, f"mobile-sam: {weights.find(spec)}\n", "")


def test_import_takes_other_files_for_a_named_model(samlet, refused, tmp_path):
    file = tmp_path / "mine.pt"
    file.write_bytes(b"mine")
    assert "--model" in refused("models", "import", file)
    assert samlet("models", "import", file, "--model", "vit_b")[1].startswith("sam-vit-b: ")
    assert [row.split()[-1] for row in samlet("models")[1].splitlines() if row.startswith("sam-vit-b")] == ["imported"]


@pytest.mark.parametrize("words", [["gone.pt"], ["."], ["gone.pt", "--model", "zebra"]])
def test_import_of_what_is_no_file(refused, workplace, words):
    assert "There is no" in refused("models", "import", *words)
