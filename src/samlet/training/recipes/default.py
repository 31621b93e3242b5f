"""The training of the default model, stage after stage.

It begins as MobileSAM's encoder without most of its hidden units (`training/prune.py`), and so knows at once what a
network with random weights learns from thousands of views. The other stages learn from people's masks and the teacher's
side by side (`training/teacher_masks.py`).
"""

from __future__ import annotations

from dataclasses import replace

from samlet.training.config import DistillEncoderConfig, FinetuneConfig

STUDENT = "mobile-sam-slim"
SEED = 11


def mobile_sam_slim_stage1() -> DistillEncoderConfig:
    """Embeddings of a view of each photo, seven in ten of them windows as a second look takes them."""
    return DistillEncoderConfig(
        student=STUDENT,
        steps=400,
        batch_size=16,
        grad_accum_steps=2,
        seed=SEED,
        learning_rate=6e-4,
        warmup_steps=20,
        clip_norm=1.0,
        canvases=((1.0, 448),),
        zoom=0.7,
        min_crop=0.3,  # of the long side: a little less than a second look's window
        batch_norm="re-estimated",
        validation_images=64,
        checkpoint_every=50,
        ema_decay=0.99,
    )


def mobile_sam_slim_stage2() -> FinetuneConfig:
    """Masks of people and of the teacher in whole photos and crops, boxes and clicks."""
    return FinetuneConfig(
        student=STUDENT,
        steps=480,
        batch_size=8,
        grad_accum_steps=2,
        seed=SEED,
        views=1000,
        canvases=((1.0, 448),),
        masks_per_image=3,
        rounds=2,
        box_jitter=0.03,
        max_clicks=2,
        center_share=0.7,
        boxes_teach_all=True,
        learning_rate=3e-4,
        decoder_rate=0.25,
        final_learning_rate=1e-6,
        clip_norm=1.0,
        ema_decay=0.99,
        checkpoint_every=25,
    )


def mobile_sam_slim_stage3() -> FinetuneConfig:
    """The same, slower, with losses at the rims of masks: better for boxes, for clicks once averaged: a third of it."""
    return replace(mobile_sam_slim_stage2(), steps=200, seed=13, learning_rate=1e-4, points=4096)


def mobile_sam_slim_stage4() -> FinetuneConfig:
    """Boxes and dialogues of clicks, while lone clicks keep their answers: so no choice drifts."""
    return replace(
        mobile_sam_slim_stage3(),
        seed=19,
        rounds=3,
        hint_share=1.0,
        max_clicks=1,
        box_share=0.4,
        decoder_rate=0.5,
        as_dialogue=True,
        held_clicks=2,
        precision="bfloat16",
    )


def mobile_sam_slim_stage5() -> FinetuneConfig:
    """The same with more boxes and less of a hold: on all processors, so in float32."""
    return replace(mobile_sam_slim_stage4(), steps=160, seed=31, box_share=0.5, held_clicks=1, precision="float32")


def mobile_sam_slim_stage6() -> FinetuneConfig:
    """Longer, on more of the teacher's views; what a lone click hits already it learns to draw."""
    return replace(mobile_sam_slim_stage5(), steps=400, seed=41, taught_from=0.7)


def mobile_sam_slim_stage7() -> FinetuneConfig:
    """The same on more views."""
    return replace(mobile_sam_slim_stage6(), steps=300, seed=43)


STAGES = (
    mobile_sam_slim_stage1,
    mobile_sam_slim_stage2,
    mobile_sam_slim_stage3,
    mobile_sam_slim_stage4,
    mobile_sam_slim_stage5,
    mobile_sam_slim_stage6,
    mobile_sam_slim_stage7,
)
_START_OF_4 = ("mobile_sam_slim_stage2", "mobile_sam_slim_stage2", "mobile_sam_slim_stage3")
# A stage begins where the one before it ended, but these with the mean of the weights of others.
MEANS = {
    "mobile_sam_slim_stage4": _START_OF_4,
    "mobile_sam_slim_stage5": (*_START_OF_4, *["mobile_sam_slim_stage4"] * len(_START_OF_4)),
}
