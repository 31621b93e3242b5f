"""SAM with the backbone of a classifier as its image encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any

from samlet.classes import ClassList
from samlet.nn.network import LogitsNetwork
from samlet.nn.projected_maps import ProjectedMaps, used_maps
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec


def build(spec: ModelSpec, builder: str, backbone: Mapping[str, Any]) -> Sam:
    """SAM with random weights on the backbone of the classifier that `builder` makes with the options `backbone`.

    The backbone is made for images of the spec's canvas; the classifier's head is left out.
    """
    classifier: LogitsNetwork = resolve_name(builder)(_small(spec), **(dict(backbone) | {"classes": 1}))
    maps = classifier.backbone_maps()
    return Sam(spec, ProjectedMaps(maps.module, used_maps(maps.channels, maps.strides), spec.image.grid))


def _small(spec: ModelSpec) -> ModelSpec:
    """The spec of a classifier of one class for images of the canvas."""
    return replace(spec, task="classification", classes=ClassList("none", ("none",)))
