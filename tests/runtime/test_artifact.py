"""The artifact folder: what its manifest was not written for is never run."""

from __future__ import annotations

import json

import pytest

from samlet.errors import BackendError
from samlet.models.registry import get_spec
from samlet.runtime.artifact import GRAPHS, LONE, MANIFEST, Artifact, manifest_record

SPEC = get_spec("mobile-sam")


@pytest.fixture
def folder(tmp_path):
    for name in (*GRAPHS, LONE):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / MANIFEST).write_text(json.dumps(manifest_record(tmp_path, SPEC, "float32")))
    return tmp_path


def test_opens_with_the_spec_of_the_manifest(folder):
    artifact = Artifact.open(folder)
    assert artifact.spec == SPEC
    assert artifact.folder == folder
    assert artifact.has_lone


def test_an_artifact_of_before_has_no_graph_for_lone_prompts(folder):
    (folder / LONE).unlink()
    (folder / MANIFEST).write_text(json.dumps(manifest_record(folder, SPEC, "float32")))
    assert not Artifact.open(folder).has_lone


@pytest.mark.parametrize("name", [*GRAPHS, LONE])
def test_a_changed_graph_is_named(folder, name):
    (folder / name).write_bytes(b"other bytes")
    with pytest.raises(BackendError, match=rf"{name} is damaged: its sha256"):
        Artifact.open(folder)


@pytest.mark.parametrize("name", [*GRAPHS, LONE])
def test_a_missing_graph_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(BackendError, match=rf"{name} cannot be read"):
        Artifact.open(folder)


def test_a_graph_without_a_hash_is_not_trusted(folder):
    manifest = json.loads((folder / MANIFEST).read_text())
    del manifest["files"]["decoder.onnx"]
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BackendError, match=r"decoder\.onnx is damaged"):
        Artifact.open(folder)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "cannot be read"),
        ('{"name": "mobile', "cannot be read"),  # cut short
        ("[]", "is damaged"),
        ("{}", 'field "checkpoint"'),
        ('{"checkpoint": null, "name": 3}', 'field "name"'),
    ],
)
def test_a_damaged_manifest_is_one_sentence(folder, content, sentence):
    (folder / MANIFEST).write_text(content)
    with pytest.raises(BackendError, match=sentence):
        Artifact.open(folder)


def test_a_folder_without_a_manifest_is_no_model(tmp_path):
    with pytest.raises(BackendError, match=r"is no exported model: it has no manifest\.json"):
        Artifact.open(tmp_path)


def test_a_missing_folder_is_no_model(tmp_path):
    with pytest.raises(BackendError, match="is no exported model"):
        Artifact.open(tmp_path / "nowhere")
