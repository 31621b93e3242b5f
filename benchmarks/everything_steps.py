"""Where the seconds of everything mode go: CPU time per step, on one thread, beside the floor of its arithmetic.

    python benchmarks/everything_steps.py                                   the default model, 32 x 32 clicks
    python benchmarks/everything_steps.py PHOTO --points-per-side 16 --backend openvino
    python benchmarks/everything_steps.py --pred-iou-thresh 0               every mask upscaled, then judged

CPU time of each thread, so other work on the machine adds little; `--rounds` runs, of which the quickest counts. A step
does not include the steps it calls. Below are the operators of decoder and upscaler by ONNX Runtime's own profile;
"tokens alone" are operations that touch no array over all 4,096 pixels. The floor is the arithmetic of
docs/performance.md at the speed of one large matrix product, measured in the same run. Prints one JSON line as well.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import local
from time import process_time, thread_time
from typing import Any
from unittest.mock import patch

import cyclopts
import numpy as np

from samlet import everything
from samlet.benchmarking.steps import PHOTO
from samlet.cli.tables import print_table
from samlet.everything import MaskGenerator
from samlet.geometry.patches import Patch
from samlet.images import read_image
from samlet.loading import load
from samlet.predictor import Predictor
from samlet.prompts import Prompts
from samlet.runtime.artifact import DECODER, ENCODER, PROJECTOR, UPSCALER
from samlet.runtime.graphs import GraphBackend
from samlet.runtime.telemetry import import_without_telemetry

GRAPHS = {
    ENCODER: "encode",
    PROJECTOR: "project the image, once",
    DECODER: "decode: predicted IoU",
    UPSCALER: "upscale what passes it",
}
MMAC_IOU, MMAC_MASKS, MMAC_PROJECT = 246, 515 - 246, 2266  # of a click, of its masks, of an image: docs/performance.md
SIDE = 1024  # of the matrix product

_inside = local()


def main(
    photo: Path = PHOTO,
    *,
    model: str | None = None,
    backend: str = "onnx",
    points_per_side: int = 32,
    rounds: int = 3,
    pred_iou_thresh: float | None = None,
    stability_score_thresh: float | None = None,
) -> None:
    """Print the table of one photo."""
    predictor = load(model, backend=backend, threads=1)
    assert isinstance(predictor.backend, GraphBackend)
    generator = MaskGenerator(
        predictor,
        points_per_side,
        pred_iou_thresh=pred_iou_thresh,
        stability_score_thresh=stability_score_thresh,
    )
    image = read_image(photo)
    runs = [measure(generator, image) for _ in range(rounds)]
    seconds, calls, masks = min(runs, key=lambda run: sum(run[0].values()))
    floor = floor_seconds(points_per_side**2, calls[GRAPHS[UPSCALER]], encoder_macs=predictor.spec.encoder_macs)
    total = sum(seconds.values())
    rows = [(step, str(calls[step]), f"{value:.2f}", f"{value / total:.0%}") for step, value in seconds.items()]
    rows.append(("all", "", f"{total:.2f}", f"{total / floor:.1f} x the floor of {floor:.2f}"))
    print_table((("step", "left"), ("calls", "right"), ("CPU (s)", "right"), ("share", "right")), rows)
    operators = {name: by_operator(predictor, name) for name in (DECODER, UPSCALER)} if backend == "onnx" else {}
    for name, shares in operators.items():
        largest = sorted(shares.items(), key=lambda item: -item[1])[:7]
        print(f"{name}: {', '.join(f'{operator} {share:.0%}' for operator, share in largest)}")
    print(f"{masks} masks of {points_per_side**2} clicks")
    facts = {"photo": photo.name, "model": predictor.spec.name, "backend": backend, "clicks": points_per_side**2}
    print(json.dumps(facts | {"cpu_s": seconds, "floor_s": floor, "operators": operators, "masks": masks}))


def measure(generator: MaskGenerator, image: Any) -> tuple[dict[str, float], dict[str, int], int]:
    """CPU seconds and calls by step, and how many masks were found."""
    seconds: dict[str, float] = defaultdict(float, dict.fromkeys(GRAPHS.values(), 0.0))
    calls: dict[str, int] = defaultdict(int)

    def timed(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            with _timing(step, seconds, calls):
                return function(*arguments, **options)

        return run

    backend = generator.predictor.backend
    assert isinstance(backend, GraphBackend)
    run_graph = backend._run

    def run_named(name: str, *arguments: Any) -> Any:
        with _timing(GRAPHS[name], seconds, calls):
            return run_graph(name, *arguments)

    cut = Patch.cut
    with (
        patch.object(backend, "_run", run_named),
        patch.object(Patch, "cut", timed("cut masks out of the canvas", cut)),
        patch.object(MaskGenerator, "_is_stable", timed("stability", MaskGenerator._is_stable)),
        patch.object(Patch, "image_box", timed("boxes at image size", Patch.image_box)),
        patch.object(everything, "nms", timed("suppress duplicates", everything.nms)),
        patch.object(MaskGenerator, "_finish", timed("run-length codes", MaskGenerator._finish)),
    ):
        start = process_time()
        masks = generator.generate(image)
        whole = process_time() - start
    seconds["all else"] = max(0.0, whole - sum(seconds.values()))
    calls["all else"] = 1
    return dict(seconds), dict(calls) | {step: calls[step] for step in GRAPHS.values()}, len(masks)


@contextmanager
def _timing(step: str, seconds: dict[str, float], calls: dict[str, int]) -> Iterator[None]:
    """Add the CPU time of this thread in the block, less that of blocks inside it."""
    outer = getattr(_inside, "seconds", 0.0)
    _inside.seconds = 0.0
    start = thread_time()
    try:
        yield
    finally:
        spent = thread_time() - start
        seconds[step] += spent - _inside.seconds
        calls[step] += 1
        _inside.seconds = outer + spent


def floor_seconds(clicks: int, upscaled: int, encoder_macs: int) -> float:
    """What the multiplications take at the speed of a large matrix product, in CPU time."""
    square = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
    product = square @ square
    spent = []
    for _ in range(30):
        start = process_time()  # of all threads that NumPy takes for it
        np.matmul(square, square, out=product)
        spent.append(process_time() - start)
    macs = encoder_macs + 1e6 * (MMAC_PROJECT + MMAC_IOU * clicks + MMAC_MASKS * upscaled)
    return macs * min(spent) / SIDE**3


def by_operator(predictor: Predictor, name: str) -> dict[str, float]:
    """The share of each operator in the time of a graph, by ONNX Runtime's profile; "tokens alone" for small ones."""
    backend = predictor.backend
    assert isinstance(backend, GraphBackend)
    onnxruntime = import_without_telemetry("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.enable_profiling, options.intra_op_num_threads = True, 1
    with TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "graph")
        session = onnxruntime.InferenceSession(str(backend.folder / name), options)
        given = _inputs_of(predictor, name)
        for _ in range(10):
            session.run(None, given)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    pixels = str(predictor.spec.image.grid**2)
    spent: dict[str, float] = defaultdict(float)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            facts = event["args"]
            shapes = json.dumps([facts.get("input_type_shape"), facts.get("output_type_shape")])
            of_pixels = name == UPSCALER or pixels in shapes
            spent[facts["op_name"] if of_pixels else "tokens alone"] += event["dur"]
    return {operator: round(time / sum(spent.values()), 3) for operator, time in spent.items()}


def _inputs_of(predictor: Predictor, name: str) -> dict[str, Any]:
    """What a graph is given for four clicks, or for the three masks of one."""
    backend, given = predictor.backend, {}
    assert isinstance(backend, GraphBackend)
    run_graph = backend._run

    def run_named(graph: str, inputs: dict[str, Any], *arguments: Any) -> Any:
        if graph == name:
            given.update(inputs)
        return run_graph(graph, inputs, *arguments)

    with patch.object(backend, "_run", run_named):
        logits = predictor.decode(predictor.embed(PHOTO), Prompts.points(np.full((4, 1, 2), 100.0)))
        logits.keep([0, 0, 0], [1, 2, 3]).low_res()
    return given


if __name__ == "__main__":
    cyclopts.run(main)
