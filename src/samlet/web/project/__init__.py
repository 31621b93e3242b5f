"""An annotation project: photos, what is marked on them, and (`routes`) how the page reads and saves both.

`Project` needs no web server.
"""

from samlet.web.project.project import Project

__all__ = ["Project"]
