"""EdgeSAM: SAM with a RepViT-M1 encoder, distilled with prompts in the loop (Zhou et al., 2023).

The two specs behind `MODELS` are for who trained another head with the official code: their names are import strings.
`edge_sam_3x.pth` is the better of the two published files; `edge_sam.pth` loads as a checkpoint too. Size and hash are
those of a public listing of the space chongzhou/EdgeSAM on Hugging Face. The files are not free for commercial use.
"""

from __future__ import annotations

from dataclasses import replace

from samlet.spec import Checkpoint, ImageSpec, ModelSpec

LICENSE = "S-Lab-1.0 (non-commercial)"

MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name="edge-sam",
        family="edge-sam",
        image=ImageSpec(canvas=1024),
        builder="samlet.models.edge_sam.network:build",
        options={"size": "m1"},
        parameters=9_582_112,
        encoder_macs=20_045_639_680,
        license=LICENSE,
        aliases=("edge_sam", "edgesam"),
        checkpoint=Checkpoint(
            file_name="edge_sam_3x.pth",
            size_bytes=38_807_540,
            sha256="5a3e3261da9e2f4c8154410885689ae57d09cbf4cf5d0c848b9d80b6df336ece",
            urls=("https://huggingface.co/spaces/chongzhou/EdgeSAM/resolve/main/weights/edge_sam_3x.pth",),
            license=LICENSE,
        ),
        summary="SAM with a RepViT-M1 encoder; choose its masks by stability, its predicted IoU was not distilled",
    ),
    ModelSpec(
        name="edge-sam-rpn",
        family="edge-sam",
        image=ImageSpec(canvas=1024),
        builder="samlet.models.edge_sam.rpn:build",
        options={"size": "m1"},
        parameters=9_840_838,
        encoder_macs=21_403_463_680,
        license=LICENSE,
        aliases=("edge_sam_rpn",),
        summary="EdgeSAM that proposes regions and reads a lone click by them; train it with `samlet train rpn`",
    ),
)

RPN = replace(
    MODELS[1],
    name="samlet.models.edge_sam.spec:RPN",
    options={"size": "m1", "head": "rpn"},
    parameters=9_980_527,
    encoder_macs=23_935_105_024,
    aliases=(),
    summary="EdgeSAM that proposes regions with the head `rpn` of its code; samlet runs it and does not train it",
)
CENTERNET = replace(
    RPN,
    name="samlet.models.edge_sam.spec:CENTERNET",
    options={"size": "m1", "head": "centernet"},
    parameters=10_565_450,
    encoder_macs=36_669_147_136,
    summary="EdgeSAM that proposes regions with the head `centernet` of its code; samlet runs it and does not train it",
)
OTHER_HEADS: tuple[ModelSpec, ...] = (RPN, CENTERNET)
