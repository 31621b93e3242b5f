"""The page of the papers' numbers is what its data say, and its commands are commands."""

from __future__ import annotations

import json
import runpy
import shlex
from pathlib import Path

import pytest

from samlet.cli.eval import app

DOCS = Path(__file__).parents[2] / "docs"
TABLES = json.loads((DOCS / "papers.json").read_text(encoding="utf-8"))["tables"]
COMMANDS = sorted({table["ours"]["command"] for table in TABLES if "command" in table.get("ours", {})})


@pytest.fixture(scope="module")
def generator() -> dict:
    return runpy.run_path(str(DOCS / "papers.py"))


def test_the_page_is_generated_from_the_data(generator) -> None:
    page = (DOCS / "papers.md").read_text(encoding="utf-8")
    assert page == generator["page"](), "run `python docs/papers.py`"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table["id"])
def test_a_table_is_whole(table) -> None:
    assert {"id", "title", "source", "columns", "rows"} <= set(table)
    assert table["rows"]
    for values in table["rows"].values():
        assert len(values) == len(table["columns"])
        assert any(value is not None for value in values)
    if "metric" in table.get("ours", {}):
        assert "measured" in table


def test_tables_have_names_of_their_own() -> None:
    assert len({table["id"] for table in TABLES}) == len({table["title"] for table in TABLES}) == len(TABLES)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_beside_a_table_is_one(command) -> None:
    program, verb, *options = shlex.split(command)
    assert (program, verb) == ("samlet", "eval")
    _, _, ignored = app.parse_args(options, exit_on_error=False, print_error=False)
    assert ignored == {}


def test_what_was_measured_stands_beside_the_paper(generator, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    report = {"model": "mobile-sam", "metrics": {"miou": {"all": 0.7254}}}
    (folder / "report.json").write_text(json.dumps(report))
    table = {
        "title": "T",
        "source": "S",
        "columns": ["box"],
        "ours": {"metric": "miou.all", "command": "c"},
        "measured": {"mobile-sam": str(folder)},
        "rows": {"mobile-sam": [74.4], "FastSAM": [None]},
    }
    text = generator["_section"](table)
    assert "| `mobile-sam` | 74.4 | 72.5 |" in text
    assert "| FastSAM | – | n/a |" in text
    with pytest.raises(ValueError, match="measured mobile-sam, not sam-vit-b"):
        generator["measured"](str(folder), "sam-vit-b", "miou.all")


def report(folder: Path, **changes) -> Path:
    facts = {"format": 1, "model": "mobile-sam", "weights_sha256": None, "protocol": {"start": "point", "clicks": 3}}
    sizes = {"all": 0.5, "small": None, "medium": 0.25, "large": 1.0}
    metrics = {"miou": sizes, "boundary_miou": {"all": 0.125}, "mean_of_sources": 0.7254, "instances": {"all": 9}}
    folder.mkdir()
    metrics["per_source"] = {"coco": {"miou": 0.75, "instances": 4}}
    (folder / "report.json").write_text(json.dumps(facts | {"metrics": metrics | changes}))
    return folder / "report.json"


def test_every_report_is_a_row(generator, tmp_path) -> None:
    paths = [report(tmp_path / "a"), report(tmp_path / "b", per_source={"pets": {"miou": 0.1, "instances": 4}})]
    rows = [line for line in generator["ours"](paths).splitlines() if line.startswith(("| a", "| b"))]
    numbers = "`mobile-sam`, n/a | point, 3 clicks, select iou | 9 | 50.0 | n/a | 25.0 | 100.0 | 12.5 | 72.5"
    assert rows == [f"| a | {numbers} | 75.0 (4) |", f"| b | {numbers} | n/a |"]


def test_a_row_has_a_cell_for_each_heading(generator, tmp_path) -> None:
    heading, rule, row = [line for line in generator["ours"]([report(tmp_path / "a")]).splitlines() if line[:1] == "|"]
    assert heading.count("|") == rule.count("|") == row.count("|")
