"""How bodies come in: bounds on bytes, values and time, so that no client holds up another.

Middleware: bodies are counted as they arrive, whatever Content-Length says. Heads and answers are `connections`'.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samlet.web.failures import failure
from samlet.web.settings import Settings

MOST_VALUES = 20_000
MOST_VALUES_OF_PROJECT = 5_000_000  # run lengths of all masks of a photo
_IMPORT = "/api/import"  # of a JSON file, whatever the client calls it
_OF_PROJECT = ("/api/images", _IMPORT)
_MARKS = (b",", b"[", b"{")


class _Refused(HTTPException):
    """An HTTPException, because FastAPI lets those pass where it reads a body."""

    def __init__(self, status: int, sentence: str) -> None:
        # The rest of the body may still be on its way, so the connection cannot be used again.
        super().__init__(status, sentence, {"Connection": "close"} | ({"Retry-After": "1"} if status == 429 else {}))


class Intake:
    """Answers 413, 408 or 429 for bodies that are too large, too slow, or too many at once."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._bytes = 0  # of the bodies of all requests that are being answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, started = _Body(self, receive, scope), False

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            self._check_length(Headers(scope=scope))
            await self._app(scope, body.receive, noted)
        except _Refused as refused:
            if started:
                raise
            await failure(refused.status_code, refused.detail, dict(refused.headers or {}))(scope, receive, noted)
        finally:
            self._bytes -= body.bytes

    def _check_length(self, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise _Refused(400, "Content-Length must be a whole number.")
        if len(length) > 18 or int(length) > self._settings.body_bytes:
            raise _Refused(413, self.too_large)

    @property
    def too_large(self) -> str:
        """The sentence for a body that is too large."""
        return f"The body is larger than {self._settings.body_bytes / 1e6:g} MB: send a smaller file."

    def take(self, size: int, so_far: int) -> None:
        """Count bytes that have come in; raises if they are too many, of one body or of all."""
        if so_far > self._settings.body_bytes:
            raise _Refused(413, self.too_large)
        if self._bytes + size > self._settings.bodies_bytes:
            raise _Refused(429, "The server takes in too much at once: ask again in a second.")
        self._bytes += size

    def check_values(self, path: str, values: int) -> None:
        """Refuse JSON of more values than a route has use for: a parser makes fifty bytes of each, or a thousand."""
        most = MOST_VALUES_OF_PROJECT if path.startswith(_OF_PROJECT) else MOST_VALUES
        if values > most:
            raise _Refused(413, f"The body holds more than {most:,} values: send less at once.")

    @property
    def receive_seconds(self) -> float:
        """How long a body may take."""
        return self._settings.receive_seconds


class _Body:
    """The body of one request as it comes in."""

    def __init__(self, intake: Intake, receive: Receive, scope: Scope) -> None:
        self._intake, self._receive = intake, receive
        self._path = scope["path"]
        self._is_json = "json" in Headers(scope=scope).get("content-type", "") or self._path == _IMPORT
        self._values = 0  # those of JSON are parted by commas, or lie in one another
        self._deadline: float | None = None
        self._complete = False
        self.bytes = 0

    async def receive(self) -> Message:
        """ASGI's receive. Once the body is complete, it waits as long as it takes for the client to go."""
        if self._complete:
            return await self._receive()
        loop = asyncio.get_running_loop()
        self._deadline = self._deadline or loop.time() + self._intake.receive_seconds
        try:
            message = await asyncio.wait_for(self._receive(), self._deadline - loop.time())
        except asyncio.TimeoutError:
            raise _Refused(408, f"The body took longer than {self._intake.receive_seconds:g} s to arrive.") from None
        if message["type"] == "http.request":
            size = len(message["body"])
            self._intake.take(size, self.bytes + size)
            self.bytes += size
            if self._is_json:
                self._values += sum(message["body"].count(mark) for mark in _MARKS)
                self._intake.check_values(self._path, self._values)
            self._complete = not message.get("more_body", False)
        else:
            self._complete = True
        return message
