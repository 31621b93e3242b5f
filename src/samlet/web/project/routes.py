"""The routes of a project. They run in threads: a photo that is read holds up nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.background import BackgroundTask

from samlet.files import forget
from samlet.web.failures import failure
from samlet.web.project.annotations import StaleError
from samlet.web.project.labels import Label
from samlet.web.project.project import Project
from samlet.web.project.schemas import (
    AnnotationsBody,
    ExportBody,
    ImageEntry,
    Imported,
    ProjectBody,
    ProjectEntry,
    Saved,
)
from samlet.web.schemas import Failure

FileName = Annotated[str, Query(min_length=1, max_length=255, description="What the file is called.")]
FileBytes = Annotated[bytes, Body(media_type="application/octet-stream")]
MaxSide = Annotated[int | None, Query(ge=16, le=20_000, description="Longest side in pixels; none: full size.")]
_FAILURES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Failure, "description": "What is wrong with the request, in one sentence."},
}
_PICTURE: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}}, 304: {"description": "Unchanged."}}
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/zip": {}, "application/json": {}}}}


def project_routes(project: Project) -> APIRouter:
    """The routes by which the page reads and saves a project."""
    router, routes = APIRouter(responses=_FAILURES, tags=["project"]), _Routes(project)
    one = "/api/images/{image}"
    router.add_api_route("/api/project", routes.describe, response_model=ProjectEntry)
    router.add_api_route("/api/project", routes.change, methods=["PUT"], response_model=ProjectEntry)
    router.add_api_route("/api/images", routes.add, methods=["POST"], response_model=ImageEntry)
    router.add_api_route(one, routes.entry, response_model=ImageEntry)
    router.add_api_route(one, routes.remove, methods=["DELETE"], status_code=204)
    router.add_api_route(f"{one}/pixels", routes.pixels, response_class=Response, responses=_PICTURE)
    router.add_api_route(f"{one}/annotations", routes.annotations, response_model=AnnotationsBody)
    router.add_api_route(f"{one}/annotations", routes.save, methods=["PUT"], response_model=Saved)
    router.add_api_route("/api/export", routes.export, methods=["POST"], response_class=FileResponse, responses=_FILE)
    router.add_api_route("/api/import", routes.bring_in, methods=["POST"], response_model=Imported)
    return router


class _Routes:
    """The routes as methods; their docstrings are the documentation."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def describe(self) -> Any:
        """The name, the classes and the images of the project."""
        return self._project.describe()

    def change(self, body: ProjectBody) -> Any:
        """Other classes; one of them may be renamed on all images."""
        renamed = (body.renamed.from_, body.renamed.to) if body.renamed else None
        self._project.set_labels([Label(label.name, label.color) for label in body.labels], renamed)
        return self._project.describe()

    def add(self, name: FileName, body: FileBytes) -> Any:
        """Add an image; the body is the file."""
        return self._project.add(name, body)

    def entry(self, image: str) -> Any:
        """An image, with its size."""
        return self._project.entry(image)

    def remove(self, image: str) -> Response:
        """Remove an image that was added here, with all that is marked on it."""
        self._project.remove(image)
        return Response(status_code=204)

    def pixels(
        self, image: str, max_side: MaxSide = None, if_none_match: Annotated[str | None, Header()] = None
    ) -> Response:
        """The upright image as a browser shows it."""
        picture = self._project.picture(image, max_side)
        headers = {"ETag": picture.mark, "Cache-Control": "private, no-cache"}
        if if_none_match == picture.mark:
            return Response(status_code=304, headers=headers)
        return Response(picture.content, media_type=picture.media_type, headers=headers)

    def annotations(self, image: str) -> Response:
        """What is marked on an image."""
        return JSONResponse(self._project.annotations(image))

    def save(self, image: str, body: AnnotationsBody) -> Response:
        """Save what is marked on an image; 409 if somebody else did since `revision`."""
        layers = [layer.model_dump(exclude_none=True) for layer in body.layers]
        try:
            return JSONResponse({"revision": self._project.save(image, body.revision, body.done, layers)})
        except StaleError as error:
            return failure(409, str(error))

    def export(self, body: ExportBody) -> Response:
        """Masks as files of other programs: one file as it is, several as a zip."""
        name, path = self._project.export(body.formats, body.images)
        return FileResponse(path, filename=name, background=BackgroundTask(forget, Path(path)))

    def bring_in(self, name: FileName, body: FileBytes) -> Response:
        """Bring in annotations: a COCO, labelme or SA-1B file; the body is the file."""
        return JSONResponse(self._project.import_file(name, body))
