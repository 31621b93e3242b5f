"""`samlet export`: a model as files that run without torch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from samlet.cli.options.bounds import Between
from samlet.cli.options.model import CheckpointFile
from samlet.cli.options.photos import find_photos, photos_of_classes
from samlet.cli.options.places import folder_to_write
from samlet.cli.pull import with_weights
from samlet.cli.tables import print_facts
from samlet.errors import InputError
from samlet.extras import import_with_extra
from samlet.loading import cached_weights, described, load_module
from samlet.runtime.artifact import MANIFEST

if TYPE_CHECKING:
    from samlet.export.parity import Parity
    from samlet.spec import ModelSpec


def export(
    model: Annotated[
        str | None, Parameter(help="A name from `samlet models`; weights that samlet trained need none.")
    ] = None,
    *,
    to: Annotated[Literal["onnx"], Parameter(help="The format.")],
    output: Annotated[
        Path,
        Parameter(help="The artifact folder to write; an older artifact there is replaced.", validator=folder_to_write),
    ],
    checkpoint: CheckpointFile | None = None,
    random_weights: Annotated[
        bool, Parameter(help="Export a model without its weights, for its size and speed.")
    ] = False,
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
    opset: Annotated[
        int,
        Parameter(
            help="Version of ONNX's operators; default: 20. Runtimes of 2022 (ONNX Runtime 1.12 to 1.16) read 17.",
            validator=Between(17, 20),
        ),
    ] = 20,
    calibration: Annotated[
        Path | None,
        Parameter(help="Folder of photos, or of class folders, that int8 is calibrated on; it takes 64 photos."),
    ] = None,
    photos: Annotated[
        list[Path] | None,
        Parameter(
            help="Photos, or folders of them, on which masks are compared with torch; default: two small ones.",
            consume_multiple=True,
        ),
    ] = None,
    full_size: Annotated[
        bool, Parameter(help="End a segmenter's graph at the size of its input, not at an eighth of it.", negative="")
    ] = False,
) -> None:
    """Write a model as an artifact folder that `--model FOLDER` loads without torch.

    Its masks, or its classes and label maps, are compared with those of the model in torch on real photos; nothing is
    written if they differ.
    """
    start = time.perf_counter()
    spec = _spec(model, checkpoint)
    chosen = _chosen(precision, calibration, photos)
    if random_weights and checkpoint is not None:
        raise InputError("--random-weights would ignore --checkpoint: give one of the two.")
    import_with_extra("onnxscript", "export", "Exporting")  # torch would miss it only after a minute
    if precision == "int8":
        import_with_extra("samlet.export.quantize", "quantize", "int8")
    exporter = import_with_extra(f"samlet.export.{to}", "export", "Exporting")
    module = load_module(spec, None if random_weights else _weights(spec, checkpoint))
    if spec.task != "promptable":
        if layout != "samlet":
            raise InputError(f"--layout official is Meta's, for promptable models: {spec.name} has none.")
        _export_network(module, output, precision, opset, full_size, chosen, start)
        return
    if full_size:
        raise InputError(f"--full-size is for segmenters: masks of {spec.name} have the size of the image anyway.")
    with Console(stderr=True).status(f"exporting {spec.name}") as status:
        parity = exporter.export_onnx(
            module, output, layout=layout, precision=precision, opset=opset, progress=status.update, **chosen
        )
        seconds = time.perf_counter() - start
        status.update("timing the encoder")
        speed = import_with_extra("samlet.export.speed", "export", "Exporting")
        times = speed.encode_milliseconds(module, output, layout)
    print_facts(_rows(output, precision, parity, seconds, times))


def _export_network(
    module: Any,
    output: Path,
    precision: Any,
    opset: int,
    full_size: bool,
    chosen: dict[str, list[Path]],
    start: float,
) -> None:
    """The same for a classifier or segmenter."""
    exporter, speed = (
        import_with_extra(f"samlet.export.{name}", "export", "Exporting") for name in ("networks", "speed")
    )
    with Console(stderr=True).status(f"exporting {module.spec.name}") as status:
        parity = exporter.export_network(
            module, output, precision=precision, opset=opset, full_size=full_size, progress=status.update, **chosen
        )
        seconds = time.perf_counter() - start
        status.update("timing the network")
        times = speed.network_milliseconds(module, output)
    size_bytes = sum(file.stat().st_size for file in output.iterdir())
    rows = [
        ("folder", str(output)),
        ("size", f"{size_bytes / 1e6:.1f} MB"),
        ("exported in", f"{seconds:.0f} s"),
        ("a run, ONNX Runtime on the CPU", f"{times[0]:,.0f} ms (in torch {times[1]:,.0f} ms)"),
        ("logits, largest difference", f"{parity.logits:.1e} of their standard deviation"),
        ("same surest class as torch", f"{parity.top1:.2%} in {len(parity.top1s)} views"),
    ]
    if parity.miou is not None:
        rows.append(("label maps, mean IoU with torch", f"{parity.miou:.5f}"))
    print_facts(rows)


def _spec(model: str | None, checkpoint: Path | None) -> ModelSpec:
    """What is to be exported, by name or by what the weights say; InputError if neither does."""
    if model is None and checkpoint is None:
        raise InputError("Name a model of `samlet models`, or give --checkpoint with weights that samlet trained.")
    if model is not None and (Path(model) / MANIFEST).is_file():
        raise InputError(f"{model} is exported already: give the name of its model, and --checkpoint with the weights.")
    return described(model, checkpoint)


def _weights(spec: ModelSpec, checkpoint: Path | None) -> Path:
    return with_weights(lambda: cached_weights(spec)) if checkpoint is None else checkpoint


def _chosen(precision: str, calibration: Path | None, photos: list[Path] | None) -> dict[str, list[Path]]:
    """The photos that were named; InputError or ImageError for what would be ignored, is missing, or holds none."""
    chosen = {} if photos is None else {"photos": find_photos(photos)}
    if calibration is None:
        if precision == "int8":
            raise InputError("int8 needs --calibration FOLDER: photos of the kind the model will see, 64 are enough.")
        return chosen
    if precision != "int8":
        raise InputError("--calibration is for int8 and would be ignored: leave it out, or ask for --precision int8.")
    if not calibration.is_dir():
        raise InputError(f"{calibration} is no folder: --calibration takes a folder of photos.")
    return chosen | {"calibration": photos_of_classes(calibration) or find_photos([calibration])}


def _rows(
    folder: Path, precision: str, parity: Parity, seconds: float, times: tuple[float, float]
) -> Iterator[tuple[str, str]]:
    size_bytes = sum(file.stat().st_size for file in folder.iterdir())
    yield "folder", str(folder)
    yield "size", f"{size_bytes / 1e6:.1f} MB"
    yield "exported in", f"{seconds:.0f} s"
    yield "encode, ONNX Runtime on the CPU", f"{times[0]:,.0f} ms (in torch {times[1]:,.0f} ms)"
    yield (
        "mask IoU with torch",
        (f"mean {parity.mean_mask_iou:.5f}, smallest {parity.least_mask_iou:.5f} ({len(parity.mask_ious)} masks)"),
    )
    if precision != "float32":
        from samlet.export.parity import OFFERED_LEAST, OFFERED_MEAN

        near = f"{OFFERED_MEAN} on average and {OFFERED_LEAST} at least"
        yield "in place of float32", f"yes: {near}" if parity.near_float32 else f"no: that needs {near}"
    yield "embedding, largest difference", f"{parity.embedding:.1e} of its standard deviation"
    yield "logits, largest difference", f"{parity.logits:.1e} of their standard deviation"
    yield "predicted IoU, largest difference", f"{parity.iou:.1e}"
