"""samlet's own routes: what can be asked of an image."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from threading import Event
from typing import Any, TypeAlias

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse

from samlet import __version__
from samlet.errors import InputError, SamletError
from samlet.models.registry import MODELS
from samlet.web.hints import Asked
from samlet.web.schemas import (
    Ask,
    Embedded,
    EverythingAsk,
    Failure,
    Health,
    Info,
    MaskAnswers,
    PredictAsk,
    ProjectImage,
)
from samlet.web.service import Service
from samlet.web.waiting import Result, result_for

ImageBytes: TypeAlias = Callable[[str], bytes]
_FAILURES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Failure, "description": "What is wrong with the request, in one sentence."},
    429: {"model": Failure, "description": "Too many wait: ask again after `Retry-After` seconds."},
}
_IMAGE_BODY = {
    "requestBody": {
        "required": True,
        "description": "The bytes of an image file: JPEG, PNG, TIFF, WebP, BMP, GIF, AVIF. Or an image of the project.",
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": ProjectImage.model_json_schema()},
        },
    }
}
_NDJSON: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Progress, then the masks.",
        "content": {"application/x-ndjson": {"schema": {"type": "string"}}},
    }
}


def api_routes(service: Service, image_bytes: ImageBytes | None = None) -> APIRouter:
    """The routes of a service: /health and /api/…. `image_bytes` reads the file of a project's image by its id."""
    router, routes = APIRouter(responses=_FAILURES), _Routes(service, image_bytes)
    router.add_api_route("/health", routes.health, response_model=Health)
    router.add_api_route("/api/info", routes.info, response_model=Info)
    router.add_api_route(
        "/api/embed", routes.embed, methods=["POST"], response_model=Embedded, openapi_extra=_IMAGE_BODY
    )
    router.add_api_route("/api/predict", routes.predict, methods=["POST"], response_model=MaskAnswers)
    router.add_api_route("/api/segment", routes.segment, methods=["POST"], response_model=MaskAnswers)
    router.add_api_route(
        "/api/everything", routes.everything, methods=["POST"], response_class=StreamingResponse, responses=_NDJSON
    )
    return router


class _Routes:
    """The routes as methods; their docstrings are the documentation."""

    def __init__(self, service: Service, image_bytes: ImageBytes | None) -> None:
        self._service, self._settings, self._image_bytes = service, service.settings, image_bytes

    async def health(self) -> Any:
        """Whether the server takes requests."""
        return {"status": "STOPPING" if self._service.stopping.is_set() else "UP"}

    async def info(self) -> Any:
        """Which model answers, and what may be sent."""
        return {
            "version": __version__,
            "model": self._service.model.spec.name,
            "models": [spec.name for spec in MODELS if spec.task == "promptable"],
            "limits": {"body_bytes": self._settings.body_bytes, "pixels": self._settings.pixels},
            "page": self._settings.page is not None,
        }

    async def embed(self, request: Request) -> Any:
        """Encode an image, so that it can be asked about. The same image again costs nothing."""
        body = await request.body()
        if _is_json(request):
            body = await asyncio.to_thread(self._image_of_project, body)
        kept = await self._result(request, self._service.embed(body))
        return {"embedding": kept.key, "size": kept.embedding.frame.size_hw}

    async def predict(self, request: Request, ask: PredictAsk) -> Response:
        """The network's own answer to a prompt, or all candidates: quick, for hovering."""
        kept = self._service.kept(ask.embedding)
        future = self._service.predict(kept, _asked(ask), multimask=ask.multimask)
        return JSONResponse(await self._result(request, future))

    async def segment(self, request: Request, ask: Ask) -> Response:
        """A clean mask with sharp edges, then the network's candidates, best first."""
        future = self._service.segment(self._service.kept(ask.embedding), _asked(ask))
        return JSONResponse(await self._result(request, future))

    async def everything(self, ask: EverythingAsk) -> Response:
        """Find everything, without prompts. Lines of JSON: `{"done", "total"}` as it goes, `{"masks"}` at the end.

        Closing the connection ends the work. A failure on the way is a last line `{"error"}`.
        """
        work = EverythingStream(self._service, ask)
        return StreamingResponse(work.lines(), media_type="application/x-ndjson")

    def _image_of_project(self, body: bytes) -> bytes:
        try:
            named = ProjectImage.model_validate_json(body)
        except ValidationError:
            raise InputError('Send the bytes of an image file, or {"project_image": ID} as JSON.') from None
        if self._image_bytes is None:
            raise InputError("There is no project here: send the bytes of an image file.")
        return self._image_bytes(named.project_image)

    async def _result(self, request: Request, future: Future[Result]) -> Result:
        return await result_for(request, future, self._settings.answer_seconds)


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"


def _asked(ask: Ask) -> Asked:
    return Asked(ask.points, ask.labels, ask.box, ask.hint)


class EverythingStream:
    """Everything mode as lines of JSON; it stops when the lines are not read any more."""

    def __init__(self, service: Service, ask: EverythingAsk) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()  # None: there is a result
        self._stop = Event()
        options = ask.model_dump(exclude={"embedding"})
        future = service.everything(service.kept(ask.embedding), options, self._progress, self._stop)
        self._result = asyncio.wrap_future(future)
        self._result.add_done_callback(lambda _: self._lines.put_nowait(None))

    def _progress(self, done: int, total: int) -> None:
        self._loop.call_soon_threadsafe(self._lines.put_nowait, {"done": done, "total": total})

    async def lines(self) -> AsyncIterator[bytes]:
        """Progress as it comes, then the masks or the error."""
        try:
            while (progress := await self._lines.get()) is not None:
                yield _line(progress)
            yield await asyncio.to_thread(_line, self._last())
        finally:
            self._stop.set()
            self._result.cancel()  # so that nobody misses its error

    def _last(self) -> dict[str, Any]:
        error = self._result.exception()
        if error is None:
            return self._result.result()
        if isinstance(error, SamletError):
            return {"error": str(error)}
        raise error


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
