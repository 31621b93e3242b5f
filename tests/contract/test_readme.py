"""The README keeps its promises: its commands, its table of models, its links."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

from samlet.benchmarking.steps import STEPS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GATE = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])


def section(title: str) -> str:
    match = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, flags=re.MULTILINE | re.DOTALL)
    assert match, f"README.md has no section {title!r}"
    return match.group(1)


def first_block(title: str) -> str:
    match = re.search(r"^```\w*\n(.*?)^```", section(title), flags=re.MULTILINE | re.DOTALL)
    assert match, f"the section {title!r} has no code block"
    return match.group(1).strip()


def gate_command(variable: str) -> str:
    match = re.search(rf"^{variable}='(.*)'$", GATE, flags=re.MULTILINE)
    assert match, f".ci/run does not set {variable}"
    return match.group(1)


def test_quick_start_is_one_command_that_points_into_a_photo() -> None:
    command = r"pip install \. && samlet segment (examples/\S+) --point (\d+),(\d+)"
    match = re.fullmatch(command, first_block("Quick start"))
    assert match
    with Image.open(ROOT / match[1]) as photo:
        width, height = photo.size
    assert int(match[2]) < width
    assert int(match[3]) < height


def test_gate_and_workflow_run_the_test_command() -> None:
    command = first_block("Tests")
    assert command == f"{gate_command('install')} && {gate_command('tests')}"
    assert f"- run: {command}\n" in WORKFLOW


def test_table_of_models_is_the_registry() -> None:
    table = runpy.run_path(str(ROOT / "docs" / "models.py"))["table"]()
    assert table in section("Models"), "run `python docs/models.py`"
    others = runpy.run_path(str(ROOT / "docs" / "models.py"))["other_table"]()
    guide = (ROOT / "docs" / "guides" / "classify-and-parse.md").read_text(encoding="utf-8")
    assert others in guide, "run `python docs/models.py`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\((?!https?://|#)([^)#\s]+)", prose)
    assert [target for target in targets if not (document.parent / target).exists()] == []


def test_what_documents_time_can_be_timed() -> None:
    lists = [what for page in DOCUMENTS for what in re.findall(r"--what ([a-z-,]+)", page.read_text(encoding="utf-8"))]
    asked = {step for what in lists for step in what.split(",")}
    assert asked
    assert asked <= set(STEPS)
