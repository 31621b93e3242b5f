"""The routes of a project over HTTP, with a model that draws discs."""

from __future__ import annotations

import pytest
from tests.web.project_photos import SIZE_HW, layer, photo, square


@pytest.fixture
def client(model, tmp_path):
    testclient = pytest.importorskip("starlette.testclient")
    from samlet.web.app import create_app
    from samlet.web.project import Project
    from samlet.web.settings import Settings

    photo(tmp_path / "photos/b.png")
    app = create_app(model, settings=Settings(), project=Project(tmp_path / "photos"))
    with testclient.TestClient(
        app, base_url="http://localhost:8000", headers={"X-Samlet": "1"}, raise_server_exceptions=False
    ) as opened:
        yield opened


@pytest.fixture
def image(client) -> str:
    return client.get("/api/project").json()["images"][0]["id"]


def test_an_image_is_listed_embedded_and_segmented_by_its_id(client, image):
    assert client.get(f"/api/images/{image}").json()["size"] == list(SIZE_HW)
    embedded = client.post("/api/embed", json={"project_image": image}).json()
    assert embedded["size"] == list(SIZE_HW)
    asked = {"embedding": embedded["embedding"], "points": [[30, 20]], "labels": [1]}
    assert client.post("/api/segment", json=asked).json()["masks"][0]["area"] > 0


def test_pictures_are_not_sent_twice(client, image):
    first = client.get(f"/api/images/{image}/pixels?max_side=32")
    assert first.headers["content-type"] == "image/jpeg"
    again = client.get(f"/api/images/{image}/pixels?max_side=32", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_layers_are_saved_once_for_each_revision(client, image):
    address = f"/api/images/{image}/annotations"
    body = {"revision": 0, "done": True, "layers": [layer(draft=True)]}
    assert client.put(address, json=body).json() == {"revision": 1}
    stale = client.put(address, json=body)
    assert (stale.status_code, list(stale.json())) == (409, ["error"])
    kept = client.get(address).json()
    assert kept["layers"][0]["rle"] == layer()["rle"]
    assert kept["layers"][0]["draft"] is True


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/images/unknown", None, 404),
        ("GET", "/api/images/unknown/pixels", None, 404),
        ("GET", "/api/images/unknown/annotations", None, 404),
        ("PUT", "/api/images/unknown/annotations", {"revision": 0, "layers": []}, 404),
        ("DELETE", "/api/images/unknown", None, 404),
        ("POST", "/api/embed", {"project_image": "unknown"}, 404),
        ("PUT", "/api/images/{image}/annotations", {"revision": -1, "layers": []}, 422),
        ("PUT", "/api/images/{image}/annotations", {"revision": 0, "layers": [{"id": "a"}]}, 422),
        (
            "PUT",
            "/api/images/{image}/annotations",
            {"revision": 0, "layers": [layer(mask=square(size_hw=(9, 9)))]},
            422,
        ),
        ("DELETE", "/api/images/{image}", None, 422),
        ("PUT", "/api/project", {"labels": [{"name": "", "color": "#000000"}]}, 422),
        ("PUT", "/api/project", {"labels": [{"name": "a", "color": "red"}]}, 422),
        ("POST", "/api/export", {"formats": ["pdf"]}, 422),
        ("POST", "/api/export", {"formats": ["coco"], "images": ["unknown"]}, 404),
    ],
)
def test_bad_requests_get_a_sentence(method, path, body, status, client, image):
    answer = client.request(method, path.format(image=image), json=body)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert answer.json()["error"].endswith(".")


def test_files_go_in_and_out(client, tmp_path):
    content = photo(tmp_path / "new.png").read_bytes()
    octets = {"Content-Type": "application/octet-stream"}
    added = client.post("/api/images?name=new.png", content=content, headers=octets).json()
    assert added["removable"]
    client.put(f"/api/images/{added['id']}/annotations", json={"revision": 0, "layers": [layer()]})
    exported = client.post("/api/export", json={"formats": ["coco"], "images": [added["id"]]})
    assert 'filename="annotations.coco.json"' in exported.headers["content-disposition"]
    told = client.post("/api/import?name=a.json", content=exported.content, headers=octets).json()
    assert told == {"images": [], "masks": 0, "message": "All of it was here already."}
    assert client.post("/api/images?name=x.png", content=b"none", headers=octets).status_code == 422
    assert client.delete(f"/api/images/{added['id']}").status_code == 204
    assert client.get(f"/api/images/{added['id']}").status_code == 404


def test_labels_are_renamed(client, image):
    client.put(f"/api/images/{image}/annotations", json={"revision": 0, "layers": [layer()]})
    body = {"labels": [{"name": "tiger", "color": "#112233"}], "renamed": {"from": "cat", "to": "tiger"}}
    assert client.put("/api/project", json=body).json()["labels"] == body["labels"]
    assert client.get(f"/api/images/{image}/annotations").json()["layers"][0]["label"] == "tiger"
