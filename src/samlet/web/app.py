"""The application: a model and settings in, an ASGI application out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from samlet import __version__
from samlet.predictor import Predictor
from samlet.web.api import api_routes
from samlet.web.compat import compat_routes
from samlet.web.docs_page import docs_routes
from samlet.web.failures import answer_failures
from samlet.web.features import feature_routes
from samlet.web.guard import Guard
from samlet.web.intake import Intake
from samlet.web.service import Service
from samlet.web.settings import Settings
from samlet.web.watching import Figures, Watch, metrics_route


def create_app(model: Predictor, *, settings: Settings | None = None, project: Any = None) -> FastAPI:
    """An application that answers for `model`; `project` adds the routes of an annotation project.

    It keeps its state in `app.state.service`, none in modules: several applications may live in one process.
    A project says the file of an image by `image_bytes(id)`, which raises a SamletError for an id it does not know.
    """
    service = Service(model, settings or Settings())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        service.close()

    app = FastAPI(
        title="samlet",
        version=__version__,
        description="Promptable segmentation: embed an image once, then ask for masks with clicks and boxes.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    answer_failures(app)
    _add_routes(app, service, project)
    # The last one is the first to see a request.
    figures = Figures(service)
    app.include_router(metrics_route(figures))
    app.add_middleware(Intake, settings=service.settings)
    app.add_middleware(Guard, settings=service.settings)
    app.add_middleware(Watch, figures=figures)
    _add_page(app, service.settings)
    return app


def _add_routes(app: FastAPI, service: Service, project: Any) -> None:
    app.include_router(api_routes(service, None if project is None else project.image_bytes))
    app.include_router(docs_routes(app))
    app.include_router(feature_routes(service))
    app.include_router(compat_routes(service))
    if project is not None:
        from samlet.web.project.routes import project_routes

        app.include_router(project_routes(project))


def _add_page(app: FastAPI, settings: Settings) -> None:
    """The page, or where there is none its stand-in; after all routes, because it takes what is left."""
    if settings.page is not None:
        app.mount("/", StaticFiles(directory=settings.page, html=True))
        return

    @app.get("/", include_in_schema=False)
    async def root() -> Response:
        return RedirectResponse("docs", 307)
