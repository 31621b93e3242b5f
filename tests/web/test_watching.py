from __future__ import annotations

import json
import logging

import pytest

pytest.importorskip("fastapi")

from tests.web.conftest import photo_file

from samlet.web.logs import LOGGER, JsonLines

TOKEN = "correct-horse-battery"


def test_figures_count_by_route_and_nothing_that_a_client_makes_up(open_client):
    with open_client() as client:
        client.post("/api/embed", content=photo_file())
        for number in range(3):
            client.get(f"/made/up/{number}")
            client.request(f"MADE{number}", "/api/info")
        figures = client.get("/metrics").text
    assert 'samlet_requests_total{method="POST",route="/api/embed",status="200"} 1.0' in figures
    assert 'samlet_requests_total{method="GET",route="none",status="404"} 3.0' in figures
    assert "samlet_encoded_images_total 1.0" in figures
    assert 'samlet_jobs{lane="encode"} 0.0' in figures
    assert "made" not in figures.lower()


def test_the_log_has_a_line_for_each_request_and_no_secret(open_client, caplog):
    with open_client(token=TOKEN) as client, caplog.at_level(logging.INFO, LOGGER):
        client.get(f"/?token={TOKEN}", follow_redirects=False)
        client.get("/a%0Ab")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == LOGGER]
    assert [(line["method"], line["status"]) for line in lines] == [("GET", 303), ("GET", 404)]
    assert {"time", "level", "path", "seconds", "bytes"} <= set(lines[0])
    assert TOKEN not in json.dumps(lines)


def test_a_traceback_stays_in_its_line():
    try:
        raise ValueError("a\nb")
    except ValueError as error:
        record = logging.LogRecord(LOGGER, logging.ERROR, "", 0, "defect", (), (ValueError, error, error.__traceback__))
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "ValueError" in json.loads(line)["traceback"]
