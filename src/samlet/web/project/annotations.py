"""What is marked on a photo, as a file for each photo: written aside and renamed, so that a kill leaves the old one.

A file holds the layers as the page sends them, but their masks as COCO's compressed run-length codes. Its revision
counts savings: who saves says which one was changed, and is refused if somebody else was quicker.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from samlet.data.fields import load_json
from samlet.errors import DataError, SamletError
from samlet.files import forget, make_folder, write_aside
from samlet.geometry.rle import Rle, from_json, to_counts

_EMPTY: dict[str, Any] = {"revision": 0, "done": False, "layers": []}


class StaleError(SamletError):
    """Somebody else saved the photo meanwhile."""


@dataclass(frozen=True)
class Summary:
    """What a list of photos tells of one: how far it is, and how many masks it has."""

    state: str
    masks: int


_NEW = Summary("new", 0)


class AnnotationFiles:
    """The annotations of all photos in a folder, a JSON file for each id. Safe to use from many threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._summaries: dict[str, Summary] = {}

    def summary(self, photo: str) -> Summary:
        """What is known of a photo, without its masks."""
        with self._lock:
            if photo not in self._summaries:
                self._summaries[photo] = _summary(self._read(photo))
            return self._summaries[photo]

    def load(self, photo: str) -> dict[str, Any]:
        """Revision, whether it is done, and the layers with compressed codes; nothing of a photo never saved.

        DataError for a file that is damaged, which it names.
        """
        with self._lock:
            return self._read_all(photo)

    def save(self, photo: str, name: str, revision: int, done: bool, layers: list[dict[str, Any]]) -> int:
        """Save a photo's layers (codes compressed) and return the new revision; StaleError if it is not `revision`."""
        with self._lock:
            current = self._read(photo)["revision"]
            if current != revision:
                raise StaleError(f"{name} was saved by somebody else meanwhile (revision {current}, yours {revision}).")
            record = {"image": name, "revision": revision + 1, "done": done, "layers": layers}
            self._write(photo, record)
            return revision + 1

    def change(self, photo: str, name: str, add: list[dict[str, Any]]) -> int:
        """Put layers below those that are there, whatever the revision; returns how many were new."""
        with self._lock:
            record = self._read_all(photo)
            known = {_key(layer) for layer in record["layers"]}
            new = [layer for layer in add if _key(layer) not in known]
            if new:
                changed = {"revision": record["revision"] + 1, "layers": [*record["layers"], *new]}
                self._write(photo, {"image": name, **record, **changed})
            return len(new)

    def rename_label(self, photos: Mapping[str, str], old: str, new: str) -> None:
        """Give all layers of one label another one; `photos` are ids and names."""
        for photo, name in photos.items():
            with self._lock:
                if self._summaries.get(photo, None) == _NEW:
                    continue
                record = self._read(photo)
                labels = [layer["label"] for layer in record["layers"]]
                if old in labels:
                    layers = [
                        {**layer, "label": new if label == old else label}
                        for layer, label in zip(record["layers"], labels, strict=True)
                    ]
                    self._write(photo, {"image": name, **record, "revision": record["revision"] + 1, "layers": layers})

    def remove(self, photo: str) -> None:
        """Forget all that is marked on a photo."""
        with self._lock:
            forget(self._path(photo))
            self._summaries.pop(photo, None)

    def _path(self, photo: str) -> Path:
        return self._folder / f"{photo}.json"

    def _read(self, photo: str) -> dict[str, Any]:
        path = self._path(photo)
        if not path.exists():
            return dict(_EMPTY)
        record = load_json(path)
        if not _is_record(record):
            raise DataError(f"{path} is no file of samlet's annotations: move it away to mark its photo anew.")
        return record

    def _read_all(self, photo: str) -> dict[str, Any]:
        """With a look at the codes of the masks too."""
        record = self._read(photo)
        for layer in record["layers"]:
            for code in (layer["rle"], *_strokes(layer)):
                try:
                    from_json(code)
                except DataError as error:
                    raise DataError(f"{self._path(photo)}: {error}") from error
        return record

    def _write(self, photo: str, record: dict[str, Any]) -> None:
        make_folder(self._folder)
        with write_aside(self._path(photo)) as aside:
            aside.write_text(json.dumps(record), encoding="utf-8")
        self._summaries[photo] = _summary(record)


def packed(rle: Mapping[str, Any]) -> dict[str, Any]:
    """A code as it is stored. DataError if it is damaged."""
    code = from_json(rle)
    return {"size": list(code["size"]), "counts": code["counts"].decode("ascii")}


def unpacked(rle: Mapping[str, Any]) -> dict[str, Any]:
    """A stored code as the page takes it: its run lengths."""
    code = from_json(rle)
    return {"size": list(code["size"]), "counts": to_counts(code)}


def stored_code(layer: Mapping[str, Any]) -> Rle:
    """The mask of a stored layer."""
    return from_json(layer["rle"])


def _is_record(record: Any) -> bool:
    """Whether it has the form of what is saved; the codes of its masks are not looked at."""
    if not (isinstance(record, dict) and isinstance(record.get("layers"), list)):
        return False
    numbered = type(record.get("revision")) is int and isinstance(record.get("done"), bool)
    return numbered and all(map(_is_layer, record["layers"]))


def _is_layer(layer: Any) -> bool:
    if not (isinstance(layer, dict) and isinstance(layer.get("label"), str) and isinstance(layer.get("rle"), dict)):
        return False
    iou, strokes = layer.get("iou"), layer.get("strokes")
    scored = iou is None or (isinstance(iou, (int, float)) and not isinstance(iou, bool))
    drawn = strokes is None or (isinstance(strokes, dict) and all(isinstance(each, dict) for each in _strokes(layer)))
    return scored and drawn


def _strokes(layer: Mapping[str, Any]) -> list[Any]:
    """The codes that a brush left; what is empty is none."""
    return [code for code in (layer.get("strokes") or {}).values() if code]


def _summary(record: Mapping[str, Any]) -> Summary:
    layers = len(record["layers"])
    return Summary("done" if record["done"] else "started" if layers else "new", layers)


def _key(layer: Mapping[str, Any]) -> tuple[str, str]:
    return layer["label"], layer["rle"]["counts"]
