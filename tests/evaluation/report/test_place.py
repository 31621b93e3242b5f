"""A report replaces a report, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from samlet.errors import OutputError
from samlet.evaluation.report.page import write_page
from samlet.evaluation.report.place import check_place
from samlet.evaluation.report.summary import build_report, write_report


def test_an_empty_a_missing_and_an_own_folder_are_fine(tmp_path: Path) -> None:
    check_place(tmp_path)
    check_place(tmp_path / "new")
    assert not (tmp_path / "new").exists()
    report = build_report([], {"model": "m", "protocol": {"start": "box"}})
    write_report(tmp_path, report)
    write_page(tmp_path, report, [])
    check_place(tmp_path)


@pytest.mark.parametrize("name", ["report.json", "report.html"])
def test_a_file_of_the_user_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"mine": 1}')
    with pytest.raises(OutputError, match=rf"{name} .* choose another --output"):
        check_place(tmp_path)
    assert (tmp_path / name).read_text() == '{"mine": 1}'


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="in the way"):
        check_place(tmp_path / "out")
