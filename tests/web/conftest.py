from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from tests.fake_backend import FakeBackend

from samlet.predictor import Predictor


def photo_file(width: int = 320, height: int = 200, shade: int = 90, kind: str = "PNG") -> bytes:
    """An image file with a bright square on a plain ground."""
    pixels = np.full((height, width, 3), shade, np.uint8)
    pixels[height // 4 : height // 2, width // 4 : width // 2] = 220
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="module")
def model() -> Predictor:
    return Predictor(FakeBackend())


@pytest.fixture(scope="module")
def open_client(model):
    """A function that makes a client of a new application, as the page would be one; keywords are its settings."""
    testclient = pytest.importorskip("starlette.testclient")
    from samlet.web.app import create_app
    from samlet.web.settings import Settings

    def client(**settings):
        app = create_app(model, settings=Settings(**settings))
        return testclient.TestClient(
            app, base_url="http://localhost:8000", headers={"X-Samlet": "1"}, raise_server_exceptions=False
        )

    return client


@pytest.fixture(scope="module")
def shared_client(open_client):
    with open_client() as opened:
        yield opened


@pytest.fixture
def client(shared_client):
    """A client of an application that the tests of a module share, as its users would."""
    headers, cookies = shared_client.headers.copy(), shared_client.cookies
    yield shared_client
    shared_client.headers = headers
    cookies.clear()


@pytest.fixture
def embedding(client) -> str:
    """A photo of 320 x 200 pixels, embedded."""
    return client.post("/api/embed", content=photo_file()).json()["embedding"]
