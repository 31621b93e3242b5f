"""The parameters of everything mode, which `samlet everything` and `samlet label` share."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from samlet.cli.options.bounds import Between
from samlet.models.registry import DEFAULT_MODEL, get_spec

if TYPE_CHECKING:
    from samlet.spec import ModelSpec

Fraction = Annotated[float, Parameter(validator=Between(0, 1))]


def _own(threshold: str) -> str:
    return f"default: the model's own, {getattr(get_spec(DEFAULT_MODEL), threshold)} for {DEFAULT_MODEL}"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class EverythingOptions:
    """Which clicks are tried and which masks stay; None is the model's own."""

    points_per_side: Annotated[
        int, Parameter(help="The grid has so many clicks in a row; default: 32.", validator=Between(1, 256))
    ] = 32
    pred_iou_thresh: Annotated[
        Fraction | None, Parameter(help=f"The IoU a model must predict for its mask; {_own('pred_iou_thresh')}.")
    ] = None
    stability_score_thresh: Annotated[
        Fraction | None,
        Parameter(help=f"How little a mask may depend on its threshold; {_own('stability_score_thresh')}."),
    ] = None
    crop_n_layers: Annotated[
        int,
        Parameter(
            help="Look again at 4 (1), also at 16 (2), … overlapping crops; default: 0.", validator=Between(0, 4)
        ),
    ] = 0
    min_mask_region_area: Annotated[
        int,
        Parameter(help="Fill holes and remove specks below so many pixels; default: 0.", validator=Between(0, 10**8)),
    ] = 0
    fast: Annotated[
        bool,
        Parameter(
            help="Skip clicks where things were found often enough (default), or ask everywhere, as segment_anything.",
            negative="--no-fast",
        ),
    ] = True
    disjoint: Annotated[bool, Parameter(help="Give each pixel to one mask, the smallest over it.")] = False
    mask_nms_thresh: Annotated[
        Fraction | None, Parameter(help="Drop a mask with this IoU with a better one; default: boxes decide, at 0.7.")
    ] = None
    containment_thresh: Annotated[
        Fraction | None,
        Parameter(help="Drop a mask of which more than this share lies in a better one; default: none is dropped."),
    ] = None
    clean: Annotated[
        bool,
        Parameter(help="Without small islands and holes (default), or as the network says.", negative="--no-clean"),
    ] = True
    edges: Annotated[
        bool,
        Parameter(help="Outlines where the photo has edges (default), or as the network says.", negative="--no-edges"),
    ] = True
    memory_budget: Annotated[
        int,
        Parameter(
            help="Megabytes to work in, above the model and the image; default: 512.", validator=Between(8, 10**6)
        ),
    ] = 512

    def settings(self) -> dict[str, Any]:
        """The arguments of `MaskGenerator` that change its masks."""
        given = asdict(self)
        del given["memory_budget"]
        return given

    def settled(self, spec: ModelSpec) -> dict[str, Any]:
        """As `settings`, with the model's thresholds for those not given: what a later samlet takes may be another."""
        given = self.settings()
        own = {name: getattr(spec, name) for name in ("pred_iou_thresh", "stability_score_thresh")}
        return given | {name: value for name, value in own.items() if given[name] is None}


AS_THEY_ARE = EverythingOptions()
