"""OpenCV, imported in this one place: where it is missing or broken, one sentence names it and what helps.

The packages `opencv-python`, `opencv-python-headless` and their `contrib` twins all install the folder `cv2`. Where two
are installed, removing either takes the folder away from the other.
"""

from __future__ import annotations

from importlib.metadata import distributions

from samlet.errors import BackendError

__all__ = ["cv2", "opencv_packages"]

HEADLESS = "opencv-python-headless"


def opencv_packages() -> list[str]:
    """The installed packages that bring a `cv2`, sorted; more than one is one too many."""
    names = {str(package.metadata["Name"]).lower().replace("_", "-") for package in distributions()}
    return sorted(name for name in names if name.startswith(("opencv-python", "opencv-contrib-python")))


def _remedy() -> str:
    others = [name for name in opencv_packages() if name != HEADLESS]
    removal = f"pip uninstall {' '.join(others)}, then " if others else ""
    return f"run {removal}pip install --force-reinstall {HEADLESS}"


try:
    import cv2

    cv2.imencode  # noqa: B018 - what is left of a removed package is a folder without it
except (ImportError, AttributeError) as error:
    reason = str(error).partition("\n")[0]
    raise BackendError(f"OpenCV, the module cv2, cannot be imported ({reason}): {_remedy()}.") from error
