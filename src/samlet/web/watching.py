"""What happens, for who runs the server: a line of the log and Prometheus figures for each request."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from fastapi import APIRouter
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from samlet.web.logs import LOGGER
from samlet.web.service import Service

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 60.0)
_NO_ANSWER = 499
_logger = logging.getLogger(LOGGER)


class Figures:
    """The figures of one application, in a registry of its own."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        names = ["method", "route", "status"]
        self.requests = Counter("samlet_requests", "Requests answered.", names, registry=self.registry)
        self.seconds = Histogram(
            "samlet_request_seconds",
            "Time to the end of the answer.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.registry.register(_State(service))

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """One request that has ended. Routes and methods are those that exist: clients cannot make up series."""
        route = str(getattr(scope.get("route"), "path", "none"))
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)


class _State(Collector):
    """What a service holds at this moment."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        service = self._service
        jobs = GaugeMetricFamily("samlet_jobs", "Jobs that run or wait.", labels=["lane"])
        for lane in service.lanes:
            jobs.add_metric([lane.name], lane.jobs)
        yield jobs
        yield GaugeMetricFamily("samlet_embeddings", "Images that are kept.", len(service.embedded))
        yield GaugeMetricFamily("samlet_embeddings_bytes", "Bytes of images that are kept.", service.embedded.bytes)
        yield GaugeMetricFamily("samlet_hints_bytes", "Bytes of logits that are kept.", service.hints.bytes)
        yield CounterMetricFamily("samlet_encoded_images", "Images encoded.", service.queue.encoded)


class Watch:
    """Middleware around all others."""

    def __init__(self, app: ASGIApp, figures: Figures) -> None:
        self._app, self._figures = app, figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """An ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status, sent = time.perf_counter(), _NO_ANSWER, 0

        async def counted(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            sent += len(message.get("body", b""))

        try:
            await self._app(scope, receive, counted)
        except Exception:
            status = 500  # which is answered further out
            raise
        finally:
            seconds = time.perf_counter() - start
            self._figures.count(scope, status, seconds)
            facts = {"method": scope["method"][:16], "path": scope["path"][:200], "status": status, "bytes": sent}
            client = scope["client"][0] if scope.get("client") else None
            _logger.info("request", extra=facts | {"seconds": round(seconds, 4), "client": client})


def metrics_route(figures: Figures) -> APIRouter:
    """GET /metrics."""
    router = APIRouter()

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(generate_latest(figures.registry), media_type=CONTENT_TYPE_LATEST)

    return router
