"""`samlet app`: the page and its server, for one folder of photos."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from threading import Timer
from typing import Annotated

from cyclopts import Parameter
from platformdirs import user_data_path

from samlet.cli.options.listening import THIS_MACHINE, ListenOptions
from samlet.cli.options.model import THE_DEFAULT, ModelOptions
from samlet.cli.serve import IMAGES_KEPT
from samlet.errors import InputError, OutputError
from samlet.extras import import_with_extra

_PAGE = Path(__file__).parents[1] / "web" / "page"
_OPEN_AFTER_S = 1.0  # the server takes requests a moment after its socket does


def app(
    photos: Annotated[
        Path | None, Parameter(help="A folder of photos, with its sub-folders; more can be dropped on the page.")
    ] = None,
    *,
    project: Annotated[
        Path | None,
        Parameter(help="Where labels and masks are kept; default: PHOTOS/.samlet; without PHOTOS, your data folder."),
    ] = None,
    no_browser: Annotated[bool, Parameter(help="Do not open the page.")] = False,
    static: Annotated[
        Path | None,
        Parameter(help="Write the whole app to this folder, for any host of static files, and serve nothing."),
    ] = None,
    where: ListenOptions = THIS_MACHINE,
    model: ModelOptions = THE_DEFAULT,
) -> None:
    """Open a page where photos are segmented: click, box, everything, correct, export. Ctrl-C stops it.

    Every change is saved at once. It listens on this machine only; to let others in, name an address and a token.
    """
    if static is not None:
        _write_static(static, photos, project)
        return
    serving = import_with_extra("samlet.web.serving", "web", "The app")
    projects = import_with_extra("samlet.web.project", "web", "The app")
    opened = projects.Project(photos, project if project is not None or photos is not None else _own_folder())
    settings = import_with_extra("samlet.web.settings", "web", "The app").Settings(page=_PAGE)
    listening = where.listen(settings)
    ready = model.load(images_kept=IMAGES_KEPT)
    address = listening.url if where.token is None else f"{listening.url}/?token={where.token}"
    print(f"samlet's page is at {address} (stop with Ctrl-C)", file=sys.stderr, flush=True)
    if not no_browser:
        timer = Timer(_OPEN_AFTER_S, webbrowser.open, [address])
        timer.daemon = True
        timer.start()
    serving.run(listening, ready, opened)


def _write_static(folder: Path, photos: Path | None, project: Path | None) -> None:
    from samlet.web.static import write_static

    if photos is not None or project is not None:
        raise InputError("--static takes no photos and no project: the app keeps them in each visitor's browser.")
    size = write_static(folder)
    print(f"Wrote {folder} ({size / 1e6:.0f} MB). To try it: python -m http.server --directory {folder}")


def _own_folder() -> Path:
    """The project of whoever names none."""
    try:
        folder = user_data_path("samlet", appauthor=False) / "project"
    except RuntimeError as error:
        raise OutputError("This user has no home folder to keep a project in: name one with --project.") from error
    if not folder.is_absolute():
        raise OutputError("This user has no home folder to keep a project in: name one with --project.")
    return folder
