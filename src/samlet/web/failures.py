"""Every failure as `{"error": "one sentence"}` with the status that fits; no traceback, nothing of the body."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from samlet.errors import DataError, InputError, SamletError
from samlet.web.lanes import BusyError
from samlet.web.logs import LOGGER
from samlet.web.service import ForgottenError
from samlet.web.stopping import StopAskedError
from samlet.web.waiting import ClientGoneError, TooSlowError

CLIENT_CLOSED = 499  # nginx's number for it; nobody is there to read it
_STATUS: dict[type[SamletError], int] = {
    InputError: 422,
    DataError: 422,
    ForgottenError: 404,
    BusyError: 429,
    ClientGoneError: CLIENT_CLOSED,
    TooSlowError: 503,
    StopAskedError: 503,
}
_logger = logging.getLogger(LOGGER)


def failure(status: int, sentence: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """A failure as it is sent."""
    return JSONResponse({"error": sentence}, status, headers)


def answer_failures(app: FastAPI) -> None:
    """Let the application answer with `failure`, whatever goes wrong."""
    app.add_exception_handler(SamletError, _of_samlet)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(ClientDisconnect, _of_client_gone)
    app.add_exception_handler(Exception, _of_defect)


async def _of_samlet(_: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS.items() if isinstance(error, kind)), 500)
    headers = {"Retry-After": str(error.retry_seconds)} if isinstance(error, BusyError) else None
    if status == 500:
        _logger.error("failed", extra={"error": str(error)})
    return failure(status, str(error), headers)


async def _of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return failure(422, validation_sentence(error.errors()))


def validation_sentence(errors: Any) -> str:
    """The first complaint of pydantic, with the place it is about, without the value: that may be of any size."""
    if not errors or errors[0]["type"] == "json_invalid":
        return "The body is no JSON that can be read."
    place = [part for part in errors[0]["loc"] if part not in ("body", "query", "path")]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")[:80]
    words = str(errors[0]["msg"]).rstrip(".")[:200]
    return f"{name or 'The body'}: {words}. {'' if len(errors) == 1 else f'{len(errors) - 1} more are wrong. '}".strip()


async def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = str(error.detail)
    return failure(error.status_code, sentence if sentence.endswith(".") else f"{sentence}.", dict(error.headers or {}))


async def _of_client_gone(_: Request, error: Exception) -> Response:
    return failure(CLIENT_CLOSED, str(error) or "The client has closed the connection.")


async def _of_defect(_: Request, error: Exception) -> Response:
    _logger.error("defect", exc_info=error)
    return failure(500, f"This is a defect of samlet, please report it ({type(error).__name__}).")
