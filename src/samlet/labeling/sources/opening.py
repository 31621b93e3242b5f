"""From what a user names - folders, patterns, files, URLs - to sources."""

from __future__ import annotations

from collections.abc import Sequence
from glob import has_magic
from pathlib import Path, PurePosixPath

from samlet.data.image_folder import PHOTO_SUFFIXES
from samlet.errors import DataError, InputError
from samlet.labeling.items import Source
from samlet.labeling.sources.coco_files import CocoSource
from samlet.labeling.sources.files import FileSource, FolderSource, PatternSource
from samlet.labeling.sources.manifests import ManifestSource, is_manifest
from samlet.labeling.sources.stores import find, is_url, list_files
from samlet.labeling.sources.tars import TarSource
from samlet.labeling.sources.telling import protocol_of
from samlet.reading import is_missing


def open_sources(names: Sequence[str], images: str = "", detections: str = "") -> list[Source]:
    """A source for each name, for a folder of tar shards one for each shard.

    A name is a folder (with its sub-folders), a pattern, a photo, an SA-1B shard (.tar) or a folder of them, a manifest
    (.parquet, .csv, .jsonl) or a COCO file (.json), on this machine or as a URL. `images` is where the images of
    manifests and COCO files lie; `detections` are COCO results on the images of the one COCO file.
    Raises InputError or DataError for what is not there, and for options that belong to no source.
    """
    if not names:
        raise InputError("No source is given: name a folder, a pattern, a .tar, a manifest or a COCO file.")
    listing = [name for name in names if _suffix(name) == ".json" or is_manifest(name)]
    if images and not listing:
        raise InputError("--images belongs to a manifest or a COCO file; folders and shards hold their images.")
    if detections and [_suffix(name) for name in names] != [".json"]:
        raise InputError(
            "--detections are COCO results, whose ids are those of a COCO file: give that file as the one source, or a "
            "manifest with the column boxes_xyxy."
        )
    return [source for name in names for source in _open(name, images, detections)]


def _open(name: str, images: str, detections: str) -> list[Source]:
    if _is_pattern(name):
        return [PatternSource(name)]
    suffix = _suffix(name)
    if is_manifest(name):
        find(name)
        return [ManifestSource(name, images)]
    if suffix == ".json":
        find(name)
        return [CocoSource(name, images, detections)]
    if protocol_of(name) in ("http", "https") and suffix not in (".tar", *PHOTO_SUFFIXES):
        raise InputError(f"{name}: the web lists no folders. Give a photo, a .tar or a manifest of addresses.")
    if find(name) is not None:
        return [_file(name, suffix)]
    return _folder(name)


def _file(name: str, suffix: str) -> Source:
    if suffix == ".tar":
        return TarSource(name)
    if suffix in PHOTO_SUFFIXES:
        return FileSource(name)
    raise DataError(f"{name} is no source: it is neither a folder, a photo, a .tar, a manifest nor a COCO .json.")


def _folder(name: str) -> list[Source]:
    """A folder that holds shards and no photo beside them is those shards."""
    shards = []
    for entry in list_files(name, depth=1):
        suffix = _suffix(entry.path)
        if suffix in PHOTO_SUFFIXES:
            return [FolderSource(name)]
        if suffix == ".tar":
            shards.append(entry.path)
    return [TarSource(shard) for shard in shards] or [FolderSource(name)]


def _is_pattern(name: str) -> bool:
    if protocol_of(name) in ("http", "https") or not has_magic(name):
        return False
    return is_url(name) or is_missing(Path(name))


def _suffix(name: str) -> str:
    return PurePosixPath(name.partition("?")[0] if is_url(name) else name).suffix.lower()
