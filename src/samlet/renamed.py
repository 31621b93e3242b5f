"""Modules under their old names, for one release: importing one warns, and gives what the new one has.

Knows names only; nothing is imported before it is asked for.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from types import ModuleType

_FAMILIES = ("edge_sam", "efficientvit_sam", "mobile_sam", "repvit_sam", "timm_student")

RENAMED: dict[str, str] = {
    "zoo": "models.registry",
    "zoo.weights": "hub.weights",
    "zoo.download": "hub.download",
    "zoo.own": "models.own",
    "zoo.sam_vit": "models.sam.spec",
    **{f"zoo.{family}": f"models.{family}.spec" for family in _FAMILIES},
    "models.edge_sam_rpn": "models.edge_sam.rpn",
    "models.sam_vit": "models.sam.network",
    "models.everything_reference": "benchmarking.reference.everything",
    "models.plain_decoder": "benchmarking.reference.decoder",
    "nn.efficientvit": "models.efficientvit.blocks",
    **{
        f"nn.{name}": f"models.edge_sam.{name}"
        for name in ("anchors", "bifpn", "centernet_head", "fpn", "proposals", "rpn_head")
    },
    **{
        f"training.{name}": f"training.stages.{name}"
        for name in ("distill_encoder", "distill_prompted", "finetune", "rpn", "losses", "lora", "teacher")
    },
    **{
        f"training.{name}": f"training.loop.{name}"
        for name in (
            "batch_norm",
            "checkpoint",
            "log",
            "memory",
            "precision",
            "processes",
            "trainer",
        )
    },
    "training.stopping": "stopping",
    "training.optimization": "training.loop.optimizer",
    "training.sharding": "training.loop.fsdp",
    "training.mask_batches": "training.batches.masks",
    "training.prompt_sampling": "training.batches.prompts",
    "training.sources": "training.batches.sources",
    "training.views": "training.batches.views",
    "training.paper_recipes": "training.recipes.papers",
}


class _Finder:
    """Finds the modules of `RENAMED`; see `importlib.abc.MetaPathFinder`."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        new = RENAMED.get(name.removeprefix("samlet."))
        return None if new is None or not name.startswith("samlet.") else ModuleSpec(name, _Loader(f"samlet.{new}"))


class _Loader(Loader):
    """Makes an empty module whose attributes are looked up in the new one."""

    def __init__(self, new: str) -> None:
        self._new = new

    def exec_module(self, module: ModuleType) -> None:
        warnings.warn(f"{module.__name__} is now {self._new}.", DeprecationWarning, stacklevel=2)
        new = import_module(self._new)
        module.__path__ = []  # a package of old had modules
        module.__dict__["__getattr__"] = lambda name: getattr(new, name)


def find_renamed_modules() -> None:
    """Let old names be imported; called once, when samlet is."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
