"""A missing or broken OpenCV is named, with what helps; it is imported in one place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from samlet import opencv

SOURCE = Path(opencv.__file__).parent


@pytest.mark.parametrize("left", ["nothing", "an empty folder"])
@pytest.mark.parametrize("words", [["doctor"], ["segment", "x.jpg", "--point", "1,1"]])
def test_the_command_line_says_what_is_missing(tmp_path, left, words):
    """`python -c` with no cv2 that can be found, or with the folder that a removed package left."""
    blocked = "sys.modules['cv2'] = None" if left == "nothing" else f"sys.path.insert(0, {str(tmp_path)!r})"
    (tmp_path / "cv2").mkdir()
    (tmp_path / "cv2" / "__init__.py").touch()
    code = f"import sys; {blocked}; from samlet.cli import main; sys.exit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "OpenCV, the module cv2, cannot be imported" in done.stderr
    assert "pip install --force-reinstall opencv-python-headless" in done.stderr


def test_twins_are_removed_first(monkeypatch):
    monkeypatch.setattr(opencv, "opencv_packages", lambda: ["opencv-python", "opencv-python-headless"])
    assert opencv._remedy().startswith("run pip uninstall opencv-python, then pip install")


def test_it_is_imported_in_one_place():
    importing = [
        path for path in SOURCE.rglob("*.py") if re.search(r"^\s*import cv2\b", path.read_text(), re.MULTILINE)
    ]
    assert importing == [SOURCE / "opencv.py"]
