"""The guide of the server runs as it stands, against a live server: its curl and its Python."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi")

from tests.web.live import live_server

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "serve.md").read_text(encoding="utf-8")


def blocks(kind: str, address: str) -> list[str]:
    return [
        block.replace("http://localhost:8000", address) for block in re.findall(rf"```{kind}\n(.*?)```", GUIDE, re.S)
    ]


@pytest.mark.slow
def test_the_guide_runs(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    with live_server(tmp_path) as server:
        (python,) = blocks("python", server.url)
        command = [sys.executable, "-c", python + "print(better['area'] < first['area'])"]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.splitlines()[-1] == "True"
        (curl,) = [block for block in blocks("sh", server.url) if "curl" in block]
        if shutil.which("curl"):
            ran = subprocess.run(["bash", "-ec", curl], cwd=tmp_path, capture_output=True, text=True, check=True)
            assert json.loads(ran.stdout)["size"] == [400, 600]


def test_every_route_of_the_guide_exists() -> None:
    from tests.fake_backend import FakeBackend

    from samlet.predictor import Predictor
    from samlet.web.app import create_app

    paths = create_app(Predictor(FakeBackend())).openapi()["paths"]
    named = set(re.findall(r"`(?:GET|POST) (/[\w/]+)`", GUIDE))
    assert "/api/segment" in named
    assert named <= set(paths)
