"""The commands of the labeling guide run as they stand, one after the other, on two photos and discs for masks."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.cli.disc import predictor

from samlet.cli import main

pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("fsspec")

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "guides" / "label.md").read_text(encoding="utf-8")
FEW = ("--points-per-side", "2", "--pred-iou-thresh", "0.1", "--stability-score-thresh", "0.1", "--workers", "0")


def test_the_commands_run_and_the_columns_are_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("samlet.loading.load", lambda *_, **__: predictor())
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in ("tiny_camera.jpg", "tiny_cat.jpg"):
        shutil.copy(ROOT / "tests" / "fixtures" / "tiny" / name, tmp_path / "photos")
    lines = "\n".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).splitlines()
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("samlet ") and "s3://" not in line]
    assert len(commands) == 4
    for words in commands:
        assert main([*words, *(() if words[1] in ("status", "export") else FEW)]) == 0
    assert (tmp_path / "exported" / "annotations.coco.json").is_file()
    assert "finished" in capsys.readouterr().out
    columns = set(pq.read_schema(next((tmp_path / "out" / "masks").iterdir())).names)
    paragraph = GUIDE[GUIDE.index("A mask's row has") : GUIDE.index("pyarrow, DuckDB")]
    assert set(re.findall(r"`(\w+)`", paragraph)) == columns
    for folder in ("images", "listing", "shards"):
        assert (tmp_path / "out" / folder).is_dir()


def test_the_options_are_there(capsys):
    main(["label", "--help"])
    known = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out))
    lines = [line for line in GUIDE.splitlines() if "python benchmarks" not in line and "--through" not in line]
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", "\n".join(lines))) - known == set()
