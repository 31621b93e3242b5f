"""Encoder distillation alone against prompts in the loop, on one budget: the table of benchmarks/ablation.md.

    cd benchmarks
    samlet train distill-encoder --student ablation:SPEC --recipe ablation_encoder TEACHER DATA --output whole
    samlet train distill-encoder --student ablation:SPEC --recipe ablation_encoder --steps 300 … --output half
    samlet train distill-prompted --student ablation:SPEC --recipe ablation_prompted … --output prompted
    samlet eval --model ablation:SPEC --checkpoint whole/student.safetensors --protocol box … --output eval-whole-box
    python ablation.py eval-whole-box eval-whole-point eval-prompted-box …

Prints a row for each report: its folder, protocol, and mean IoU over sources and over masks, in percent.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cyclopts

from samlet.cli.tables import print_table
from samlet.evaluation import read_report
from samlet.models.registry import get_spec

_B0 = get_spec("efficientvit-sam-b0")
# The B0's architecture on the canvas that minutes of training can afford.
SPEC = replace(_B0, name="efficientvit-sam-b0-384", image=replace(_B0.image, canvas=384), aliases=())


def ablation(*reports: Path) -> None:
    """Print a table of reports (folders that `samlet eval` wrote), and one JSON line."""
    rows = [(path.name, *_figures(path)) for path in reports]
    headings = (("report", "left"), ("protocol", "left"), ("mean of sources", "right"), ("mean of masks", "right"))
    print_table(headings, [(name, start, f"{sources:.1f}", f"{masks:.1f}") for name, start, sources, masks in rows])
    print(json.dumps([dict(zip([heading for heading, _ in headings], row, strict=True)) for row in rows]))


def _figures(path: Path) -> tuple[str, float, float]:
    report = read_report(path)
    metrics = report["metrics"]
    return report["protocol"]["start"], 100 * metrics["mean_of_sources"], 100 * metrics["miou"]["all"]


if __name__ == "__main__":
    cyclopts.run(ablation)
