"""Numbers made by running the official code (reduced), stored in tests/data."""

import json
from pathlib import Path

DATA = Path(__file__).parent / "data"


def numbers(name):
    """The content of tests/data/NAME.json."""
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
