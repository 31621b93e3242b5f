"""Routes that other tools' clients speak already: a module for each tool, no more than their requests and answers."""

from __future__ import annotations

from fastapi import APIRouter

from samlet.web.compat.asking import Asking
from samlet.web.compat.label_studio import label_studio_routes
from samlet.web.compat.osam import osam_routes
from samlet.web.compat.roboflow import roboflow_routes
from samlet.web.compat.x_anylabeling import x_anylabeling_routes
from samlet.web.service import Service


def compat_routes(service: Service) -> APIRouter:
    """The routes of all tools."""
    router, asking = APIRouter(), Asking(service)
    for routes in (osam_routes, label_studio_routes, roboflow_routes, x_anylabeling_routes):
        router.include_router(routes(asking))
    return router
