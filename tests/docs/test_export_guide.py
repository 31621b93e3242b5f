"""The guide's example without samlet finds samlet's mask, in a process that cannot import samlet."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import samlet
from samlet.models.registry import DEFAULT_MODEL, shipped_folder

ROOT = Path(__file__).parents[2]
BLOCKED = "import sys\nsys.modules['samlet'] = sys.modules['torch'] = None\n"


def test_the_graphs_alone_give_the_mask(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "guides" / "export.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"## Without samlet\n.*?```python notest\n(.*?)```", guide, re.DOTALL)
    folder = shipped_folder(DEFAULT_MODEL)
    assert folder is not None
    shutil.copytree(folder, tmp_path / "b0")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    ran = subprocess.run(
        [sys.executable, "-c", BLOCKED + example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    area_px, iou = re.findall(r"[\d.]+", ran.stdout)
    model = samlet.load(backend="onnx")
    embedding = model.embed(ROOT / "examples" / "coffee.jpg")
    (mask,) = model.predict(embedding, samlet.Prompts.points([[250, 225]]), candidates="best")
    assert abs(int(area_px) - mask.area_px) < 0.005 * mask.area_px
    assert mask.iou is not None
    assert abs(float(iou) - mask.iou) < 0.005
