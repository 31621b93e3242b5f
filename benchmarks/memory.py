"""Peak memory on large photos: everything mode within its budget, and `samlet segment`, from decoding to files.

    python benchmarks/memory.py                  the table of docs/performance.md (Linux)
    python benchmarks/memory.py --only click     rows whose name holds this word
    python benchmarks/memory.py --backend openvino

A photo of the examples is enlarged and saved as JPEG. Each row has two processes, which load the model and ask it one
click: one does the row's work with the small photo, and shows what model and runtime hold for it; one does it with the
large photo. The system's own count of the peak is read twice there: until the photo is decoded (Pillow's copy of it),
and from there to the last file on the disk, above the photo itself (3 bytes a pixel) and above the small photo's run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

if TYPE_CHECKING:
    from samlet.predictor import Predictor
    from samlet.prompts import Prompts

EXAMPLE = Path(__file__).parents[1] / "examples" / "astronaut.jpg"
SIZES = {24: (6000, 4000), 89: (11556, 7704), 95: (10000, 9500)}  # megapixels: (width, height)
ROWS = {
    "everything 24 MP, 64 MB": ("everything", 24, 64),
    "everything 24 MP, 512 MB": ("everything", 24, 512),
    "everything 89 MP, 64 MB": ("everything", 89, 64),
    "everything 89 MP, 512 MB": ("everything", 89, 512),
    "everything 24 MP, 64 MB, crops, clean": ("crops", 24, 64),
    "everything 89 MP, 64 MB, crops, clean": ("crops", 89, 64),
    "segment 24 MP, 100 boxes": ("boxes", 24, 100),
    "segment 95 MP, 1 click": ("click", 95, 1),
    "predict 24 MP, 2,000 clicks": ("predict", 24, 2000),
}
POINTS_PER_SIDE = 8


def main() -> None:
    """Run every row, or be the process of one."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--backend", default="onnx", help="what runs the model")
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row:
        print(json.dumps(measure(*ROWS[asked.row[0]], Path(asked.row[1]), asked.backend)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        print("| | photo | model at work | decoding the photo, above it | from there to the files, above both |")
        print("|---|---|---|---|---|")
        for name, (_, megapixels, _) in ROWS.items():
            if asked.only in name:
                photo = Path(folder) / f"{megapixels}.jpg"
                if not photo.exists():
                    Image.open(EXAMPLE).resize(SIZES[megapixels]).save(photo)
                results[name] = row = both_processes(name, photo, asked.backend)
                print(f"| {name} | {' | '.join(f'{size:,.0f}' for size in row.values())} |", flush=True)
    print(json.dumps({"benchmark": "memory", "backend": asked.backend, "megabytes": results}))


def both_processes(name: str, photo: Path, backend: str) -> dict[str, float]:
    """A row, in MiB."""
    small, large = in_process(name, EXAMPLE, backend), in_process(name, photo, backend)
    return {
        "photo": large["photo"],
        "model": small["working"],
        "decoding": large["decoding"],
        "above": large["working"] - small["working"],
    }


def in_process(name: str, photo: Path, backend: str) -> dict[str, float]:
    """A row's work with one photo, in a process of its own."""
    command = [sys.executable, __file__, "--backend", backend, "--row", name, str(photo)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(ran.stdout.splitlines()[-1])


def measure(what: str, _megapixels: int, amount: int, photo: Path, backend: str) -> dict[str, float]:
    """MiB of a photo, and of the peaks above it while it is decoded and afterwards; the latter with the model's."""
    empty = resident("VmRSS")
    import samlet
    from samlet.images import read_image

    model = samlet.load(backend=backend)
    model.predict(model.embed(EXAMPLE), samlet.Prompts.points([[100, 100]]))
    before = resident("VmRSS")
    forget_peak()
    pixels = read_image(photo)
    photo_mb = pixels.nbytes / 2**20
    decoding = resident("VmHWM") - before - photo_mb
    forget_peak()
    with tempfile.TemporaryDirectory() as folder:
        WORK[what](Work(model, pixels, photo, amount, Path(folder)))
    return {"photo": photo_mb, "decoding": decoding, "working": resident("VmHWM") - empty - photo_mb}


@dataclass(frozen=True)
class Work:
    """What a row's process works on; `amount` is megabytes or a number of prompts."""

    model: Predictor
    pixels: NDArray[np.uint8]
    photo: Path
    amount: int
    folder: Path

    @property
    def size_wh(self) -> tuple[int, int]:
        """(width, height) of the photo."""
        return self.pixels.shape[1], self.pixels.shape[0]


def everything(work: Work, **changed: Any) -> None:
    """What `samlet everything` does with one photo."""
    from samlet.cli.everything_files import EverythingFiles
    from samlet.everything import MaskGenerator

    plan = EverythingFiles.plan(work.photo, work.folder)
    generator = MaskGenerator(work.model, points_per_side=POINTS_PER_SIDE, memory_budget=work.amount << 20, **changed)
    masks = generator.generate(work.pixels)
    plan.write(work.pixels, masks, masks, plan.marked(masks.to_json(work.photo.name)))


def crops(work: Work) -> None:
    """`everything` with a layer of crops and every clean-up."""
    everything(work, crop_n_layers=1, clean=True, min_mask_region_area=100, disjoint=True)


def boxes(work: Work) -> None:
    """What `samlet segment` does with many boxes."""
    import samlet

    width, height = work.size_wh
    side = round(work.amount**0.5)
    x, y = np.meshgrid(np.arange(side) * width / (side + 1), np.arange(side) * height / (side + 1))
    corners = np.stack([x, y, x + width / 4, y + height / 4], axis=-1).reshape(-1, 4)
    prompts = samlet.Prompts.boxes(np.minimum(corners, [width, height] * 2))
    save(work, prompts)


def click(work: Work) -> None:
    """What `samlet segment` does with one click."""
    import samlet

    width, height = work.size_wh
    prompts = samlet.Prompts.points([[width * 0.45, height * 0.3]])
    save(work, prompts)


def predict(work: Work) -> None:
    """Many prompts in one call, without files."""
    import samlet

    width, height = work.size_wh
    points = np.random.default_rng(0).uniform(0, 1, (work.amount, 1, 2)) * (width - 1, height - 1)
    work.model.predict(work.model.embed(work.pixels), samlet.Prompts.points(points))


def save(work: Work, prompts: Prompts) -> None:
    """What `samlet segment` does: masks and pictures."""
    from samlet.drawing import overlay
    from samlet.files import write_set
    from samlet.png import mask_png, picture_png

    masks = work.model.segment(work.pixels, prompts)
    pictures = ((work.folder / f"{number}.png", mask_png(mask.rle)) for number, mask in enumerate(masks))
    write_set([*pictures, (work.folder / "overlay.png", picture_png(overlay(work.pixels, masks, prompts)))])


def resident(which: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process in MiB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(which))


def forget_peak() -> None:
    """Let the peak begin at what is held now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


WORK: dict[str, Callable[[Work], None]] = {
    "everything": everything,
    "crops": crops,
    "boxes": boxes,
    "click": click,
    "predict": predict,
}

if __name__ == "__main__":
    main()
