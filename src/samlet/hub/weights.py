"""The weights cache: official files, content-addressed, downloaded only when a model is asked for by name.

    <cache>/blobs/sha256-<hex>      a file under the hash of its content
    <cache>/refs/<file name>        the hash of the file that a model uses

The cache is `SAMLET_CACHE`, or the platform's cache folder. `SAMLET_MIRROR` holds base addresses, separated by commas,
that are tried before the official one. Bytes that do not match the published sha256 are never used.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from samlet.errors import UnknownModelError, WeightsError
from samlet.files import make_folder, sha256_of, write_aside
from samlet.hub.download import Progress, download
from samlet.models.registry import MODELS, get_spec
from samlet.spec import ModelSpec

CACHE_VARIABLE = "SAMLET_CACHE"
MIRROR_VARIABLE = "SAMLET_MIRROR"


def cache_folder() -> Path:
    """Return the cache folder, which need not exist yet."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "samlet" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "samlet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "samlet"


def find(spec: ModelSpec) -> Path | None:
    """Return the cached weights of a model, unchecked, or None if they are not here."""
    digest = _digest(spec)
    if digest is None:
        return None
    blob = _blob(digest)
    return blob if blob.is_file() else None


def is_official(spec: ModelSpec) -> bool:
    """Return whether the weights that a model uses here are the published ones, not a file imported in their place."""
    return spec.checkpoint is not None and _digest(spec) == spec.checkpoint.sha256


def fetch(spec: ModelSpec, progress: Progress | None = None) -> Path:
    """Return the weights of a model, verified; download them if they are not here or damaged.

    `progress(done_bytes, total_bytes)` is called during a download. Raises `WeightsError` when no source has it.
    """
    blob = find(spec)
    if blob is not None:
        if sha256_of(blob) == _digest(spec):
            return blob
        _forget_damaged(spec, blob)
    return _download(spec, progress)


def sources(spec: ModelSpec) -> tuple[str, ...]:
    """Return the addresses of a model's file in the order they are tried, the mirrors first."""
    if spec.checkpoint is None:
        return ()
    mirrors = [base.strip().rstrip("/") for base in os.environ.get(MIRROR_VARIABLE, "").split(",") if base.strip()]
    return (*(f"{base}/{spec.checkpoint.file_name}" for base in mirrors), *spec.checkpoint.urls)


def import_file(path: Path, model: str | None = None) -> tuple[ModelSpec, Path]:
    """Copy a weights file into the cache; return the model it belongs to and the cached path.

    An official file is recognized by its sha256. Any other file needs `model`, and is used for that model from now on.
    """
    if not path.is_file():
        raise WeightsError(f'There is no file "{path}" to import.')
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise WeightsError(f'Cannot read "{path}": {error.strerror or error}.') from error
    spec = _owner(path, digest, model)
    _store(path, digest)
    _remember(spec, digest)
    return spec, _blob(digest)


def cached_bytes() -> int:
    """Return how many bytes the cached files take."""
    blobs = cache_folder() / "blobs"
    return sum(path.stat().st_size for path in blobs.iterdir()) if blobs.is_dir() else 0


def _owner(path: Path, digest: str, model: str | None) -> ModelSpec:
    official = next((spec for spec in MODELS if spec.checkpoint and spec.checkpoint.sha256 == digest), None)
    if model is None:
        if official is None:
            raise UnknownModelError(
                f'"{path}" is not an official file (sha256 {digest[:12]}…): name its model with --model.'
            )
        return official
    spec = get_spec(model)
    if official is not None and official.name != spec.name:
        raise WeightsError(f'"{path}" is the official file of {official.name}, not of {spec.name}.')
    return spec


def _store(path: Path, digest: str) -> None:
    make_folder(_blob(digest).parent)
    with write_aside(_blob(digest)) as aside:
        shutil.copyfile(path, aside)


def _download(spec: ModelSpec, progress: Progress | None) -> Path:
    remedy = f"import a file with `samlet models import FILE --model {spec.name}`"
    if spec.checkpoint is None:
        raise WeightsError(f"{spec.name} has no published weights: {remedy}.")
    if not spec.checkpoint.sha256:
        urls = " or ".join(spec.checkpoint.urls)
        raise WeightsError(f"no hash of {spec.checkpoint.file_name} is published: fetch it from {urls} and {remedy}.")
    blob = _blob(spec.checkpoint.sha256)
    make_folder(blob.parent)
    download(sources(spec), blob, spec.checkpoint.sha256, progress)
    _remember(spec, spec.checkpoint.sha256)
    return blob


def _forget_damaged(spec: ModelSpec, blob: Path) -> None:
    if spec.checkpoint is None or _digest(spec) != spec.checkpoint.sha256:
        raise WeightsError(f"the imported weights of {spec.name} are damaged ({blob}): import the file again.")
    blob.unlink()


def _digest(spec: ModelSpec) -> str | None:
    """The hash a model's weights should have: what was imported for it, else the official one."""
    ref = _ref(spec)
    if ref.is_file():
        text = ref.read_text(encoding="utf-8").strip()
        if not re.fullmatch("[0-9a-f]{64}", text):
            raise WeightsError(f'"{ref}" does not hold a sha256: delete it, then pull or import {spec.name} again.')
        return text
    return spec.checkpoint.sha256 if spec.checkpoint else None


def _remember(spec: ModelSpec, digest: str) -> None:
    make_folder(_ref(spec).parent)
    with write_aside(_ref(spec)) as aside:
        aside.write_text(digest + "\n", encoding="utf-8")


def _ref(spec: ModelSpec) -> Path:
    name = spec.checkpoint.file_name if spec.checkpoint else spec.name
    return cache_folder() / "refs" / name.replace(":", "-")  # Windows has no colons in names of files


def _blob(digest: str) -> Path:
    return cache_folder() / "blobs" / f"sha256-{digest}"
