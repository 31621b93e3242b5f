from __future__ import annotations

import base64

import pytest

pytest.importorskip("fastapi")

from tests.web.test_api import refused

TOKEN = "correct-horse-battery"


@pytest.fixture
def guarded(open_client):
    with open_client(token=TOKEN) as client:
        yield client


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST"])
def test_own_names_are_answered(client, host):
    assert client.get("/health", headers={"Host": host}).json() == {"status": "UP"}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "localhost@evil.example", "127.0.0.1.nip.io", "10.0.0.1", "", "a:b", "[",
     "localhost:99999", "localhost/x"],
)  # fmt: skip
def test_foreign_names_are_not(client, host):
    for path in ("/health", "/api/info"):
        refused(client.get(path, headers={"Host": host}), 421)


def test_a_server_for_others_answers_to_addresses(open_client):
    with open_client(any_address=True, hosts=("seg.example",)) as client:
        assert client.get("/health", headers={"Host": "10.1.2.3:80"}).status_code == 200
        assert client.get("/health", headers={"Host": "seg.example"}).status_code == 200
        refused(client.get("/health", headers={"Host": "rebound.example"}), 421)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://localhost:9", "http://localhost", "file://"])
def test_pages_of_other_origins_are_refused(client, origin):
    refused(client.get("/api/info", headers={"Origin": origin}), 403)


def test_the_own_page_is_not(client):
    assert client.get("/api/info", headers={"Origin": "http://localhost:8000"}).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded", ""]
)
def test_what_a_foreign_form_could_send_is_refused(client, kind):
    del client.headers["X-Samlet"]
    refused(client.post("/api/embed", content=b"x", headers={"Content-Type": kind}), 403)


def test_json_needs_no_header_of_ours(client):
    del client.headers["X-Samlet"]
    refused(client.post("/api/predict", json={"embedding": "none", "points": [[1, 1]]}), 404)


def test_nothing_is_allowed_across_origins(client):
    answer = client.options("/api/predict", headers={"Origin": "http://evil.example"})
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {TOKEN}"},
        {"Authorization": f"bearer  {TOKEN}"},
        {"Authorization": "Basic " + base64.b64encode(f"anyone:{TOKEN}".encode()).decode()},
        {"Token": TOKEN},
        {"Cookie": f"other=1; samlet_token={TOKEN}"},
    ],
)
def test_a_token_is_taken_in_the_ways_of_the_clients(guarded, headers):
    assert guarded.get("/api/info", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": TOKEN},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
        {"Authorization": "Bearer \xe9\xe9"},
        {"Cookie": "samlet_token="},
        {"Cookie": "samlet_token=\x22\\"},
    ],
)
def test_without_the_token_there_is_nothing_to_see(guarded, headers):
    headers = {name: value.encode("latin-1") for name, value in headers.items()}
    for path in ("/api/info", "/metrics", "/docs", "/openapi.json", "/", "/nothing"):
        assert "Authorization: Bearer" in refused(guarded.get(path, headers=headers), 401)


def test_whether_it_runs_is_told_without_a_token(guarded):
    assert guarded.get("/health").json() == {"status": "UP"}


def test_opening_the_address_with_the_token_sets_a_cookie(guarded):
    refused(guarded.get("/?token=wrong"), 401)
    answer = guarded.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert {"HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))
    assert guarded.get("/api/info").status_code == 200


def test_every_answer_carries_the_headers(client):
    for path in ("/health", "/nothing", "/docs", "/docs.css"):
        headers = client.get(path).headers
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert headers["x-content-type-options"] == "nosniff"
        assert "unsafe-inline" not in headers["content-security-policy"].split("style-src-attr")[0]


def test_a_websocket_is_closed(client):
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/predict"):
        pass
