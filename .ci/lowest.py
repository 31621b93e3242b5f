"""Prints the core's dependencies pinned to the lowest versions that pyproject.toml allows, a line each."""

from __future__ import annotations

import re
from pathlib import Path

text = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
core = re.search(r"^dependencies = \[\n(.*?)^\]", text, flags=re.MULTILINE | re.DOTALL)
if core is None:
    raise SystemExit("pyproject.toml has no list of dependencies")
for name, version in re.findall(r'^\s*"([\w.-]+)>=([\w.]+)"', core[1], flags=re.MULTILINE):
    print(f"{name}=={version}.*")  # the first release of a version may be 4.9.0.80
