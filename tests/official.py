"""Numbers made by running the official code (reduced), stored in tests/fixtures."""

import json
from pathlib import Path

DATA = Path(__file__).parent / "fixtures"


def numbers(name):
    """The content of tests/fixtures/NAME.json."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
