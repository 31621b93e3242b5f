"""Downloading one file of known content: resumed after a cut, retried, checked, from the first source that has it.

Standard library only. Knows addresses and a hash; knows nothing of models or of the cache's layout.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from samlet.errors import WeightsError
from samlet.files import output_error, sha256_of

# Called with the bytes on the disk so far and the size of the whole file, where the server tells it.
Progress = Callable[[int, "int | None"], None]

ATTEMPTS = 4
PAUSE_S = 1.0
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18


class _RefusedError(Exception):
    """This source will not give the file, however often it is asked."""


class _CutError(Exception):
    """The connection failed or ended early: asking again may go on from there."""


def download(urls: Sequence[str], path: Path, sha256: str, progress: Progress | None = None) -> None:
    """Bring the file with that `sha256` to `path` from the first of `urls` that has it.

    What an interrupted download left in `path` + ".part" is continued. Raises `WeightsError` with the reason of each
    source if none has the file, `OutputError` if it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    reasons = []
    for url in urls:
        try:
            _from_source(url, part, sha256, progress or _silent)
        except (_RefusedError, _CutError) as error:
            reasons.append(f"{urlsplit(url).netloc or url}: {error}")
            continue
        try:
            part.replace(path)
        except OSError as error:
            raise output_error(path, error) from error
        return
    raise WeightsError(f"The download failed ({'; '.join(reasons)}): try again, or set SAMLET_MIRROR to a copy.")


def _from_source(url: str, part: Path, sha256: str, progress: Progress) -> None:
    """Fill `part` from one source, going on after a cut, until its content has the hash."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise _RefusedError("not an http or https address")
    resumed = _size(part) > 0
    for attempt in range(ATTEMPTS):
        try:
            _transfer(url, part, progress)
            break
        except _CutError:
            if attempt + 1 == ATTEMPTS:
                raise
            time.sleep(PAUSE_S * 2**attempt)
    if sha256_of(part) == sha256:
        return
    part.unlink()
    if not resumed:
        raise _RefusedError("the file there does not have the published sha256")
    # The old part may have come from elsewhere: this source deserves one fresh start.
    _from_source(url, part, sha256, progress)


def _transfer(url: str, part: Path, progress: Progress) -> None:
    start = _size(part)
    response = _open(url, start)
    if response is None:
        return
    with response:
        if start and not _continues(response, start):
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        try:
            with part.open("ab" if start else "wb") as file:
                done = _copy(response, file, start, total, progress)
        except OSError as error:
            raise output_error(part, error) from error
    if total is not None and done < total:
        raise _CutError(f"the connection ended after {done} of {total} bytes")


def _open(url: str, start: int) -> HTTPResponse | None:
    """Ask for the file from byte `start` on; None means that the server says there is nothing beyond it."""
    headers = {"User-Agent": "samlet", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        return urlopen(Request(url, headers=headers), timeout=TIMEOUT_S)
    except HTTPError as error:
        error.close()
        if start and error.code == 416:
            return None
        if error.code in (408, 429) or error.code >= 500:
            raise _CutError(f"the server answers {error.code} {error.reason}") from error
        raise _RefusedError(f"the server answers {error.code} {error.reason}") from error
    except URLError as error:
        raise _CutError(str(error.reason)) from error
    except (OSError, HTTPException) as error:
        raise _CutError(str(error) or type(error).__name__) from error
    except ValueError as error:  # An address that cannot be parsed, for example with a space in it.
        raise _RefusedError(str(error)) from error


def _continues(response: HTTPResponse, start: int) -> bool:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return response.status == 206 and match is not None and int(match[1]) == start


def _copy(response: HTTPResponse, file: BinaryIO, done: int, total: int | None, progress: Progress) -> int:
    progress(done, total)
    while chunk := _read(response):
        file.write(chunk)
        done += len(chunk)
        progress(done, total)
    return done


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _CutError(str(error) or type(error).__name__) from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _silent(done_bytes: int, total_bytes: int | None) -> None:
    """Report nothing."""
