"""Scenes too large for one look: peak memory and seconds of the command line, photos and a raster of ten gigapixels.

    python benchmarks/scenes.py                       the table of docs/guides/label-a-raster.md (Linux)
    python benchmarks/scenes.py --only raster         rows whose name holds this word
    python benchmarks/scenes.py --patches 100         more of the raster has data
    python benchmarks/scenes.py --picture             writes docs/images/raster.jpg instead

The JPEG is a mosaic of the examples. The raster is a sparse GeoTIFF of 100,000 x 100,000 pixels, without data but for
patches of that mosaic spread over it, the largest of which is over 20 windows. Each row is one process of `samlet`;
the system's count of its peak holds everything, the model and Python too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module  # the extra `raster` is not everywhere
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

ROOT = Path(__file__).parents[1]
EXAMPLES, PICTURE = ROOT / "examples", ROOT / "docs" / "images" / "raster.jpg"
PHOTOS = ("coffee", "cat", "astronaut", "rocket", "retina")
JPEG_SIZE = (12_000, 9_000)
RASTER_PX = 100_000
CRS = "EPSG:32633"
PATCH_PX, LARGEST_PATCH_PX = 1500, 4500
FEW_CLICKS = ("--points-per-side", "4")
ROWS = {
    "segment, photo of 0.2 MP": ("segment", "small.jpg", "--point", "300,200"),
    "segment, JPEG of 108 MP": ("segment", "mosaic.jpg", "--point", "5900,4400"),
    "everything, JPEG of 108 MP": ("everything", "mosaic.jpg", *FEW_CLICKS),
    "label, raster of 10,000 MP": ("label", "raster.tif", "--window", "1024", "--overlap", "128", *FEW_CLICKS),
}


def main() -> None:
    """Run every row."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--patches", type=int, default=12, help="how many parts of the raster have data")
    parser.add_argument("--picture", action="store_true", help="draw the guide's picture")
    asked = parser.parse_args()
    if asked.picture:
        with tempfile.TemporaryDirectory() as folder:
            draw(Path(folder))
        return
    results = {}
    print("| | peak, MB | seconds | masks |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, (verb, source, *words) in ROWS.items():
            if asked.only in name:
                path = Path(folder) / source
                if not path.exists():
                    make(path, asked.patches)
                results[name] = row = run([verb, str(path), *words, "--output", str(Path(folder) / verb / path.stem)])
                masks = "" if row["masks"] is None else f"{row['masks']:,}"
                print(f"| {name} | {row['peak_mb']:,.0f} | {row['seconds']:,.0f} | {masks} |", flush=True)
    print(json.dumps({"benchmark": "scenes", "patches": asked.patches, "rows": results}))


def run(words: list[str]) -> dict[str, Any]:
    """One command: its peak in MB, its seconds, and how many masks it found."""
    start = time.perf_counter()
    command = [sys.executable, "-c", "import sys; from samlet.cli import main; sys.exit(main())", *words, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None  # as was asked for
    told = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise SystemExit(f"samlet {' '.join(words)} failed")
    record = json.loads(told)
    masks = record.get("masks", len(record.get("annotations", [])))
    return {"peak_mb": usage.ru_maxrss / 1000, "seconds": time.perf_counter() - start, "masks": masks}


def make(path: Path, patches: int) -> None:
    """The picture of a row."""
    if path.name == "small.jpg":
        Image.open(EXAMPLES / "coffee.jpg").save(path)
    elif path.suffix == ".jpg":
        Image.fromarray(mosaic(*JPEG_SIZE)).save(path, quality=90)
    else:
        make_raster(path, patches)


def mosaic(width: int, height: int, cell_wh: tuple[int, int] = (640, 480)) -> NDArray[np.uint8]:
    """The examples side by side, every other one mirrored."""
    canvas = Image.new("RGB", (width, height))
    for row in range(-(-height // cell_wh[1])):
        for column in range(-(-width // cell_wh[0])):
            photo = Image.open(EXAMPLES / f"{PHOTOS[(column + 3 * row) % len(PHOTOS)]}.jpg").convert("RGB")
            cell = ImageOps.fit(ImageOps.mirror(photo) if (row + column) % 2 else photo, cell_wh)
            canvas.paste(cell, (column * cell_wh[0], row * cell_wh[1]))
    return np.asarray(canvas)


def draw(folder: Path) -> None:
    """The picture of the guide: a small raster, its windows, and the polygons that are found in it."""
    import matplotlib.pyplot as plt

    from samlet.geometry.seams import Grid

    rasterio, raw, shapely = (import_module(name) for name in ("rasterio", "pyogrio.raw", "shapely"))
    pixels, scene, output = mosaic(2560, 1920), folder / "scene.tif", folder / "out"
    with rasterio.open(
        scene, "w", driver="GTiff", width=2560, height=1920, count=3, dtype="uint8", crs=CRS,
        transform=rasterio.Affine(0.5, 0, 500_000, 0, -0.5, 5_400_000), photometric="rgb",
    ) as file:  # fmt: skip
        file.write(pixels.transpose(2, 0, 1))
        left, bottom, right, top = file.bounds
    run(
        [
            "label",
            str(scene),
            "--window",
            "1024",
            "--overlap",
            "128",
            "--points-per-side",
            "16",
            "--output",
            str(output),
        ]
    )
    _, _, geometry, _ = raw.read(output / "scene.gpkg")
    figure, axes = plt.subplots(figsize=(11, 8.4), dpi=110)
    axes.imshow(pixels, extent=(left, right, bottom, top))
    chance, colors = np.random.default_rng(1), plt.get_cmap("hsv")
    for polygon in (part for shape in shapely.from_wkb(geometry) for part in shape.geoms):
        color = colors(chance.random())
        for ring in (polygon.exterior, *polygon.interiors):
            axes.plot(*np.array(ring.coords).T, color=color, linewidth=1.6)
    grid = Grid(pixels.shape[:2], 1024, 128)
    for start in grid.lefts:
        axes.axvspan(left + start / 2, left + (start + 1024) / 2, fill=False, edgecolor="white", linestyle="--")
    for start in grid.tops:
        axes.axhspan(top - start / 2, top - (start + 1024) / 2, fill=False, edgecolor="white", linestyle="--")
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel=f"easting, m ({CRS})", ylabel="northing, m")
    axes.ticklabel_format(useOffset=False, style="plain")
    figure.tight_layout()
    figure.savefig(PICTURE, pil_kwargs={"quality": 80})
    print(f"{len(geometry)} polygons: {PICTURE}")


def make_raster(path: Path, patches: int) -> None:
    """A GeoTIFF without data but for some patches; a few megabytes on the disk."""
    rasterio, window = import_module("rasterio"), import_module("rasterio.windows").Window
    places = np.random.default_rng(0).integers(0, RASTER_PX - LARGEST_PATCH_PX, (patches, 2))
    with rasterio.open(
        path, "w", driver="GTiff", width=RASTER_PX, height=RASTER_PX, count=3, dtype="uint8", nodata=0, tiled=True,
        crs=CRS, transform=rasterio.Affine(0.5, 0, 400_000, 0, -0.5, 5_400_000), compress="DEFLATE",
        sparse_ok=True, bigtiff=True, photometric="rgb",
    ) as file:  # fmt: skip
        for number, (left, top) in enumerate(places.tolist()):
            side = PATCH_PX if number else LARGEST_PATCH_PX
            file.write(np.maximum(mosaic(side, side), 1).transpose(2, 0, 1), window=window(left, top, side, side))


if __name__ == "__main__":
    main()
