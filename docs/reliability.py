"""Counts the tests of each promise and writes the last column of docs/reliability.md: `python docs/reliability.py`."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
TEST = re.compile(r"`((?:web/)?tests/[\w/.]+)`")
ROW = re.compile(r"^\| (?!promise)([^|]*) \| ([^|]*) \|[^|]*\|$", re.MULTILINE)


def promises(page: str) -> list[tuple[str, list[str]]]:
    """Each row's promise and the files of its tests, as the page names them."""
    return [(promise, TEST.findall(tested)) for promise, tested in ROW.findall(page)]


def collected(files: list[str]) -> Counter[str]:
    """How many tests each file has, slow ones included; of a page's tests, which Node runs, those it names."""
    python = [name for name in files if name.endswith(".py")]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-n", "0", "-m", "slow or not slow", *python]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    counts = Counter(line.partition("::")[0] for line in told.splitlines() if "::" in line)
    for name in set(files) - set(python):
        counts[name] = len(re.findall(r"^\s*(?:test|it)\(", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
    return counts


def counted(page: str) -> str:
    """The page with its counts."""
    counts = collected(sorted({file for _, files in promises(page) for file in files}))

    def row(match: re.Match[str]) -> str:
        number = sum(counts[file] for file in TEST.findall(match[2]))
        return f"| {match[1]} | {match[2]} | {number:,} |"

    return ROW.sub(row, page)


if __name__ == "__main__":
    PAGE.write_text(counted(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
