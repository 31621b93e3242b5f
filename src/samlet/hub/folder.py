"""Where the cache is: `SAMLET_CACHE`, or the platform's folder for caches."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from platformdirs import user_cache_path

from samlet.errors import WeightsError

CACHE_VARIABLE = "SAMLET_CACHE"


def cache_folder() -> Path:
    """Return the cache folder, which need not exist yet; WeightsError if neither a home nor `SAMLET_CACHE` is known."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        try:
            return Path(chosen).expanduser()
        except RuntimeError as error:
            raise WeightsError(f'{CACHE_VARIABLE} is "{chosen}", a folder of an unknown user: correct it.') from error
    with suppress(RuntimeError):
        folder = user_cache_path("samlet", appauthor=False)
        if folder.is_absolute():
            return folder
    raise WeightsError(f"This user has no home folder for a cache: set {CACHE_VARIABLE} to a folder.")


def has_cache() -> bool:
    """Whether there is a place for a cache: a user without a home may use all that needs none."""
    try:
        cache_folder()
    except WeightsError:
        if os.environ.get(CACHE_VARIABLE):
            raise
        return False
    return True
