"""The weights cache: official files, content-addressed, downloaded only when a model is asked for by name.

    <cache>/blobs/sha256-<hex>      a file under the hash of its content
    <cache>/refs/<file name>        the hash of the file that a model uses
    <cache>/checked/sha256-<hex>    size and times of a file when its hash was last found right

The cache is `SAMLET_CACHE`, or the platform's cache folder. `SAMLET_MIRROR` holds base addresses, separated by commas,
that are tried before the official one. Bytes that do not match their sha256 are never used, nor kept under it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from samlet.errors import OutputError, UnknownModelError, WeightsError
from samlet.files import make_folder, output_error, sha256_of, write_aside, write_files
from samlet.hub.download import Progress, download
from samlet.hub.folder import CACHE_VARIABLE, cache_folder, has_cache
from samlet.models.registry import MODELS, get_spec
from samlet.spec import ModelSpec

MIRROR_VARIABLE = "SAMLET_MIRROR"


def find(spec: ModelSpec) -> Path | None:
    """Return the cached weights of a model, unchecked, or None if they are not here."""
    digest = _digest(spec)
    if digest is None or not has_cache():
        return None
    blob = _blob(digest)
    with _looking():
        return blob if blob.is_file() else None


def find_checked(spec: ModelSpec) -> Path | None:
    """Return the cached weights of a model, or None if they are not here; `WeightsError` if they are damaged.

    A file is hashed once, and again when its size or a time of it changes. A damaged one is moved aside.
    """
    blob = find(spec)
    if blob is None:
        return None
    digest = _digest(spec)
    with _looking():
        if digest is None or _stamp(blob) == _state(blob):
            return blob
        if sha256_of(blob) == digest:
            _put_stamp(blob)
            return blob
    imported = spec.checkpoint is None or digest != spec.checkpoint.sha256
    remedy = "import the file" if imported else f"run `samlet models pull {spec.name}`"
    raise WeightsError(
        f"The cached weights of {spec.name} are damaged and were moved to {_quarantine(blob)}: {remedy} again."
    )


def is_official(spec: ModelSpec) -> bool:
    """Return whether the weights that a model uses here are the published ones, not a file imported in their place."""
    return spec.checkpoint is not None and _digest(spec) == spec.checkpoint.sha256


def fetch(spec: ModelSpec, progress: Progress | None = None) -> Path:
    """Return the weights of a model, verified; download them if they are not here or damaged.

    `progress(done_bytes, total_bytes)` is called during a download. Raises `WeightsError` when no source has it.
    """
    try:
        blob = find_checked(spec)
    except WeightsError:
        if not is_official(spec):
            raise
        blob = None
    return _download(spec, progress) if blob is None else blob


def sources(spec: ModelSpec) -> tuple[str, ...]:
    """Return the addresses of a model's file in the order they are tried, the mirrors first."""
    if spec.checkpoint is None:
        return ()
    mirrors = [base.strip().rstrip("/") for base in os.environ.get(MIRROR_VARIABLE, "").split(",") if base.strip()]
    for base in mirrors:
        _check_address(base)
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
    if not has_cache():
        return 0
    blobs = cache_folder() / "blobs"
    with _looking():
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
    download(sources(spec), blob, spec.checkpoint.sha256, progress, spec.checkpoint.size_bytes)
    _put_stamp(blob)
    _remember(spec, spec.checkpoint.sha256)
    return blob


def _check_address(base: str) -> None:
    try:
        parts = urlsplit(base)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that does not close, a port that is no number
        sound = False
    if not sound:
        raise WeightsError(f'{MIRROR_VARIABLE} holds "{base}", which is no http or https address: correct it.')


def _digest(spec: ModelSpec) -> str | None:
    """The hash a model's weights should have: what was imported for it, else the official one."""
    official = spec.checkpoint.sha256 if spec.checkpoint else None
    if not has_cache():
        return official
    ref = _ref(spec)
    with _looking():
        text = ref.read_text(encoding="utf-8", errors="replace").strip() if ref.is_file() else official
    if text is not None and not re.fullmatch("[0-9a-f]{64}", text):
        raise WeightsError(f'"{ref}" does not hold a sha256: delete it, then pull or import {spec.name} again.')
    return text


def _remember(spec: ModelSpec, digest: str) -> None:
    make_folder(_ref(spec).parent)
    with write_aside(_ref(spec)) as aside:
        aside.write_text(digest + "\n", encoding="utf-8")


def _ref(spec: ModelSpec) -> Path:
    name = spec.checkpoint.file_name if spec.checkpoint else spec.name
    return cache_folder() / "refs" / name.replace(":", "-")  # Windows has no colons in names of files


def _blob(digest: str) -> Path:
    return cache_folder() / "blobs" / f"sha256-{digest}"


def _stamp_path(blob: Path) -> Path:
    return cache_folder() / "checked" / blob.name


def _state(blob: Path) -> str:
    """What changes when a file is written to, by whatever means."""
    status = blob.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}\n"


def _stamp(blob: Path) -> str | None:
    """The state of a file when its hash was right."""
    stamp = _stamp_path(blob)
    return stamp.read_text(encoding="utf-8", errors="replace") if stamp.is_file() else None


def _put_stamp(blob: Path) -> None:
    stamp = _stamp_path(blob)
    with suppress(OutputError):  # a cache that others own is hashed each time
        make_folder(stamp.parent)
        write_files({stamp: _state(blob).encode()})


def _quarantine(blob: Path) -> Path:
    """Move a damaged file out of the way, where somebody may look at it; return its place."""
    damaged = blob.with_name(blob.name + ".damaged")
    try:
        blob.replace(damaged)
    except OSError as error:
        raise output_error(damaged, error) from error
    return damaged


@contextmanager
def _looking() -> Iterator[None]:
    """`WeightsError` for a cache that cannot be looked into."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise WeightsError(
            f"The cache {cache_folder()} cannot be read ({reason}): set {CACHE_VARIABLE} to a folder of your own."
        ) from error
