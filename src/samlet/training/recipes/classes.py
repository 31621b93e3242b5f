"""Recipes for classes: the papers' for ImageNet, and ours for small sets and for semantic segmentation.

A paper's global batch is kept: give its processes to `torchrun`, or `--grad-accum-steps`. Epochs: ImageNet-1k's.
"""

from __future__ import annotations

from dataclasses import replace

from samlet.training.class_configs import ClassifyConfig, SemanticConfig

IMAGENET_IMAGES = 1_281_167
_ALL = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


def classifier() -> ClassifyConfig:
    """Ours, for data of your own: a few thousand images, minutes to an hour."""
    return ClassifyConfig(
        student="efficientvit-m0",
        steps=2000,
        batch_size=64,
        learning_rate=1e-3,
        warmup_steps=100,
        weight_decay=0.05,
        clip_norm=5.0,
        ema_decay=0.998,
        min_area=0.35,
    )


def _efficientvit(size: str, base_rate: float, decay: float, **changes: object) -> ClassifyConfig:
    """EfficientViT from scratch: 300 epochs and 20 to warm up, 1,024 images a step on 8 GPUs; arXiv 2205.14756, code.

    The code's: binary cross-entropy, one of four sizes a step, mixup or cutmix. Its RandAugment counts strength as ours
    does, its average ramps up by itself; batch statistics are anew for the averaged weights, once, at the end.
    """
    batch = 1024
    config = ClassifyConfig(
        student=f"efficientvit-{size}",
        steps=320 * IMAGENET_IMAGES // batch,
        batch_size=batch,
        learning_rate=8 * base_rate,
        final_learning_rate=0.0,
        warmup_steps=20 * IMAGENET_IMAGES // batch,
        weight_decay=0.1,
        no_weight_decay="by-name",
        clip_norm=0.0,
        clip_value=2.0,
        ema_decay=decay,
        sizes=(128, 160, 192, 224),
        batch_norm="re-estimated",
        resampling=_ALL,
        color=0.0,
        loss="bce",
        drop_path_ramp=1.0,
        zero_init=True,
        checkpoint_every=1000,
    )
    return replace(config, **changes)


def efficientvit_b1() -> ClassifyConfig:
    """See `_efficientvit`."""
    return _efficientvit("b1", 2.5e-4, 0.9998, mixup=0.1, cutmix=0.1, rand_augment=(1, 3, 0), drop_path=0.05)


def efficientvit_b2() -> ClassifyConfig:
    """See `_efficientvit`."""
    return replace(efficientvit_b1(), student="efficientvit-b2")


def efficientvit_b3() -> ClassifyConfig:
    """See `_efficientvit`."""
    return _efficientvit("b3", 2.5e-4, 0.9998, mixup=0.3, cutmix=0.3, rand_augment=(2, 6, 0), drop_path=0.1)


def _efficientvit_l(size: str, mixed: float, strength: float, mesa: float, exempt: int) -> ClassifyConfig:
    """L models add the averaged weights' answers as targets (MESA) after a quarter of the run, and random erasing."""
    return _efficientvit(
        size,
        1.5e-4,
        0.9998,
        mixup=mixed,
        cutmix=mixed,
        rand_augment=(2, strength, 0),
        erase=0.2,
        drop_path=0.1,
        drop_path_from=exempt,
        mesa=mesa,
    )


def efficientvit_l1() -> ClassifyConfig:
    """See `_efficientvit_l`."""
    return _efficientvit_l("l1", 0.2, 5, 2.0, 2)


def efficientvit_l2() -> ClassifyConfig:
    """See `_efficientvit_l`."""
    return _efficientvit_l("l2", 0.4, 5, 2.75, 3)


def efficientvit_l3() -> ClassifyConfig:
    """See `_efficientvit_l`."""
    return _efficientvit_l("l3", 0.6, 6, 3.5, 3)


