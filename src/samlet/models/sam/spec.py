"""SAM itself with its three ViT encoders (Kirillov et al., 2023): the teachers.

The six digits in Meta's file names are no part of the file's sha256. The hashes are those of public listings.
"""

from __future__ import annotations

from samlet.spec import Checkpoint, ImageSpec, ModelSpec

SOURCE = "https://dl.fbaipublicfiles.com/segment_anything"
LICENSE = "Apache-2.0"


def _sam(size: str, parameters: int, encoder_macs: int, file_name: str, size_bytes: int, sha256: str) -> ModelSpec:
    return ModelSpec(
        name=f"sam-vit-{size}",
        family="sam-vit",
        image=ImageSpec(canvas=1024),
        builder="samlet.models.sam.network:build",
        options={"size": size},
        parameters=parameters,
        encoder_macs=encoder_macs,
        license=LICENSE,
        aliases=(f"vit_{size}", f"sam_vit_{size}"),
        checkpoint=Checkpoint(file_name, size_bytes, sha256, (f"{SOURCE}/{file_name}",), LICENSE),
        summary=f"Meta's SAM with the ViT-{size.upper()} encoder",
    )


MODELS: tuple[ModelSpec, ...] = (
    _sam(
        "b",
        93_735_472,
        483_585_097_728,
        "sam_vit_b_01ec64.pth",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
    _sam(
        "l",
        312_342_832,
        1_487_882_813_440,
        "sam_vit_l_0b3195.pth",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _sam(
        "h",
        641_090_608,
        2_972_939_812_864,
        "sam_vit_h_4b8939.pth",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
)
