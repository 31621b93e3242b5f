from __future__ import annotations

import re

import pytest

pytest.importorskip("fastapi")


def test_the_page_documents_every_route(client):
    page = client.get("/docs").text
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/api/embed", "/api/predict", "/api/segment", "/api/everything", "/metrics", "/health"} <= set(paths)
    assert all(f"<code>{path}</code>" in page for path in paths)


def test_the_page_fetches_nothing_from_elsewhere_and_runs_no_script(client):
    page = client.get("/docs").text
    assert "<script" not in page
    assert "style=" not in page
    assert re.findall(r'(?:src|href)="([^"]*)"', page) == ["docs.css", "openapi.json"]
    assert client.get("/docs.css").headers["content-type"].startswith("text/css")


def test_requests_are_described_by_their_fields(client):
    page = client.get("/docs").text
    assert "Clicks [x, y]." in page
    assert "Least predicted IoU" in page
    assert "<code>id</code> of a mask answered before" in page
    assert "&#34;points&#34;: [[250, 225]]" in page


def test_without_a_page_the_start_is_the_documentation(client):
    assert client.get("/").url.path == "/docs"


def test_a_page_is_served_from_its_folder_only(open_client, tmp_path):
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("hello")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "page" / "link.txt").symlink_to(tmp_path / "secret.txt")
    with open_client(page=tmp_path / "page") as client:
        assert client.get("/").text == "hello"
        assert client.get("/api/info").json()["page"] is True
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/link.txt", "//etc/passwd", "/%00"):
            answer = client.get(path)
            assert answer.status_code in (400, 404), path
            assert "secret" not in answer.text
