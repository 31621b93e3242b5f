"""The registry: the models samlet knows by name, as torch-free specs.

An explicit tuple, one room per family. Nothing is registered by importing, nothing heavy is imported by listing. Names
with a colon are not listed: `timm:NAME` and your own specs, `module:SPEC`.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from samlet.errors import UnknownModelError
from samlet.models.backbone_student.spec import PREFIX as SAM_PREFIX
from samlet.models.backbone_student.spec import student_spec
from samlet.models.cascadedvit import spec as cascadedvit
from samlet.models.edge_sam import spec as edge_sam
from samlet.models.efficientvit import spec as efficientvit
from samlet.models.efficientvit_m import spec as efficientvit_m
from samlet.models.efficientvit_sam import spec as efficientvit_sam
from samlet.models.mobile_sam import spec as mobile_sam
from samlet.models.own import own_spec
from samlet.models.repvit_sam import spec as repvit_sam
from samlet.models.sam import spec as sam_vit
from samlet.models.timm_student.spec import PREFIX, timm_spec
from samlet.spec import ModelSpec

__all__ = ["DEFAULT_MODEL", "MODELS", "STUDENTS", "UNLISTED", "get_spec", "promptable", "shipped_folder"]

MODELS: tuple[ModelSpec, ...] = (
    *efficientvit_sam.MODELS,
    *edge_sam.MODELS,
    *mobile_sam.MODELS,
    *repvit_sam.MODELS,
    *sam_vit.MODELS,
    *efficientvit.MODELS,
    *efficientvit_m.MODELS,
    *cascadedvit.MODELS,
)
STUDENTS: tuple[ModelSpec, ...] = tuple(student_spec(spec) for spec in MODELS if spec.task == "classification")
"""SAM with the backbone of each classifier, `sam:NAME`."""

UNLISTED: tuple[ModelSpec, ...] = (*edge_sam.OTHER_HEADS, *efficientvit.OTHER_SIZES)
"""Models found when asked for, and when a checkpoint is of one of them: their names are import strings, or those of a
listed model with a resolution.
"""

DEFAULT_MODEL = "mobile-sam-slim"


def get_spec(name: str) -> ModelSpec:
    """Return the spec of a model by its name or an alias; case, `_` and `-` make no difference.

    `sam:NAME` is a student with the backbone of a classifier, `timm:NAME` one with that encoder of timm; `module:SPEC`
    imports a spec of your own.
    Raises `UnknownModelError`, which names the closest models.
    """
    if name.strip().startswith(PREFIX):
        return timm_spec(name.strip())
    own = own_spec(name.strip())
    if own is not None:
        return own
    by_name = {_key(known): spec for spec in (*MODELS, *UNLISTED, *STUDENTS) for known in (spec.name, *spec.aliases)}
    spec = by_name.get(_key(name))
    if spec is not None:
        return spec
    close = dict.fromkeys(by_name[match].name for match in get_close_matches(_key(name), by_name, n=5, cutoff=0.5))
    remedy = f"did you mean {', '.join(close)}?" if close else "`samlet models` lists the names."
    raise UnknownModelError(f'There is no model "{name}": {remedy}')


def promptable(name: str) -> ModelSpec:
    """The promptable model of a name: for a classifier, SAM with its backbone. UnknownModelError as `get_spec`."""
    spec = get_spec(name)
    return get_spec(SAM_PREFIX + spec.name) if spec.task == "classification" else spec


def shipped_folder(name: str) -> Path | None:
    """Return the artifact folder of a model that came with the package, or None where none did."""
    folder = Path(__file__).parent / "shipped" / name
    return folder if (folder / "manifest.json").is_file() else None


def _key(name: str) -> str:
    return name.strip().lower().replace("_", "-")
