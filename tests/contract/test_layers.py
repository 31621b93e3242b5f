"""Imports go down only, and torch stays where it belongs: the import-linter contracts of pyproject.toml hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
CHECK = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(sys.argv[1], no_cache=True))"


def test_the_contracts_hold() -> None:
    # In a process of its own: it forks, which does no good to a process that has threads and captured streams.
    check = subprocess.run([sys.executable, "-c", CHECK, str(PYPROJECT)], check=False, capture_output=True, text=True)
    assert check.returncode == 0, check.stdout + check.stderr
