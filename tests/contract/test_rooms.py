"""A family lives in one room: outside of it only the registry imports it, so that adding one is seven files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "samlet"
MODELS = SOURCE / "models"
ROOMS = sorted(path.parent.name for path in MODELS.glob("*/spec.py"))
# Old names of builders, names of modules that moved, and the one function that sam_api has under a family's name.
MAY_NAME = {"models/registry.py", "models/creation.py", "renamed.py", "sam_api/models.py"}
# EdgeSAM's proposals have a training stage and an export of their own.
WITH_WIRING = {"edge_sam"}
# One definition: EfficientViT-SAM is EfficientViT's backbone under a neck, CascadedViT EfficientViT-M with another FFN.
# MobileSAM's slim model begins as the whole one, pruned.
BUILT_ON = {
    "efficientvit": {"models/efficientvit_sam/network.py"},
    "efficientvit_m": {"models/cascadedvit/network.py"},
    "mobile_sam": {"training/prune.py"},
}


def modules_that_import(room: str) -> list[str]:
    name = re.compile(rf"\bsamlet\.models\.{room}(?:\.\w+)? import\b")
    outside = (path for path in SOURCE.rglob("*.py") if MODELS / room not in path.parents)
    return [path.relative_to(SOURCE).as_posix() for path in outside if name.search(path.read_text(encoding="utf-8"))]


def test_there_are_rooms() -> None:
    assert {"efficientvit_sam", "edge_sam", "mobile_sam", "repvit_sam", "sam"} <= set(ROOMS)


@pytest.mark.parametrize("room", sorted(set(ROOMS) - WITH_WIRING))
def test_only_the_registry_knows_a_family(room: str) -> None:
    assert set(modules_that_import(room)) - MAY_NAME - BUILT_ON.get(room, set()) == set()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_has_a_spec_and_a_network(room: str) -> None:
    assert (MODELS / room / "network.py").is_file()
