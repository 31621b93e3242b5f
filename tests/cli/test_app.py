"""`samlet app`: what it refuses before anything is loaded. What it serves is tested in tests/web."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")


def test_a_folder_that_is_none_is_refused(refused, tmp_path):
    assert "is not a folder" in refused("app", tmp_path / "missing")


def test_other_machines_need_a_token(refused, tmp_path):
    assert "--token" in refused("app", tmp_path, "--host", "0.0.0.0")


def test_a_project_that_cannot_be_kept_is_refused(refused, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "in the way" in refused("app", tmp_path, "--project", tmp_path / "file")


def test_without_photos_the_project_lies_in_the_data_folder(monkeypatch, samlet, tmp_path):
    served = []
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("samlet.cli.app.user_data_path", lambda *_, **__: tmp_path / "samlet")
    monkeypatch.setattr("samlet.cli.options.model.ModelOptions.load", lambda *_, **__: None)
    monkeypatch.setattr("samlet.web.serving.run", lambda listening, model, project: served.append((listening, project)))
    code, _, told = samlet("app", "--port", 0, "--no-browser", "--token", "0123456789abcdef")
    ((listening, project),) = served
    listening.socket.close()
    assert code == 0
    assert f"{listening.url}/?token=0123456789abcdef" in told
    assert project.name == "project"
    assert listening.settings.page.joinpath("index.html").is_file()
