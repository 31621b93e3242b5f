"""Throughput of the image encoders on a GPU, and of a click from the photo on, against SAM ViT-H in the same run.

    python benchmarks/gpu.py                                     all models, batches of 1 and 16 (CUDA; some minutes)
    python benchmarks/gpu.py --models efficientvit-sam-l2 sam-vit-h --batches 16 --modes graph
    python benchmarks/gpu.py --device cpu --models efficientvit-sam-b0 mobile-sam --batches 1 --seconds 1
    python benchmarks/gpu.py --checkpoint mobile-sam=FILE        masks of real weights are compared, too

Each way of running an encoder: float32, float16 or bfloat16 (layer by layer, as the torch backend has it), step by step
(`eager`), captured as one CUDA graph (`graph`), or by `torch.compile` (`compile`). A row says images a second (median
of turns, and the slowest and fastest), how many times that is SAM ViT-H's in the same way and in float32 step by step,
the TFLOP/s reached (two for a multiplication with its addition), and how far the embedding is from float32's on the
same device: the root of the mean square error as a share of float32's standard deviation. Without a checkpoint weights
are random, which costs the same. `click` is the whole way: photo, embedding, one click, its masks at the photo's size.
The paper's 48.9 times is EfficientViT-SAM-L2's with TensorRT on an A100 against SAM ViT-H.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from samlet import Predictor
from samlet.images import read_image
from samlet.loading import load_module
from samlet.models.half import half_encoder
from samlet.nn.fusion import fuse
from samlet.nn.sam import Sam
from samlet.prompts import Prompts
from samlet.runtime.torch import PRECISIONS, TorchBackend

PHOTO = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
BASELINE = "sam-vit-h"
FAMILY = tuple(f"efficientvit-sam-{size}" for size in ("b0", "b1", "l0", "l1", "l2", "xl0", "xl1"))
MODELS = (BASELINE, *FAMILY, "mobile-sam", "edge-sam", "repvit-sam")
MODES = ("eager", "graph", "compile")
WARM_UPS, TURNS = 3, 5


@dataclass(frozen=True)
class Row:
    """One way of running one model."""

    model: str
    what: str
    batch: int
    precision: str
    mode: str
    images_per_second: float
    slowest: float
    fastest: float
    tflops: float | None
    error: float | None
    mask_iou: float | None = None


def main() -> None:
    """Measure and print the table and one JSON line."""
    asked = _arguments()
    device = torch.device(asked.device)
    checkpoints = dict(pair.split("=", 1) for pair in asked.checkpoint)
    rows: list[Row] = []
    for name in asked.models:
        model = load_module(name, checkpoints.get(name))
        fuse(model)
        model.to(device).image_encoder.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        for row in _rows(model, name, asked, device, name in checkpoints):
            rows.append(row)
            print(_line(row, rows), flush=True)
        del model
    chip = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    print(
        json.dumps({"benchmark": "gpu", "device": chip, "torch": torch.__version__, "rows": [asdict(r) for r in rows]})
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 16])
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=list(PRECISIONS))
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement, warm-up aside")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--checkpoint", nargs="*", default=[], metavar="MODEL=FILE")
    return parser.parse_args()


def _rows(model: Sam, name: str, asked: argparse.Namespace, device: torch.device, real: bool) -> Iterator[Row]:
    for batch in asked.batches:
        side = model.spec.image.canvas
        pixels = torch.randn(batch, 3, side, side, device=device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            flops, exact = _flops(model, pixels), model.encode(pixels).float()
        for precision in asked.precisions:
            part = model if precision == "float32" else half_encoder(model, PRECISIONS[precision])
            part.image_encoder.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - its stubs
            for mode in asked.modes:
                run = _prepared(part, pixels, mode)
                if run is None:
                    print(f"not run: {name} {precision} {mode}, batch {batch}", flush=True)
                    continue
                speeds = _speeds(run, batch, asked.seconds, device)
                error = ((run().float() - exact).square().mean().sqrt() / exact.std()).item()
                speed = statistics.median(speeds)
                yield Row(
                    name, "encode", batch, precision, mode, speed, min(speeds), max(speeds), flops * speed / 1e12, error
                )
    for precision in asked.precisions:
        yield _click(model, name, precision, asked.seconds, device, real)


def _prepared(model: Sam, pixels: torch.Tensor, mode: str) -> Callable[[], torch.Tensor] | None:
    """A run of the encoder, warm; None where this device or encoder cannot run so."""
    encode = model.encode
    if mode == "compile":
        encode = torch.compile(model.encode)

    @torch.inference_mode()
    def run() -> torch.Tensor:
        return encode(pixels)

    try:
        for _ in range(WARM_UPS):
            answer = run()
        if mode != "graph":
            return run
        graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(graph):
            answer = model.encode(pixels)
    except (RuntimeError, AssertionError):  # out of memory, no compiler, no CUDA, a step that no graph can hold
        return None

    def replay() -> torch.Tensor:
        graph.replay()
        return answer

    return replay


def _speeds(run: Callable[[], Any], images: int, seconds: float, device: torch.device) -> list[float]:
    """Images a second in each of several turns of equal length."""
    speeds = []
    for _ in range(TURNS):
        _wait(device)
        started, runs = time.perf_counter(), 0
        while time.perf_counter() - started < seconds / TURNS:
            run()
            runs += 1
            _wait(device)
        speeds.append(images * runs / (time.perf_counter() - started))
    return speeds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _flops(model: Sam, pixels: torch.Tensor) -> float:
    """Floating-point operations of an image."""
    with FlopCounterMode(display=False) as counter:
        model.encode(pixels[:1])
    return counter.get_total_flops()


def _click(model: Sam, name: str, precision: str, seconds: float, device: torch.device, real: bool) -> Row:
    """From the photo to the masks of one click; with real weights, the IoU of its best mask with float32's."""
    image = read_image(PHOTO)
    click = Prompts.points([[[image.shape[1] / 2, image.shape[0] / 2]]])
    predictor, exact = (Predictor(TorchBackend(model, model.spec, device, p)) for p in (precision, "float32"))

    def run(chosen: Predictor = predictor) -> Any:
        return chosen.predict(chosen.embed(image), click)

    for _ in range(WARM_UPS):
        run()
    speeds = _speeds(run, 1, seconds, device)
    iou = None
    if real:
        ours, theirs = (run(chosen)[0].to_array() for chosen in (predictor, exact))
        iou = float((ours & theirs).sum() / max(1, (ours | theirs).sum()))
    speed = statistics.median(speeds)
    return Row(name, "click", 1, precision, "backend", speed, min(speeds), max(speeds), None, None, iou)


def _line(row: Row, rows: list[Row]) -> str:
    def of_baseline(precision: str, mode: str) -> str:
        for other in rows:
            same = (other.what, other.batch, other.precision, other.mode) == (row.what, row.batch, precision, mode)
            if other.model == BASELINE and same:
                return f"{row.images_per_second / other.images_per_second:.1f}x"
        return "-"

    plain = "backend" if row.what == "click" else "eager"
    cells = [
        f"{row.model:20} {row.what:6} {row.batch:3} {row.precision:8} {row.mode:7}",
        f"{row.images_per_second:9.1f} images/s ({row.slowest:.1f}-{row.fastest:.1f})",
        f"{of_baseline(row.precision, row.mode):>7} {of_baseline('float32', plain):>7}",
        "" if row.tflops is None else f"{row.tflops:7.2f} TFLOP/s",
        "" if row.error is None else f"error {row.error:.1e}",
        "" if row.mask_iou is None else f"mask IoU {row.mask_iou:.4f}",
    ]
    return "  ".join(cells).rstrip()


if __name__ == "__main__":
    main()
