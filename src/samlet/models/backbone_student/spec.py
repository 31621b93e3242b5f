"""Students with the backbone of a classifier: `sam:efficientvit-m2` is SAM with EfficientViT-M2 as its encoder."""

from __future__ import annotations

from samlet.spec import ImageSpec, ModelSpec

PREFIX = "sam:"
CANVAS = 512


def student_spec(classifier: ModelSpec) -> ModelSpec:
    """The promptable model with the backbone of a classifier; it has no published weights and waits to be trained."""
    return ModelSpec(
        name=PREFIX + classifier.name,
        family="backbone-student",
        image=ImageSpec(canvas=CANVAS),
        builder="samlet.models.backbone_student.network:build",
        options={"builder": classifier.builder, "backbone": dict(classifier.options)},
        parameters=0,
        encoder_macs=0,
        license=classifier.license,
        summary=f"SAM with the backbone of {classifier.name} as its encoder",
    )
