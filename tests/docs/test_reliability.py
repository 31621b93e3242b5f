"""docs/reliability.md: every promise names tests that exist, and says how many they are."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
PROMISES = runpy.run_path(str(ROOT / "docs" / "reliability.py"))["promises"](PAGE)


def test_every_promise_has_tests_and_their_number() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert len(PROMISES) == len(rows) > 15
    assert [promise for promise, files in PROMISES if not files] == []
    assert [row for row in rows if not re.search(r"\| [1-9][\d,]* \|$", row)] == []


def test_the_tests_exist() -> None:
    assert [file for _, files in PROMISES for file in files if not (ROOT / file).is_file()] == []


def test_it_says_how_many_kinds_of_files_are_damaged() -> None:
    fuzz = (ROOT / "tests" / "contract" / "test_fuzz.py").read_text(encoding="utf-8")
    names = re.findall(r'"[^"]+"', fuzz[fuzz.index("NAMES = [") : fuzz.index("]  # fmt: skip")])
    assert f"of {len(names)} kinds" in PAGE
