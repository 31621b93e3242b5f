"""EfficientViT-SAM: the five models of the paper, and samlet's two small ones on a B backbone.

Sizes (to a megabyte) and hashes are those of public listings of mit-han-lab/efficientvit-sam on Hugging Face. B0 and
B1 have no official file.
"""

from __future__ import annotations

from dataclasses import replace

from samlet.spec import Checkpoint, ImageSpec, ModelSpec

SOURCE = "https://huggingface.co/mit-han-lab/efficientvit-sam/resolve/main"
LICENSE = "Apache-2.0"


def _paper(backbone: str, canvas: int, parameters: int, encoder_macs: int, megabytes: int, sha256: str) -> ModelSpec:
    file_name = f"efficientvit_sam_{backbone}.pt"
    return ModelSpec(
        name=f"efficientvit-sam-{backbone}",
        family="efficientvit-sam",
        image=ImageSpec(canvas=canvas),
        builder="samlet.models.efficientvit_sam.network:build",
        options={"backbone": backbone},
        parameters=parameters,
        encoder_macs=encoder_macs,
        license=LICENSE,
        aliases=(f"efficientvit_sam_{backbone}",),
        checkpoint=Checkpoint(file_name, megabytes * 1_000_000, sha256, (f"{SOURCE}/{file_name}",), LICENSE),
        summary=f"EfficientViT-SAM with the {backbone.upper()} backbone of the paper",
    )


def _small(backbone: str, canvas: int, parameters: int, encoder_macs: int) -> ModelSpec:
    return ModelSpec(
        name=f"efficientvit-sam-{backbone}",
        family="efficientvit-sam",
        image=ImageSpec(canvas=canvas),
        builder="samlet.models.efficientvit_sam.network:build",
        options={"backbone": backbone},
        parameters=parameters,
        encoder_macs=encoder_macs,
        license=LICENSE,
        aliases=(f"efficientvit_sam_{backbone}",),
        summary=f"EfficientViT-{backbone.upper()} with a light SAM neck, for CPUs; samlet's own",
        edge_radius=0.015,
    )


MODELS: tuple[ModelSpec, ...] = (
    # Trained on little, it is sure of little: at SAM's thresholds it would find nothing.
    replace(_small("b0", 768, 5_141_152, 2_565_472_256), pred_iou_thresh=0.4, stability_score_thresh=0.5),
    _small("b1", 512, 9_159_824, 4_069_261_312),
    _paper(
        "l0",
        512,
        34_792_784,
        34_774_974_464,
        139,
        "c4f994b01a16d48bcf2fbbb089448cfbf58fae5811edfa8113c953b8b8cc64b8",
    ),
    _paper(
        "l1",
        512,
        47_650_128,
        48_980_295_680,
        191,
        "fa151df2b9b96896accd505470755cdd293a4c50cdabac95478f3fbd86d9152b",
    ),
    _paper(
        "l2",
        512,
        61_328_592,
        68_554_326_016,
        246,
        "d4bfd842224cbb99de09acc3325e81ac5b7e8725c8fbdab152305e5d934bfe4a",
    ),
    _paper(
        "xl0",
        1024,
        116_957_904,
        184_804_442_112,
        468,
        "9bc2f87bd23d6e6d1f7b5beff910f98835c7c333fac73e695bac0bec685968f8",
    ),
    _paper(
        "xl1",
        1024,
        203_346_128,
        321_870_364_672,
        814,
        "10f42277679427c1183dcff19758e536aa86bcc4304e4b387ff48865784be05c",
    ),
)
