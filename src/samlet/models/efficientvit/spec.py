"""EfficientViT (MIT): classifiers B0 to B3 and L1 to L3 of ImageNet-1k, segmenters of Cityscapes and ADE20K.

The names without a resolution are the 224-pixel models of the paper; `efficientvit-b1-r256` and its like are the same
networks with the files trained for larger images. A segmenter sees a photo's shortest side as in the official
evaluation: 512 pixels for ADE20K and, which for a photo of Cityscapes is its own size, 1024 for Cityscapes. Nobody
states hashes of the files, so samlet does not download them.
"""

from __future__ import annotations

from samlet.classes import class_list
from samlet.spec import Checkpoint, ImageSpec, ModelSpec

CLASSIFIERS = "https://huggingface.co/han-cai/efficientvit-cls/resolve/main"
SEGMENTERS = "https://huggingface.co/han-cai/efficientvit-seg/resolve/main"
LICENSE = "Apache-2.0"
CROP_RATIOS = {"b1": 0.95}  # of the official evaluation; 1 for the others
SHORT_SIDES = {"cityscapes": 1024, "ade20k": 512}


def _classifier(size: str, resolution: int, parameters: int = 0, macs: int = 0, listed: bool = True) -> ModelSpec:
    file_name = f"efficientvit_{size}_r{resolution}.pt"
    full = f"efficientvit-{size}-r{resolution}"
    return ModelSpec(
        name=f"efficientvit-{size}" if listed else full,
        family="efficientvit",
        image=ImageSpec(canvas=resolution, resampling="bicubic", fit="crop", crop_ratio=CROP_RATIOS.get(size, 1.0)),
        builder="samlet.models.efficientvit.network:build",
        options={"size": size, "classes": 1000},
        parameters=parameters,
        encoder_macs=macs,
        license=LICENSE,
        aliases=(full,) if listed else (),
        checkpoint=Checkpoint(file_name, None, None, (f"{CLASSIFIERS}/{file_name}",), LICENSE),
        summary=f"EfficientViT-{size.upper()}, ImageNet-1k at {resolution} pixels",
        task="classification",
        classes=class_list("imagenet-1k"),
    )


def _segmenter(size: str, data: str, parameters: int, macs: int) -> ModelSpec:
    file_name = f"efficientvit_seg_{size}_{data}.pt"
    classes = class_list(data)
    return ModelSpec(
        name=f"efficientvit-seg-{size}-{data}",
        family="efficientvit-seg",
        image=ImageSpec(canvas=SHORT_SIDES[data], resampling="opencv_bicubic", fit="short_side"),
        builder="samlet.models.efficientvit.segmenter:build",
        options={"size": size, "head": data, "classes": len(classes)},
        parameters=parameters,
        encoder_macs=macs,
        license=LICENSE,
        aliases=(f"efficientvit_seg_{size}_{data}",),
        checkpoint=Checkpoint(file_name, None, None, (f"{SEGMENTERS}/{file_name}",), LICENSE),
        summary=f"EfficientViT-{size.upper()} for the {len(classes)} classes of {data}",
        task="semantic_segmentation",
        classes=classes,
    )


_CLASSIFIERS: tuple[ModelSpec, ...] = (
    _classifier("b0", 224, 3_410_008, 100_233_216),
    _classifier("b1", 224, 9_102_024, 519_214_592),
    _classifier("b2", 224, 24_330_712, 1_584_937_984),
    _classifier("b3", 224, 48_646_056, 3_953_822_208),
    _classifier("l1", 224, 52_654_088, 5_258_479_616),
    _classifier("l2", 224, 63_707_016, 6_949_862_400),
    _classifier("l3", 224, 246_037_288, 27_586_525_184),
)
_SEGMENTERS: tuple[ModelSpec, ...] = (
    _segmenter("b0", "cityscapes", 706_691, 2_195_718_144),
    _segmenter("b1", "cityscapes", 4_803_443, 12_552_503_296),
    _segmenter("b2", "cityscapes", 15_323_779, 36_820_746_240),
    _segmenter("b3", "cityscapes", 39_603_155, 89_613_926_400),
    _segmenter("l1", "cityscapes", 40_242_227, 141_240_041_472),
    _segmenter("l2", "cityscapes", 52_607_923, 198_061_326_336),
    _segmenter("b1", "ade20k", 4_791_414, 3_090_415_616),
    _segmenter("b2", "ade20k", 15_293_382, 9_083_289_600),
    _segmenter("b3", "ade20k", 39_546_198, 22_173_843_456),
    _segmenter("l1", "ade20k", 40_409_526, 36_338_663_424),
    _segmenter("l2", "ade20k", 51_462_454, 45_175_275_520),
)
MODELS: tuple[ModelSpec, ...] = (*_CLASSIFIERS, *_SEGMENTERS)
LARGER = dict.fromkeys(("b1", "b2", "b3"), (256, 288)) | dict.fromkeys(("l2", "l3"), (256, 288, 320, 384))
OTHER_SIZES: tuple[ModelSpec, ...] = tuple(
    _classifier(size, resolution, listed=False) for size, resolutions in LARGER.items() for resolution in resolutions
)
