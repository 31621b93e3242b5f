"""The whole app as a folder of files that needs no server of samlet's: any static host will do.

It holds the page, the runtime and the model; lines in index.html tell the page that nobody else answers, and the
browser what it may load. It knows files; it needs neither torch nor a web framework.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from samlet.errors import OutputError
from samlet.files import aside_path, forget, make_folder, output_error, sha256_of
from samlet.marks import is_our_record, marked_record, read_record
from samlet.models.registry import DEFAULT_MODEL, shipped_folder
from samlet.runtime.artifact import GRAPHS, MANIFEST
from samlet.web.policy import PAGE_POLICY

PAGE = Path(__file__).with_name("page")
"""The page as it is built and comes with the package."""

INDEX, RECORD = "index.html", "samlet-static.json"
_HEAD = "<head>"
_ALONE = (
    '<meta name="samlet-server" content="none" />',
    f'<meta http-equiv="Content-Security-Policy" content="{PAGE_POLICY}" />',  # no host sends it
)


def write_static(folder: Path, page: Path = PAGE, model: Path | None = None) -> int:
    """Write the app to `folder`, which is new, empty, or one that samlet wrote; returns the number of bytes.

    `page`: the built page. `model`: the folder of an exported model, by default the one that ships with samlet. The new
    folder takes the place of the old one once it is complete. OutputError if there is something of the user's in it, if
    it cannot be written, or if this samlet was installed without its page.
    """
    model = shipped_folder(DEFAULT_MODEL) if model is None else model
    if not (page / INDEX).is_file() or model is None:
        raise OutputError(f"This samlet came without the files of its app ({page / INDEX}): install it again.")
    place = folder.resolve()
    _check_replaceable(place, folder)
    make_folder(place.parent)
    aside = aside_path(place)
    try:
        _fill(aside, page, model)
        size = _record(aside)
        _put_in_place(aside, place)
    except OSError as error:
        raise output_error(folder, error) from error
    finally:
        forget(aside)
    return size


def _check_replaceable(place: Path, named: Path) -> None:
    """Refuse a folder with anything in it that is not as samlet wrote it."""
    if not place.exists():
        return
    if not place.is_dir():
        raise OutputError(f'Cannot write "{named}": a file is in the way: choose another name.')
    record = read_record(place / RECORD)
    ours = record["files"] if record is not None and is_our_record(record) and "files" in record else {}
    for file in _files(place):
        name = file.relative_to(place).as_posix()
        if name != RECORD and (name not in ours or sha256_of(file) != ours[name]):
            raise OutputError(
                f'Cannot write "{named}": samlet did not write {name} in it, and replaces only what it wrote: choose '
                "another folder."
            )


def _fill(aside: Path, page: Path, model: Path) -> None:
    sources = {file.relative_to(page).as_posix(): file for file in _files(page)}
    sources |= {f"model/{name}": model / name for name in (MANIFEST, *GRAPHS)}
    for name, source in sources.items():
        (aside / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, aside / name)
    index = aside / INDEX
    before, head, after = index.read_text(encoding="utf-8").partition(_HEAD)
    if not head:
        raise OutputError(f"{INDEX} of the page has no {_HEAD}: install samlet again.")
    index.write_text("\n    ".join((before + head, *_ALONE)) + after, encoding="utf-8")


def _record(aside: Path) -> int:
    """Write down which files are samlet's; returns the bytes of all."""
    files = sorted(_files(aside))
    digests: Mapping[str, Any] = {"files": {file.relative_to(aside).as_posix(): sha256_of(file) for file in files}}
    (aside / RECORD).write_text(json.dumps(marked_record(digests, None), indent=1) + "\n", encoding="utf-8")
    return sum(file.stat().st_size for file in files)


def _put_in_place(aside: Path, place: Path) -> None:
    old = aside_path(place)
    if place.exists():
        place.rename(old)
    try:
        aside.rename(place)
    except OSError:
        if old.exists():
            old.rename(place)
        raise
    forget(old)


def _files(folder: Path) -> Iterator[Path]:
    """All that is in a folder, at any depth, but folders."""
    return (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
