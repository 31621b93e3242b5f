"""The Python of the README and the guides runs as it stands, block after block, in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from samlet.models.registry import DEFAULT_MODEL, shipped_folder

ROOT = Path(__file__).parents[2]
# Their files, commands and servers are run by test_encoder_guide.py and test_serve_guide.py.
OTHERWISE = {"add-an-encoder.md", "serve.md"}
GUIDES = [path for path in sorted((ROOT / "docs" / "guides").glob("*.md")) if path.name not in OTHERWISE]
DOCUMENTS = [ROOT / "README.md", *GUIDES]


def python_of(document: str) -> str:
    """The ```python blocks of a document on their own lines, so that a traceback names the document's line.

    A block that cannot run here, because it needs a file we may not ship, opens with ```python notest.
    """
    lines, inside = [], False
    for line in document.splitlines():
        fence = line.startswith("```")
        lines.append(line if inside and not fence else "")
        if fence:
            inside = line == "```python"
    return "\n".join(lines)


def test_blocks_keep_their_lines() -> None:
    document = "text\n```python\na = 1\n```\n```sh\nls\n```\n```python notest\nb = 2\n```\n```python\nc = 3\n```"
    assert python_of(document).split("\n") == ["", "", "a = 1", *[""] * 8, "c = 3", ""]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_of_a_document_runs(document: Path, tmp_path: Path) -> None:
    code = python_of(document.read_text(encoding="utf-8"))
    assert code.strip()
    if shipped_folder(DEFAULT_MODEL) is None:
        pytest.skip(f"the default model {DEFAULT_MODEL} is not in src/samlet/models/shipped yet")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    script = tmp_path / "document.py"
    script.write_text(code, encoding="utf-8")
    command = [sys.executable, script.name]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, f"{document.name}:\n{ran.stderr}"
