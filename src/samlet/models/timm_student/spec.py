"""Students with an encoder of timm: `timm:NAME`, NAME being a model of timm that gives feature maps.

Their specs are made when they are asked for: there are hundreds, and listing them would need timm.
"""

from __future__ import annotations

import re

from samlet.errors import UnknownModelError
from samlet.spec import ImageSpec, ModelSpec

PREFIX = "timm:"
CANVAS = 512


def timm_spec(name: str) -> ModelSpec:
    """The spec of `timm:NAME`; whether timm has that model is known when it is built.

    Raises UnknownModelError for what cannot be one of timm's own names: samlet never lets timm fetch a model from a
    hub or a folder.
    """
    backbone = name[len(PREFIX) :]
    if not re.fullmatch(r"\w+(\.\w+)?", backbone):
        raise UnknownModelError(f'There is no model "{name}": give a name of timm, as in timm:resnet18.')
    return ModelSpec(
        name=PREFIX + backbone,
        family="timm-student",
        image=ImageSpec(canvas=CANVAS),
        builder="samlet.models.timm_student.network:build",
        options={"backbone": backbone},
        parameters=0,
        encoder_macs=0,
        license="Apache-2.0",
        summary=f"SAM with timm's {backbone} as its encoder",
    )
