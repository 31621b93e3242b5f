"""Writes the tables of models, README.md's and that of classifiers, from the registry: `python docs/models.py`."""

from __future__ import annotations

import re
from pathlib import Path

from samlet.models.registry import DEFAULT_MODEL, MODELS, shipped_folder
from samlet.spec import ModelSpec

README = Path(__file__).parents[1] / "README.md"
GUIDE = Path(__file__).parent / "guides" / "classify-and-parse.md"
HEADER = "| model | parameters | encoder GMACs | canvas | weights |\n|---|---|---|---|---|"
OTHERS_HEADER = "| model | parameters | GMACs | canvas | classes |\n|---|---|---|---|---|"


def row(spec: ModelSpec) -> str:
    """One line of the README's table."""
    parameters, macs = f"{spec.parameters / 1e6:.1f} M", f"{spec.encoder_macs / 1e9:,.1f}"
    return f"| `{spec.name}` | {parameters} | {macs} | {spec.image.canvas} | {weights(spec)} |"


def other_row(spec: ModelSpec) -> str:
    """One line of the guide's table."""
    parameters, macs = f"{spec.parameters / 1e6:.2f} M", f"{spec.encoder_macs / 1e9:,.3f}"
    classes = spec.classes.name if spec.classes else ""
    return f"| `{spec.name}` | {parameters} | {macs} | {spec.image.canvas} | {classes} |"


def weights(spec: ModelSpec) -> str:
    """Where a model's weights come from, in a few words."""
    if spec.name == DEFAULT_MODEL:
        return "in the package, the default"
    if shipped_folder(spec.name):
        return "in the package"
    if spec.checkpoint is None:
        return "none published"
    if spec.checkpoint.size_bytes is None:
        return "official file, to import"
    return f"official file, {spec.checkpoint.size_bytes / 1e6:,.0f} MB"


def table() -> str:
    """The table of promptable models, a line each, in the order of the registry."""
    return "\n".join([HEADER, *(row(spec) for spec in MODELS if spec.task == "promptable")]) + "\n"


def other_table() -> str:
    """The table of classifiers and segmenters."""
    return "\n".join([OTHERS_HEADER, *(other_row(spec) for spec in MODELS if spec.task != "promptable")]) + "\n"


if __name__ == "__main__":
    for page, header, written in ((README, HEADER, table()), (GUIDE, OTHERS_HEADER, other_table())):
        old = re.compile(re.escape(header) + r"\n(?:\|.*\n)*")  # a page may have other tables of models
        text = page.read_text(encoding="utf-8")
        page.write_text(old.sub(lambda _, written=written: written, text, count=1), encoding="utf-8")
