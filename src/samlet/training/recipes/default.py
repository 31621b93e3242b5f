"""The longer training of the default model: stages, each begun where the one before it ended.

The first goes on with the B0 that shipped: at first a view teaches it as much as a B1 and costs less than half. Then it
becomes a B1 that computes the same (`training/widen.py`) and has room for more. All stages draw their views from the
same seed, so that what the teacher said of one serves all. Batch norms see eight images and are estimated anew at the
end.
"""

from __future__ import annotations

from dataclasses import replace

from samlet.training.config import DistillEncoderConfig, DistillPromptedConfig, FinetuneConfig

SEED = 11
ZOOM, MIN_CROP = 0.7, 0.3  # of the views; of the photo's long side, a little less than a second look's window


def efficientvit_sam_b0_stage9() -> DistillEncoderConfig:
    """Embeddings of whole photos and windows, nearly four times the same 512 of them, on a small canvas first."""
    return DistillEncoderConfig(
        student="efficientvit-sam-b0",
        steps=120,
        batch_size=16,
        grad_accum_steps=2,
        seed=SEED,
        learning_rate=1e-3,
        warmup_steps=10,
        clip_norm=1.0,
        canvases=((0.6, 384), (1.0, 512)),
        pool=512,
        zoom=ZOOM,
        min_crop=MIN_CROP,
        batch_norm="re-estimated",
        validation_images=64,
        checkpoint_every=40,
        ema_decay=0.98,
    )


def efficientvit_sam_b0_stage10() -> DistillEncoderConfig:
    """A view of each photo, four times: 12,800."""
    return replace(
        efficientvit_sam_b0_stage9(),
        steps=800,
        pool=0,
        canvases=((0.5, 384), (0.7, 512), (0.8, 384), (1.0, 512)),
        checkpoint_every=50,
        ema_decay=0.99,
    )


def efficientvit_sam_b1_stage1() -> DistillEncoderConfig:
    """The wide student: 38,400 views, three of a photo; the canvas goes up and down, for objects of all scales."""
    return replace(
        efficientvit_sam_b0_stage10(),
        student="efficientvit-sam-b1",
        steps=2400,
        views=3,
        canvases=((0.2, 384), (0.3, 512), (0.5, 384), (0.6, 576), (0.75, 448), (1.0, 512)),
        ema_decay=0.998,
    )


def efficientvit_sam_b1_stage2() -> DistillEncoderConfig:
    """Twice as many again, five views of a photo."""
    return replace(efficientvit_sam_b1_stage1(), steps=4800, views=5)


def efficientvit_sam_b1_stage3() -> DistillPromptedConfig:
    """The teacher's masks of the same views: boxes, clicks on objects and anywhere, and clicks where the two differ."""
    return DistillPromptedConfig(
        student="efficientvit-sam-b1",
        steps=1000,
        batch_size=8,
        grad_accum_steps=4,
        seed=SEED,
        views=5,
        zoom=ZOOM,
        min_crop=MIN_CROP,
        masks_per_image=4,
        anywhere_share=0.25,
        rounds=3,
        learning_rate=4e-4,
        decoder_rate=0.25,
        final_learning_rate=1e-6,
        clip_norm=1.0,
        ema_decay=0.99,
        bce_weight=5.0,
        dice_weight=5.0,
        checkpoint_every=25,
    )


def efficientvit_sam_b1_stage4() -> FinetuneConfig:
    """Masks of people in whole photos and crops, boxes and clicks, the last mask shown to half of the later clicks."""
    return FinetuneConfig(
        student="efficientvit-sam-b1",
        steps=1000,
        batch_size=8,
        grad_accum_steps=4,
        seed=SEED,
        views=1000,
        masks_per_image=4,
        rounds=3,
        box_jitter=0.03,
        max_clicks=2,
        center_share=0.7,
        boxes_teach_all=True,
        learning_rate=4e-4,
        decoder_rate=0.25,
        final_learning_rate=1e-6,
        clip_norm=1.0,
        ema_decay=0.99,
        checkpoint_every=25,
    )


STAGES = (
    efficientvit_sam_b0_stage9,
    efficientvit_sam_b0_stage10,
    efficientvit_sam_b1_stage1,
    efficientvit_sam_b1_stage2,
    efficientvit_sam_b1_stage3,
    efficientvit_sam_b1_stage4,
)
