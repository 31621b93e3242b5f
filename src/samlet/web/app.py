"""The application: a model and settings in, an ASGI application out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from samlet import __version__
from samlet.predictor import Predictor
from samlet.web.api import api_routes
from samlet.web.failures import answer_failures
from samlet.web.guard import Guard
from samlet.web.intake import Intake
from samlet.web.service import Service
from samlet.web.settings import Settings


def create_app(model: Predictor, *, settings: Settings | None = None, project: Any = None) -> FastAPI:
    """An application that answers for `model`; `project` adds the routes of an annotation project.

    It keeps its state in `app.state.service`, none in modules: several applications may live in one process.
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
    app.include_router(api_routes(service))
    if project is not None:
        from samlet.web.project import project_routes  # pyright: ignore[reportMissingImports]  # lands with the page

        app.include_router(project_routes(project))
    app.add_middleware(Intake, settings=service.settings)
    app.add_middleware(Guard, settings=service.settings)
    return app
