"""MobileSAM: SAM with a TinyViT-5M encoder (Zhang et al., 2023)."""

from __future__ import annotations

from samlet.geometry.windows import Framing
from samlet.spec import Checkpoint, ImageSpec, ModelSpec, ThingRule

# For a canvas of 448; the margin of a box is for what one drawn by hand leaves out. Chosen in docs/guides/segment.md.
CLOSE = Framing(margin=0.1, least_of_box=0.3, least_of_click=0.25, most=0.98)

MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="mobile-sam",
        family="mobile-sam",
        image=ImageSpec(canvas=1024),
        builder="samlet.models.mobile_sam.network:build",
        options={},
        parameters=10_130_092,
        encoder_macs=38_768_295_424,
        license="Apache-2.0",
        aliases=("mobile_sam", "mobilesam", "vit_t"),
        checkpoint=Checkpoint(
            file_name="mobile_sam.pt",
            size_bytes=40_728_226,
            sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            urls=("https://github.com/ChaoningZhang/MobileSAM/raw/master/weights/mobile_sam.pt",),
            license="Apache-2.0",
        ),
        summary="SAM with a TinyViT encoder distilled from ViT-H",
    ),
    ModelSpec(
        name="mobile-sam-slim",
        family="mobile-sam",
        image=ImageSpec(canvas=448),
        builder="samlet.models.mobile_sam.slim:build",
        options={"hidden": [96, 224, 256, 448]},
        parameters=7_908_164,
        encoder_macs=4_976_280_064,
        license="Apache-2.0",
        summary="MobileSAM's encoder at an eighth of its cost, for CPUs; samlet's own",
        pred_iou_thresh=0.4,  # more modest than its teacher of what it is sure of
        stability_score_thresh=0.5,
        edge_radius=0.015,
        look=CLOSE,
        thing_rule=ThingRule(level=-0.5, iou=1.42, size=4.2),
        click_size_penalty=0.08,
    ),
)
