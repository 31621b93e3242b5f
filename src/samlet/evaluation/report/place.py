"""Where a report goes: files that samlet eval did not write are never replaced."""

from __future__ import annotations

from pathlib import Path

from samlet.errors import DataError, OutputError
from samlet.evaluation.report.page import PAGE_FILE
from samlet.evaluation.report.summary import REPORT_FILE, read_report
from samlet.files import check_folder


def check_place(folder: Path) -> None:
    """Before the work: OutputError if nothing could be written into the folder, or a file of the user's is in the way.

    A page is samlet's if the report beside it is.
    """
    check_folder(folder)
    report, page = folder / REPORT_FILE, folder / PAGE_FILE
    if report.exists() or report.is_symlink():
        try:
            read_report(folder)
        except DataError as error:
            raise OutputError(f"{report} is no report of samlet eval: choose another --output, or move it.") from error
    elif page.exists():
        raise OutputError(f"{page} stands without a report of samlet eval: choose another --output, or move it.")
