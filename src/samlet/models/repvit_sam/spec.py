"""RepViT-SAM: SAM with a RepViT-M2.3 encoder distilled from ViT-H (Wang et al., 2023).

Its publisher states no hash of the file, so samlet does not download it: fetch it from the address and import it.
"""

from __future__ import annotations

from samlet.spec import Checkpoint, ImageSpec, ModelSpec

MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="repvit-sam",
        family="repvit-sam",
        image=ImageSpec(canvas=1024),
        builder="samlet.models.repvit_sam.network:build",
        options={},
        parameters=27_223_480,
        encoder_macs=113_304_611_584,
        license="Apache-2.0",
        aliases=("repvit_sam", "repvitsam", "repvit"),
        checkpoint=Checkpoint(
            file_name="repvit_sam.pt",
            size_bytes=None,
            sha256=None,
            urls=("https://github.com/THU-MIG/RepViT/releases/download/v1.0/repvit_sam.pt",),
            license="Apache-2.0",
        ),
        summary="SAM with a RepViT-M2.3 encoder distilled from ViT-H",
    ),
)
