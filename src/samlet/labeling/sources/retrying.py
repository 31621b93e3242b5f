"""Asking a store again: what passes by itself is tried again, later and later and never for ever; what stays is not.

Libraries of stores tell failures in many types. What counts is a status of HTTP, an errno, or a connection that broke.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

Answer = TypeVar("Answer")

ATTEMPTS = 8
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0
_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_PASSING_ERRNO = frozenset(
    {errno.EIO, errno.EBUSY, errno.EAGAIN, errno.ETIMEDOUT, errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE}
    | {getattr(errno, "EREMOTEIO", errno.EIO), getattr(errno, "ESTALE", errno.EIO), errno.ENETUNREACH}
)
_STAYING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, FileExistsError)
# Of aiohttp and botocore, which are not imported for their names: a connection or a body that broke off.
_BROKEN_OFF = frozenset(
    {"ClientPayloadError", "ClientConnectionError", "ClientOSError", "ServerDisconnectedError", "IncompleteRead"}
    | {"IncompleteReadError", "HTTPClientError", "ResponseParserError", "FSTimeoutError", "EndpointConnectionError"}
)
_sleep = time.sleep


class CutError(Exception):
    """A body ended before its length."""


def retried(ask: Callable[[], Answer], attempts: int = ATTEMPTS) -> Answer:
    """ask(), again after a pause while it fails in a way that passes; the last failure comes out as it is.

    Pauses double, with some chance in them, so that a thousand workers do not come back together. With `ATTEMPTS` they
    are half a minute in all.
    """
    for pause_s in _pauses(attempts):
        try:
            return ask()
        except Exception as error:
            if not is_passing(error):
                raise
            _sleep(pause_s)
    return ask()


def is_passing(error: BaseException) -> bool:
    """Whether the same question may be answered in a moment."""
    if isinstance(error, CutError):
        return True
    if isinstance(error, _STAYING):
        return False
    if _BROKEN_OFF & {kind.__name__ for kind in type(error).__mro__}:
        return True  # first, for aiohttp gives a body that broke off the status 400
    status = status_of(error)
    if status is not None:
        return status in _PASSING_STATUS
    if isinstance(error, (ConnectionError, TimeoutError)):
        return True
    return isinstance(error, OSError) and error.errno in _PASSING_ERRNO


def status_of(error: BaseException | None) -> int | None:
    """The status of HTTP that an error of aiohttp, botocore or gcsfs tells, or the error behind it."""
    while error is not None:
        response: Any = getattr(error, "response", None)
        told = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
        for status in (told, getattr(error, "status", None), getattr(error, "code", None)):
            if isinstance(status, int) and 100 <= status < 600:
                return status
        error = error.__cause__
    return None


def _pauses(attempts: int) -> Iterator[float]:
    """One less than there are attempts."""
    for number in range(attempts - 1):
        yield min(_FIRST_PAUSE_S * 2**number, _LONGEST_PAUSE_S) * random.uniform(0.75, 1.25)
