"""Waiting for a thread's result in a request: given up when the client is gone or the time is over."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TypeVar

from starlette.requests import Request

from samlet.errors import SamletError

Result = TypeVar("Result")


class ClientGoneError(SamletError):
    """The client has closed the connection, so nobody waits for the answer."""


class TooSlowError(SamletError):
    """The answer took longer than the server allows."""


async def result_for(request: Request, future: Future[Result], seconds: float) -> Result:
    """What a future brings. ClientGoneError or TooSlowError if nobody waits any more: a job that waits is dropped.

    To be called once the body has been read.
    """
    result = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({result, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if result.done():
            return result.result()
        if gone.done():
            raise ClientGoneError("The client has closed the connection.")
        raise TooSlowError(f"The answer took longer than {seconds:g} s: ask again, or for less.")
    finally:
        gone.cancel()
        result.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
