"""Downloading one file of known content: resumed after a cut, retried, checked, from the first source that has it.

Standard library only. Knows addresses and a hash; knows nothing of models or of the cache's layout.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from samlet.errors import WeightsError
from samlet.files import output_error, sha256_of
from samlet.hub.lock import locked

# Called with the bytes on the disk so far and the size of the whole file, where the server tells it.
Progress = Callable[[int, "int | None"], None]

ATTEMPTS = 4
PAUSE_S = 1.0
TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 18
STALL_S, STALL_BYTES = 60.0, 1 << 16  # a server that sends fewer bytes in that time has stalled
LARGEST_BYTES = 16 << 30  # of a file whose size is not published


@dataclass(frozen=True)
class _Wanted:
    """What is known of the file."""

    sha256: str
    size_bytes: int | None

    @property
    def most_bytes(self) -> int:
        return self.size_bytes or LARGEST_BYTES


class _RefusedError(Exception):
    """This source will not give the file, however often it is asked."""


class _CutError(Exception):
    """The connection failed or ended early: asking again may go on from there."""


def download(
    urls: Sequence[str], path: Path, sha256: str, progress: Progress | None = None, size_bytes: int | None = None
) -> None:
    """Bring the file with that `sha256` to `path` from the first of `urls` that has it; `size_bytes` if it is known.

    Only one process downloads it: others wait, and find it. Each writes a file of its own, whose hash is checked before
    it takes its place; what an interrupted download left is continued. Raises `WeightsError` with the reason of each
    source if none has the file, `OutputError` if it cannot be written.
    """
    with locked(path.with_name(f"{path.name}.lock")) as alone:
        if path.is_file() and sha256_of(path) == sha256:
            return
        part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
        if alone:
            _adopt(path, part)
        reasons = []
        for url in urls:
            try:
                _from_source(url, part, _Wanted(sha256, size_bytes), progress or _silent)
            except (_RefusedError, _CutError) as error:
                reasons.append(f"{_host(url)}: {error}")
                continue
            try:
                part.replace(path)
            except OSError as error:
                raise output_error(path, error) from error
            return
    raise WeightsError(f"The download failed ({'; '.join(reasons)}): try again, or set SAMLET_MIRROR to a copy.")


def _adopt(path: Path, part: Path) -> None:
    """Go on with the largest of what interrupted downloads left; we hold the lock, so nobody writes to them."""
    left = sorted(path.parent.glob(f"{path.name}*.part"), key=_size)
    try:
        if left:
            left.pop().replace(part)
        for other in left:
            other.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(part, error) from error


def _from_source(url: str, part: Path, wanted: _Wanted, progress: Progress) -> None:
    """Fill `part` from one source, going on after a cut, until its content has the hash."""
    if not url.lower().startswith(("http://", "https://")):
        raise _RefusedError("not an http or https address")
    resumed = _size(part) > 0
    for attempt in range(ATTEMPTS):
        try:
            _transfer(url, part, wanted, progress)
            break
        except _CutError:
            if attempt + 1 == ATTEMPTS:
                raise
            time.sleep(PAUSE_S * 2**attempt)
    if sha256_of(part) == wanted.sha256:
        return
    part.unlink()
    if not resumed:
        raise _RefusedError("the file there does not have the published sha256")
    # The old part may have come from elsewhere: this source deserves one fresh start.
    _from_source(url, part, wanted, progress)


def _transfer(url: str, part: Path, wanted: _Wanted, progress: Progress) -> None:
    start = _size(part)
    response = _open(url, start)
    if response is None:
        return
    with response:
        if start and not _continues(response, start):
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length and length.isdigit() else None
        if total is not None and total != (wanted.size_bytes or total):
            raise _RefusedError(f"the file there has {total} bytes, not {wanted.size_bytes}")
        try:
            with part.open("ab" if start else "wb") as file:
                done = _copy(response, file, start, total, wanted.most_bytes, progress)
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


def _copy(
    response: HTTPResponse, file: BinaryIO, done: int, total: int | None, most_bytes: int, progress: Progress
) -> int:
    progress(done, total)
    looked_at, looked_done = time.monotonic(), done
    while chunk := _read(response):
        file.write(chunk)
        done += len(chunk)
        progress(done, total)
        if done > most_bytes:
            file.truncate(0)
            raise _RefusedError(f"the file there has more than {most_bytes} bytes")
        if time.monotonic() - looked_at > STALL_S:
            if done - looked_done < STALL_BYTES:
                raise _CutError(f"the server sent {done - looked_done} bytes in {STALL_S:.0f} s")
            looked_at, looked_done = time.monotonic(), done
    return done


def _read(response: HTTPResponse) -> bytes:
    """What has arrived: to wait for a whole chunk is to wait for ever where it comes in drops."""
    try:
        return response.read1(CHUNK_BYTES)
    except (OSError, HTTPException) as error:
        raise _CutError(str(error) or type(error).__name__) from error


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc or url
    except ValueError:  # brackets that do not close
        return url


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _silent(done_bytes: int, total_bytes: int | None) -> None:
    """Report nothing."""
