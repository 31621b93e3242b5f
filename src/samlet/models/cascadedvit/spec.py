"""CascadedViT S, M, L and XL for classification, ImageNet-1k at 224 pixels.

XL costs 435 M multiply-accumulates as its published definition computes; its README says 366 M, which that definition
does not give. Nobody states hashes of the files, so samlet does not download them.
"""

from __future__ import annotations

from samlet.classes import class_list
from samlet.spec import Checkpoint, ImageSpec, ModelSpec

SOURCE = "https://github.com/vclab/cascaded-vit/releases/download/v1.0"
LICENSE = "MIT"


def _classifier(size: str, parameters: int, macs: int) -> ModelSpec:
    file_name = f"cascadedvit_{size}.pth"
    return ModelSpec(
        name=f"cascadedvit-{size}",
        family="cascadedvit",
        image=ImageSpec(canvas=224, resampling="bicubic", fit="crop", crop_ratio=0.875),
        builder="samlet.models.cascadedvit.network:build",
        options={"size": size, "classes": 1000},
        parameters=parameters,
        encoder_macs=macs,
        license=LICENSE,
        aliases=(f"cvit-{size}",),
        checkpoint=Checkpoint(file_name, None, None, (f"{SOURCE}/{file_name}",), LICENSE),
        summary=f"CascadedViT-{size.upper()}, ImageNet-1k at 224 pixels",
        task="classification",
        classes=class_list("imagenet-1k"),
    )


MODELS: tuple[ModelSpec, ...] = (
    _classifier("s", 1_908_860, 66_659_840),
    _classifier("m", 3_468_002, 173_338_560),
    _classifier("l", 7_038_340, 249_173_504),
    _classifier("xl", 9_852_396, 435_017_216),
)
