"""Weights that say what they are of: `samlet train` writes the spec of a model with classes of your own into the file.

A .safetensors file opens with a table of its tensors, where such a text has its place; reading it needs no torch.
"""

from __future__ import annotations

import json
from pathlib import Path

from samlet.errors import CheckpointError, ModelError
from samlet.reading import is_missing, read_safetensors_metadata, reading
from samlet.spec import ModelSpec

KEY = "samlet.spec"


def spec_text(spec: ModelSpec) -> dict[str, str]:
    """What to store beside the tensors of a file."""
    return {KEY: json.dumps(spec.to_json())}


def trained_spec(file: Path) -> ModelSpec | None:
    """The spec that a weights file holds, or None where there is none; CheckpointError if it is damaged."""
    if file.suffix.lower() != ".safetensors" or is_missing(file):
        return None
    text = read_safetensors_metadata(file, CheckpointError).get(KEY)
    if text is None:
        return None
    try:
        with reading(file, "the description of a model", CheckpointError):
            return ModelSpec.from_json(json.loads(text))
    except ModelError as error:
        raise CheckpointError(f"{file} describes its model wrongly: {error}") from error
