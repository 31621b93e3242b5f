"""An exported model on disk: one folder with a manifest and, for a promptable model, five graphs.

    encoder.onnx    pixels → image_embeddings
    projector.onnx  image_embeddings and at most one mask hint → what all prompts of the image share
    decoder.onnx    those and the tokens of P prompts → iou, mask_tokens, and each prompt's image in pieces (`PIECES`)
    lone.onnx       image_embeddings, at most one hint and the tokens of one prompt → iou, mask_tokens, upscaled: all
                    that projector and decoder do, quicker for a few prompts; older artifacts have none
    upscaler.onnx   the pieces and mask_tokens → logits
    manifest.json   the ModelSpec, the precision of the stored weights, the sha256 of each graph
    parity.json     how far the graphs are from the torch model they were made from (for people)

A model for classification or semantic segmentation is one graph, `network.onnx`: pixels → logits.

It knows files and hashes, not what runs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samlet.errors import BackendError, ModelError
from samlet.files import sha256_of
from samlet.reading import is_missing, reading
from samlet.spec import ModelSpec

ENCODER, PROJECTOR, DECODER, UPSCALER = "encoder.onnx", "projector.onnx", "decoder.onnx", "upscaler.onnx"
GRAPHS = (ENCODER, PROJECTOR, DECODER, UPSCALER)
LONE = "lone.onnx"
NETWORK = "network.onnx"
UPSCALED = "upscaled"  # of what prompts share, the array that the upscaler reads
PIECES = ("weights", "vectors", "scale")
MANIFEST = "manifest.json"
PARITY = "parity.json"


@dataclass(frozen=True)
class Artifact:
    """A folder whose graphs are exactly those its manifest was written for."""

    folder: Path
    spec: ModelSpec
    has_lone: bool = False

    @classmethod
    def open(cls, folder: Path) -> Artifact:
        """Read the manifest and verify every graph by its sha256; BackendError says which file is at fault.

        Hashing costs 10 ms for a model of 10 MB, and a flipped bit in a weight shows in no other way.
        """
        manifest = read_manifest(folder)
        try:
            spec = ModelSpec.from_json(manifest)
        except ModelError as error:
            raise BackendError(f"{folder / MANIFEST} is damaged. {error}") from error
        digests = manifest.get("files")
        digests = digests if isinstance(digests, Mapping) else {}
        for name in graphs_of(spec, lone=LONE in digests):
            _verify(folder / name, digests.get(name))
        return cls(folder, spec, LONE in digests)


def graphs_of(spec: ModelSpec, *, lone: bool) -> tuple[str, ...]:
    """The graph files of a model, by its task, with the one for lone prompts or without."""
    if spec.task != "promptable":
        return (NETWORK,)
    return (*GRAPHS, LONE) if lone else GRAPHS


def manifest_record(folder: Path, spec: ModelSpec, precision: str) -> dict[str, Any]:
    """The content of manifest.json for the graphs that lie in `folder`."""
    names = graphs_of(spec, lone=(folder / LONE).exists())
    files = {name: sha256_of(folder / name) for name in names}
    return spec.to_json() | {"precision": precision, "files": files}


def precision_of(folder: Path) -> str:
    """In which precision an artifact's encoder is; BackendError as for `read_manifest`."""
    return str(read_manifest(folder).get("precision", "float32"))


def weights_of(folder: Path) -> str | None:
    """What identifies the weights of an artifact's encoder, or of its network; BackendError as for `read_manifest`."""
    files = read_manifest(folder).get("files")
    if not isinstance(files, dict):
        return None
    return next((str(files[name]) for name in (ENCODER, NETWORK) if name in files), None)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The content of a folder's manifest.json, unchecked; BackendError if there is none, or it cannot be read."""
    path = folder / MANIFEST
    if is_missing(path):
        raise BackendError(f"{folder} is no exported model: it has no {MANIFEST}.")
    with reading(path, "the manifest of an exported model", BackendError):
        manifest = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(manifest, dict):
        raise BackendError(f"{path} is damaged: export the model again.")
    return manifest


def _verify(path: Path, expected: Any) -> None:
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise BackendError(f"{path} cannot be read ({error.strerror}): export the model again.") from error
    if digest != expected:
        raise BackendError(
            f"{path} is damaged: its sha256 is {digest[:12]}… and not that of the manifest; "
            "export the model or install samlet again."
        )
