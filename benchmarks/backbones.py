"""How long each classifier and segmenter takes here, in ONNX Runtime and OpenVINO, by turns: with random weights.

    python benchmarks/backbones.py                        every model
    python benchmarks/backbones.py --only efficientvit-m  those whose name begins so
    python benchmarks/backbones.py --timm                 timm's own implementation in torch beside ours, where timm is

Prints a table and one JSON line. Segmenters see a square of their canvas.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
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

TIMM = {f"efficientvit-{size}": f"efficientvit_{size}" for size in ("b0", "b1", "b2", "b3", "l1", "l2", "l3")} | {
    f"efficientvit-m{i}": f"efficientvit_m{i}" for i in range(6)
}


def runs_of(spec: ModelSpec, folder: Path, with_timm: bool) -> dict[str, Callable[[], Any]]:
    """By name, one run of the model on one image in each runtime."""
    model = create(spec)
    write_graph(plan_network(model, torch.float32, full_size=False), folder / NETWORK)
    (folder / MANIFEST).write_text(json.dumps(manifest_record(folder, spec, "float32")), encoding="utf-8")
    fuse(model)
    side = spec.image.canvas
    pixels = np.random.default_rng(0).normal(size=(1, 3, side, side)).astype(np.float32)
    backends = {
        "onnx": OnnxBackend.from_folder(folder, device="cpu"),
        "openvino": OpenVinoBackend.from_folder(folder),
        "torch": TorchNetwork(model, spec),
    }
    runs: dict[str, Callable[[], Any]] = {
        name: lambda backend=backend: backend.logits(pixels) for name, backend in backends.items()
    }
    if with_timm and spec.name in TIMM:
        import timm  # pyright: ignore[reportMissingImports] - optional

        theirs = timm.create_model(TIMM[spec.name], pretrained=False).eval()
        tensor = torch.from_numpy(pixels)
        runs["timm"] = torch.no_grad()(lambda: theirs(tensor))
    return runs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="names that begin so")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--timm", action="store_true")
    arguments = parser.parse_args()
    rows = {}
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"{'model':34}{'GMACs':>8}{'onnx ms':>10}{'openvino ms':>13}{'torch ms':>10}" + "   timm ms" * arguments.timm)
    for spec in MODELS:
        if spec.task == "promptable" or not spec.name.startswith(arguments.only):
            continue
        with TemporaryDirectory() as folder:
            runs = runs_of(spec, Path(folder), arguments.timm)
            seconds = take_turns(runs, arguments.rounds)
        rows[spec.name] = {name: round(1e3 * median(found), 2) for name, found in seconds.items()}
        times = "".join(
            f"{rows[spec.name].get(name, float('nan')):>{width}.1f}"
            for name, width in (
                ("onnx", 10),
                ("openvino", 13),
                ("torch", 10),
                *([("timm", 10)] if arguments.timm else []),
            )
        )
        print(f"{spec.name:34}{spec.encoder_macs / 1e9:>8.2f}{times}", flush=True)
    print(json.dumps({"milliseconds": rows, "rounds": arguments.rounds, "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
