from __future__ import annotations

import json

import pytest

from samlet.errors import InputError, OutputError
from samlet.web import static
from samlet.web.static import RECORD, write_static

INDEX = "<!doctype html>\n<html>\n  <head>\n    <title>samlet</title>\n  </head>\n</html>\n"


@pytest.fixture
def page(tmp_path):
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "assets" / "page.js").write_text("1")
    return folder


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("manifest.json", "encoder.onnx", "projector.onnx", "decoder.onnx", "upscaler.onnx", "parity.json"):
        (folder / name).write_text(name)
    return folder


def contents(folder) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_page_and_model_are_there_and_the_page_is_told_that_it_is_alone(tmp_path, page, model):
    size = write_static(tmp_path / "out" / "app", page, model)
    written = contents(tmp_path / "out" / "app")
    assert b'<head>\n    <meta name="samlet-server" content="none" />\n' in written["index.html"]
    assert b"script-src 'self' 'wasm-unsafe-eval'; " in written["index.html"].partition(b"<title>")[0]
    assert {name for name in written if name.startswith("model/")} == {
        f"model/{name}" for name in ("manifest.json", "encoder.onnx", "projector.onnx", "decoder.onnx", "upscaler.onnx")
    }
    assert size == sum(len(content) for name, content in written.items() if name != RECORD)
    assert set(json.loads(written[RECORD])["files"]) == written.keys() - {RECORD}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["app"]


def test_its_own_folder_is_replaced_and_nothing_old_stays(tmp_path, page, model):
    write_static(tmp_path / "app", page, model)
    (page / "assets" / "page.js").rename(page / "assets" / "newer.js")
    write_static(tmp_path / "app", page, model)
    assert "assets/newer.js" in contents(tmp_path / "app")
    assert "assets/page.js" not in contents(tmp_path / "app")


def test_an_empty_folder_is_taken(tmp_path, page, model):
    (tmp_path / "app").mkdir()
    write_static(tmp_path / "app", page, model)
    assert "index.html" in contents(tmp_path / "app")


@pytest.mark.parametrize("name", ["notes.txt", "index.html", "assets/page.js", "samlet-static.json"])
def test_what_is_the_users_stays(tmp_path, page, model, name):
    write_static(tmp_path / "app", page, model)
    (tmp_path / "app" / name).write_text("mine")
    before = contents(tmp_path / "app")
    with pytest.raises(OutputError, match="choose another folder"):
        write_static(tmp_path / "app", page, model)
    assert contents(tmp_path / "app") == before


def test_a_file_is_in_the_way(tmp_path, page, model):
    (tmp_path / "app").write_text("mine")
    with pytest.raises(OutputError, match="a file is in the way"):
        write_static(tmp_path / "app", page, model)
    assert (tmp_path / "app").read_text() == "mine"


def test_what_fails_halfway_leaves_the_old_folder(tmp_path, page, model, monkeypatch):
    write_static(tmp_path / "app", page, model)
    before = contents(tmp_path / "app")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(static.shutil, "copyfile", full)
    with pytest.raises(OutputError, match="the disk is full"):
        write_static(tmp_path / "app", page, model)
    assert contents(tmp_path / "app") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app", "model", "page"]


def test_a_package_without_its_page_says_so(tmp_path, model):
    with pytest.raises(OutputError, match="install it again"):
        write_static(tmp_path / "app", tmp_path, model)


def test_the_command_writes_the_app_and_serves_nothing(tmp_path, page, model, monkeypatch, capsys):
    cli = pytest.importorskip("samlet.cli.app")
    monkeypatch.setattr(static, "write_static", lambda folder: write_static(folder, page, model))
    cli.app(static=tmp_path / "app")
    assert "index.html" in contents(tmp_path / "app")
    assert f"python -m http.server --directory {tmp_path / 'app'}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["photos", "project"])
def test_the_command_takes_no_photos_with_it(tmp_path, name):
    cli = pytest.importorskip("samlet.cli.app")
    with pytest.raises(InputError, match="each visitor's browser"):
        cli.app(static=tmp_path / "app", **{name: tmp_path})
    assert not (tmp_path / "app").exists()
