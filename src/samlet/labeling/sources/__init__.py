"""Where images come from: folders, patterns, tar shards, manifests, COCO files, here or in a store; read one by one."""

from __future__ import annotations

from samlet.labeling.sources.opening import open_sources

__all__ = ["open_sources"]
