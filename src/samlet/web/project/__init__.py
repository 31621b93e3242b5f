"""An annotation project: photos, what is marked on them, and the routes by which the page reads and saves both."""

from samlet.web.project.project import Project
from samlet.web.project.routes import project_routes

__all__ = ["Project", "project_routes"]
