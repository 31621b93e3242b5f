"""How long each classifier and segmenter takes here, in ONNX Runtime and OpenVINO, by turns: with random weights.

    python benchmarks/backbones.py --prepare              writes the graphs into runs/backbones: 3 GB, minutes
    python benchmarks/backbones.py                        every model, within 9 minutes
    python benchmarks/backbones.py --timm                 timm's own implementation in torch beside ours
    python benchmarks/backbones.py --only efficientvit-m  those whose name begins so

Prints a row of a table a model and one JSON line. Segmenters see a square of their canvas. Each model has its share of
the minutes that are left: as many rounds, from 3 to 15, as fit into it. In a round each runtime answers twice, and the
second answer is timed; the table has the medians.

timm wants a torchvision that fits torch: beside the CPU's torch of PyTorch's own index, that index's.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from samlet.benchmarking.timing import take_turns
from samlet.export.graphs import write_graph
from samlet.export.networks import plan_network
from samlet.models import create
from samlet.models.registry import MODELS
from samlet.nn.fusion import fuse
from samlet.runtime.artifact import MANIFEST, NETWORK, manifest_record
from samlet.runtime.onnx import OnnxBackend
from samlet.runtime.openvino import OpenVinoBackend
from samlet.runtime.torch_network import TorchNetwork
from samlet.spec import ModelSpec

Runs = dict[str, Callable[[], Any]]

TIMM = {f"efficientvit-{size}": f"efficientvit_{size}" for size in ("b0", "b1", "b2", "b3", "l1", "l2", "l3")} | {
    f"efficientvit-m{i}": f"efficientvit_m{i}" for i in range(6)
}
FEWEST, MOST = 3, 15  # rounds


def prepared(spec: ModelSpec, graphs: Path) -> Path:
    """The artifact of a model with random weights in the folder `graphs`, made if it is not there."""
    folder = graphs / spec.name
    if not (folder / MANIFEST).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_graph(plan_network(create(spec), torch.float32, full_size=False), folder / NETWORK)
        (folder / MANIFEST).write_text(json.dumps(manifest_record(folder, spec, "float32")), encoding="utf-8")
    return folder


def runs_of(spec: ModelSpec, folder: Path, with_timm: bool) -> Runs:
    """By name, one run of the model on one image in each runtime."""
    model = create(spec)
    fuse(model)
    side = spec.image.canvas
    pixels = np.random.default_rng(0).normal(size=(1, 3, side, side)).astype(np.float32)
    backends = {
        "onnx": OnnxBackend.from_folder(folder, device="cpu"),
        "openvino": OpenVinoBackend.from_folder(folder),
        "torch": TorchNetwork(model, spec),
    }
    runs: Runs = {name: lambda backend=backend: backend.logits(pixels) for name, backend in backends.items()}
    if with_timm and spec.name in TIMM:
        import timm  # pyright: ignore[reportMissingImports] - optional

        theirs = timm.create_model(TIMM[spec.name], pretrained=False).eval()
        tensor = torch.from_numpy(pixels)
        runs["timm"] = torch.no_grad()(lambda: theirs(tensor))
    return runs


def rounds_within(runs: Runs, seconds: float) -> int:
    """How many rounds fit into so many seconds, by what one takes."""
    start = perf_counter()
    for run in runs.values():
        run()
    left = seconds - (perf_counter() - start)
    start = perf_counter()
    for run in runs.values():
        run()
    return min(MOST, max(FEWEST, int(left / (2 * (perf_counter() - start)))))


def measure(specs: list[ModelSpec], graphs: Path, columns: list[str], minutes: float) -> dict[str, Any]:
    """Print a row a model, of median milliseconds; return those and the rounds."""
    end = perf_counter() + 60 * minutes
    rows: dict[str, Any] = {}
    for place, spec in enumerate(specs):
        share = (end - perf_counter()) / (len(specs) - place)
        start = perf_counter()
        runs = runs_of(spec, prepared(spec, graphs), "timm" in columns)
        rounds = rounds_within(runs, share - (perf_counter() - start))
        seconds = take_turns(runs, rounds)
        found = {name: round(1e3 * median(each), 2) for name, each in seconds.items()}
        rows[spec.name] = found | {"rounds": rounds}
        cells = " | ".join(f"{found[name]:.1f}" if name in found else "" for name in columns)
        print(f"| `{spec.name}` | {spec.encoder_macs / 1e9:.2f} | {cells} |", flush=True)
    return rows


def main() -> None:
    """Prepare, or measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names that begin so")
    parser.add_argument("--graphs", type=Path, default=Path("runs/backbones"), help="folder of the exported graphs")
    parser.add_argument("--prepare", action="store_true", help="write the graphs and measure nothing")
    parser.add_argument("--minutes", type=float, default=9, help="for all of it, where the graphs are there")
    parser.add_argument("--timm", action="store_true")
    arguments = parser.parse_args()
    specs = [spec for spec in MODELS if spec.task != "promptable" and spec.name.startswith(arguments.only)]
    if arguments.prepare:
        for spec in specs:
            print(prepared(spec, arguments.graphs), flush=True)
        return
    columns = ["onnx", "openvino", "torch", *(["timm"] if arguments.timm else [])]
    load = os.getloadavg()[0]
    print(f"Load average before: {load:.1f} on {os.cpu_count()} cores; torch on {torch.get_num_threads()} threads.\n")
    print(f"| model | GMACs | {' | '.join(f'{name} ms' for name in columns)} |\n|---|{'---|' * (len(columns) + 1)}")
    rows = measure(specs, arguments.graphs, columns, arguments.minutes)
    print("\n" + json.dumps({"milliseconds": rows, "load": load}))


if __name__ == "__main__":
    main()
