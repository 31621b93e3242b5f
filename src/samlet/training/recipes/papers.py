"""Recipes with the papers' hyper-parameters, for SA-1B and several GPUs.

What a paper does not tell is said in each docstring. The official code's defects stay where they are: no image is
counted by the padding of another (EdgeSAM's pixel loss), the cosine starts when the warm-up ends (EdgeSAM's stage 1).
"""

from __future__ import annotations

from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig, RpnConfig

SA1B_IMAGES = 11_185_362
EDGE_SAM_IMAGES = 110_000  # ten of the thousand archives of SA-1B


def efficientvit_sam_l0_stage1() -> DistillEncoderConfig:
    """EfficientViT-SAM's encoder distillation from SAM-ViT-H; arXiv 2402.05008.

    Known are the loss (L2), the teacher, and the canvases (1024 pixels for the teacher, 512 here). The schedule was
    never published: rate, batch and the two epochs are ours.
    """
    return DistillEncoderConfig(
        student="efficientvit-sam-l0",
        steps=2 * SA1B_IMAGES // 256,
        batch_size=256,
        learning_rate=1e-3,
        final_learning_rate=0.0,
        warmup_steps=2000,
        weight_decay=0.1,
        no_weight_decay="by-name",
        clip_norm=0.0,
        clip_value=2.0,
        ema_decay=0.0,
        color=0.0,
        checkpoint_every=1000,
    )


def efficientvit_sam_l0_stage2() -> FinetuneConfig:
    """EfficientViT-SAM's end-to-end training on SA-1B: 2 epochs of 99 % of it; arXiv 2402.05008 and the official code.

    The paper's batch and rate, the code's optimizer, prompts and losses. The IoU head learns, which it does not there,
    and of three masks as well as of one: the code tosses a coin.
    """
    return FinetuneConfig(
        student="efficientvit-sam-l0",
        steps=2 * (SA1B_IMAGES * 99 // 100) // 256,
        batch_size=256,
        learning_rate=2e-6,
        final_learning_rate=0.0,
        warmup_steps=0,
        weight_decay=0.1,
        no_weight_decay="by-name",
        clip_norm=0.0,
        clip_value=2.0,
        ema_decay=0.0,
        batch_norm="per-process",
        views=2,
        min_crop=1.0,
        color=0.0,
        masks_per_image=64,
        box_jitter=0.0,
        max_clicks=10,
        center_share=0.0,
        points=112 * 112,
        checkpoint_every=1000,
    )


def edge_sam_stage1() -> DistillEncoderConfig:
    """EdgeSAM's encoder distillation: 10 epochs of 1 % of SA-1B, never mirrored; arXiv 2312.06660."""
    return DistillEncoderConfig(
        student="edge-sam",
        steps=10 * EDGE_SAM_IMAGES // 64,
        batch_size=64,
        learning_rate=1.25e-2,
        final_learning_rate=6.25e-7,
        warmup_steps=5 * EDGE_SAM_IMAGES // 64,
        weight_decay=0.01,
        clip_norm=5.0,
        ema_decay=0.0,
        batch_norm="synced",
        canvases=((1.0, 1024),),
        mirror=False,
        color=0.0,
        checkpoint_every=1000,
    )


def edge_sam_stage2() -> DistillPromptedConfig:
    """EdgeSAM's prompts in the loop: 5 epochs, 16 prompts an image, one click on a disagreement; arXiv 2312.06660.

    There an image's prompts are all boxes or all clicks, and boxes get the single mask; here each prompt is drawn and
    all four masks learn. The IoU head does not learn there: choose its masks by stability.
    """
    return DistillPromptedConfig(
        student="edge-sam",
        steps=5 * EDGE_SAM_IMAGES // 16,
        batch_size=16,
        learning_rate=1e-4,
        final_learning_rate=1e-5,
        warmup_steps=0,
        weight_decay=0.05,
        clip_norm=0.01,
        ema_decay=0.0,
        batch_norm="per-process",
        canvases=((1.0, 1024),),
        mirror=False,
        color=0.0,
        masks_per_image=16,
        box_jitter=0.0,
        max_clicks=1,
        center_share=0.0,
        bce_weight=5.0,
        dice_weight=5.0,
        iou_weight=0.0,
        teacher_share=0.0,
        checkpoint_every=1000,
    )


def edge_sam_stage3() -> RpnConfig:
    """EdgeSAM's proposals: 12 epochs of COCO train 2017 with 16 images a step, mirrored, never cropped.

    The paper's schedule; its optimizer is not known, ours is the trainer's AdamW.
    """
    return RpnConfig(
        student="edge-sam-rpn",
        steps=87_950,
        batch_size=16,
        learning_rate=1e-3,
        warmup_steps=500,
        weight_decay=4e-5,
        clip_norm=10.0,
        canvases=((1.0, 1024),),
        min_crop=1.0,
        batch_norm="synced",
        checkpoint_every=1000,
    )


def mobile_sam() -> DistillEncoderConfig:
    """MobileSAM's decoupled distillation: 8 epochs of 1 % of SA-1B in batches of 8; arXiv 2306.14289.

    The paper tells data, batch and steps; rate, warm-up and decay are ours, the rate's decay by layers is its code's.
    """
    return DistillEncoderConfig(
        student="mobile-sam",
        steps=100_000,
        batch_size=8,
        learning_rate=1e-3,
        warmup_steps=1000,
        layer_decay=0.8,
        ema_decay=0.0,
        canvases=((1.0, 1024),),
        mirror=False,
        color=0.0,
        checkpoint_every=1000,
    )
