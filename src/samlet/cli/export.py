"""`samlet export`: a model as files that run without torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from samlet.cli.options.model import CheckpointFile, ModelName
from samlet.cli.options.places import folder_to_write
from samlet.cli.pull import with_weights
from samlet.cli.tables import print_table
from samlet.errors import InputError
from samlet.extras import import_with_extra
from samlet.loading import cached_weights, load_module
from samlet.models.registry import get_spec

if TYPE_CHECKING:
    from samlet.export.parity import Parity

PHOTO_SUFFIXES = {".jpg", ".jpeg", ".png"}
COLUMNS = (("", "left"), ("", "left"))


def export(
    model: ModelName,
    *,
    to: Annotated[Literal["onnx"], Parameter(help="The format.")],
    output: Annotated[
        Path,
        Parameter(help="The artifact folder to write; an older artifact there is replaced.", validator=folder_to_write),
    ],
    checkpoint: CheckpointFile | None = None,
    layout: Annotated[
        Literal["samlet", "official"],
        Parameter(help="samlet's own graphs, or Meta's single decoder, which other programs know."),
    ] = "samlet",
    precision: Annotated[
        Literal["float32", "float16-weights", "float16", "int8"],
        Parameter(
            help="float16-weights: stored so, computed in float32. float16: the encoder computes so where that is "
            "safe, for GPUs. int8: the encoder in 8-bit integers."
        ),
    ] = "float32",
    calibration: Annotated[
        Path | None, Parameter(help="Folder of photos (.jpg, .png) that int8 is calibrated on: 64 of them.")
    ] = None,
    photos: Annotated[
        list[Path] | None,
        Parameter(
            help="Photos on which masks are compared with torch; default: two small ones.", consume_multiple=True
        ),
    ] = None,
) -> None:
    """Write a model as an artifact folder that `--model FOLDER` loads without torch.

    Its masks are compared with those of the model in torch on real photos; nothing is written if they differ.
    """
    spec = get_spec(model)
    import_with_extra("onnxscript", "export", "Exporting")  # torch would miss it only after a minute
    if precision == "int8":
        import_with_extra("samlet.export.quantize", "quantize", "int8")
    exporter = import_with_extra(f"samlet.export.{to}", "export", "Exporting")
    file = with_weights(lambda: cached_weights(spec)) if checkpoint is None else checkpoint
    module = load_module(spec, file)
    chosen: dict[str, list[Path]] = {} if photos is None else {"photos": photos}
    if calibration is not None:
        chosen["calibration"] = _photos_in(calibration)
    with Console(stderr=True).status(f"exporting {spec.name}") as status:
        parity = exporter.export_onnx(
            module, output, layout=layout, precision=precision, progress=status.update, **chosen
        )
    print_table(COLUMNS, _rows(output, parity))


def _photos_in(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: --calibration takes a folder of photos.")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)


def _rows(folder: Path, parity: Parity) -> Iterator[tuple[str, str]]:
    size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    yield "folder", str(folder)
    yield "size", f"{size_bytes / 1e6:.1f} MB"
    yield "mean mask IoU with torch", f"{parity.mean_mask_iou:.5f} ({len(parity.mask_ious)} masks)"
    yield "embedding, largest difference", f"{parity.embedding:.1e} of its standard deviation"
    yield "logits, largest difference", f"{parity.logits:.1e} of their standard deviation"
    yield "predicted IoU, largest difference", f"{parity.iou:.1e}"
