"""EfficientViT-M0 to M5 (Microsoft) for classification, ImageNet-1k at 224 pixels.

Nobody states hashes of the files, so samlet does not download them. timm's files of the same models load too.
"""

from __future__ import annotations

from samlet.classes import class_list
from samlet.spec import Checkpoint, ImageSpec, ModelSpec

SOURCE = "https://github.com/xinyuliu-jeffrey/EfficientViT_Model_Zoo/releases/download/v1.0"
LICENSE = "MIT"


def _classifier(size: str, parameters: int, macs: int) -> ModelSpec:
    file_name = f"efficientvit_{size}.pth"
    return ModelSpec(
        name=f"efficientvit-{size}",
        family="efficientvit-m",
        image=ImageSpec(canvas=224, resampling="bicubic", fit="crop", crop_ratio=0.875),
        builder="samlet.models.efficientvit_m.network:build",
        options={"size": size, "classes": 1000},
        parameters=parameters,
        encoder_macs=macs,
        license=LICENSE,
        checkpoint=Checkpoint(file_name, None, None, (f"{SOURCE}/{file_name}",), LICENSE),
        summary=f"Microsoft's EfficientViT-{size.upper()}, ImageNet-1k at 224 pixels",
        task="classification",
        classes=class_list("imagenet-1k"),
    )


MODELS: tuple[ModelSpec, ...] = (
    _classifier("m0", 2_349_436, 79_193_600),
    _classifier("m1", 2_980_560, 167_051_840),
    _classifier("m2", 4_187_554, 201_035_712),
    _classifier("m3", 6_900_722, 262_662_208),
    _classifier("m4", 8_804_228, 299_308_544),
    _classifier("m5", 12_473_772, 521_583_104),
)
