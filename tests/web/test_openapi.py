"""Requests made from the OpenAPI description, sound and not: whatever comes, no answer is a 5xx."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis", reason="schemathesis is not installed")

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from tests.fake_backend import FakeBackend
from tests.web.conftest import photo_file

from samlet.predictor import Predictor
from samlet.web.app import create_app
from samlet.web.project import Project
from samlet.web.settings import Settings

# Generated requests make Starlette, schemathesis and Pillow warn of much that is no concern of ours.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
EXAMPLES = 10  # of each kind for each route
PHOTO = photo_file(64, 48)
REAL = {"image": base64.b64encode(PHOTO).decode(), "embedding": "", "model": "samlet"}


@pytest.fixture(scope="module")
def description(tmp_path_factory):
    """The description of an application with a project of one photo."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "photo.png").write_bytes(PHOTO)
    allowed = Settings(answer_seconds=20, hosts=("localhost",), body_bytes=1 << 20)
    app = create_app(Predictor(FakeBackend()), settings=allowed, project=Project(folder))
    REAL["embedding"] = app.state.service.embed(PHOTO).result(20).key
    return schemathesis.openapi.from_asgi("/openapi.json", app, headers={"Host": "localhost"})


@pytest.mark.parametrize("kind", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_request_breaks_the_server(description, kind):
    operations = [result.ok() for result in description.get_all_operations()]
    assert len(operations) > 20
    asked = 0
    for operation in operations:

        @given(case=operation.as_strategy(generation_mode=kind))
        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
        def ask(case):
            nonlocal asked
            asked += 1
            if kind is GenerationMode.POSITIVE and isinstance(case.body, dict):
                case.body |= {name: real for name, real in REAL.items() if isinstance(case.body.get(name), type(real))}
                case.body |= {"points_per_side": 1} if case.path == "/api/everything" else {}
            answer = case.call(headers={"Host": "localhost", "X-Samlet": "1"})
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.text}"
            if answer.status_code >= 400:
                assert list(answer.json()) == ["error"]

        with suppress(Unsatisfiable):  # a route that takes nothing has no wrong requests
            ask()
    assert asked > 100