def efficientvit_m() -> ClassifyConfig:
    """EfficientViT-M (Microsoft) from scratch: 300 epochs of 2,048 images a step, AGC, views in threes; Cream's code.

    The same for M0 to M5: `--student`. Its ten last epochs at the lowest rate are left out.
    """
    batch = 2048
    return ClassifyConfig(
        student="efficientvit-m4",
        steps=300 * IMAGENET_IMAGES // batch,
        batch_size=batch,
        learning_rate=4e-3,
        final_learning_rate=1e-5,
        warmup_steps=5 * IMAGENET_IMAGES // batch,
        weight_decay=0.025,
        clip_norm=0.0,
        clip_adaptive=0.02,
        ema_decay=0.99996,
        rand_augment=(2, 9, 0.5),
        color=0.4,
        erase=0.25,
        repeats=3,
        mixup=0.8,
        cutmix=1.0,
        checkpoint_every=1000,
    )


def cascadedvit() -> ClassifyConfig:
    """CascadedViT from scratch: 3,072 images a step on one GPU, gradients clipped by their norm; vclab's code."""
    batch = 3072
    return replace(
        efficientvit_m(),
        student="cascadedvit-l",
        steps=300 * IMAGENET_IMAGES // batch,
        batch_size=batch,
        learning_rate=5.4e-3,
        final_learning_rate=1e-4,
        warmup_steps=5 * IMAGENET_IMAGES // batch,
        weight_decay=0.0125,
        clip_adaptive=0.0,
        clip_norm=0.015,
        mixup=0.6,
        cutmix=0.8,
    )


def cascadedvit_distilled() -> ClassifyConfig:
    """CascadedViT from a larger one: soft answers, half the weight; `--teacher cascadedvit-l` for S and M, XL for L.

    The released code's teacher is never used, because of a misspelled variable; here it is.
    """
    return replace(
        cascadedvit(),
        student="cascadedvit-m",
        clip_norm=0.025,
        final_learning_rate=9e-5,
        mixup=0.1,
        cutmix=0.1,
        second_head=True,
        distill="soft",
        distill_weight=0.5,
        temperature=2.0,
    )


def segmenter() -> SemanticConfig:
    """Semantic segmentation, ours: EfficientViT's was never released. Of the paper are AdamW, the cosine and a backbone
    that is trained already (`--checkpoint`); crop, rate, batch and steps are ours, for some thousand photos.
    """
    return SemanticConfig(
        student="efficientvit-seg-b0-cityscapes",
        steps=4000,
        batch_size=16,
        learning_rate=1e-3,
        final_learning_rate=1e-6,
        warmup_steps=100,
        weight_decay=0.05,
        clip_norm=5.0,
        ema_decay=0.998,
        canvases=((1.0, 512),),
    )


def digits() -> ClassifyConfig:
    """Ours, for docs/models/digits.md: scikit-learn's 8 x 8 digits on a canvas of 28 pixels, with small strides."""
    return replace(
        classifier(),
        student="efficientvit-m0",
        patch_stride=4,
        steps=150,
        learning_rate=2e-3,
        warmup_steps=30,
        ema_decay=0.99,
        canvases=((1.0, 28),),
        min_area=0.6,
        mirror=False,
        crop_ratio=1.0,
    )


def pixels() -> SemanticConfig:
    """Ours, for docs/models/efficientvit-seg-b0.md: five classes, minutes of two CPU cores."""
    return replace(
        segmenter(),
        steps=1000,
        batch_size=8,
        warmup_steps=50,
        ema_decay=0.995,
        canvases=((1.0, 192),),
        scales=(0.8, 1.8),
        checkpoint_every=100,
    )


RECIPES = (
    classifier,
    digits,
    efficientvit_b1,
    efficientvit_b2,
    efficientvit_b3,
    efficientvit_l1,
    efficientvit_l2,
    efficientvit_l3,
    efficientvit_m,
    cascadedvit,
    cascadedvit_distilled,
    segmenter,
    pixels,
)
