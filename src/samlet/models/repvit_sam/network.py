"""RepViT-SAM: SAM distilled into a RepViT-M2.3 encoder whose last stage keeps the resolution.

Source: arXiv 2312.05760; THU-MIG/RepViT `sam/`. Official files hold exactly the names of this module, so nothing is
dropped or renamed when one is loaded.
"""

from __future__ import annotations

from samlet.nn.repvit import RepDepthwiseNorm, RepViTConfig, RepViTEncoder
from samlet.nn.sam import Sam
from samlet.spec import ModelSpec

M2_3 = RepViTConfig((80, 160, 320, 640), (7, 7, 35, 2))


def build(spec: ModelSpec) -> Sam:
    """RepViT-SAM with random weights."""
    return Sam(spec, RepViTEncoder(M2_3, RepDepthwiseNorm))
