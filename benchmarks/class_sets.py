"""Writes the two small data sets that docs/models/digits.md and efficientvit-seg-b0.md are trained and measured on.

    python benchmarks/class_sets.py digits runs/digits-data
    python benchmarks/class_sets.py table runs/digits
    python benchmarks/class_sets.py photos runs/photo-classes --data ../shared/data
    python benchmarks/class_sets.py colors runs/photo-classes
    python benchmarks/class_sets.py sheet runs/photo-classes/val --checkpoint runs/pixels/student.safetensors \
        --output docs/models/efficientvit-seg-b0.jpg --sources caltech101 dsb2018 pets --photos PHOTO…

`digits` needs scikit-learn, which holds them; `colors` too: it prints the mIoU of a model that sees a pixel's color and
place alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import App, Parameter
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from samlet.cli.tables import print_table
from samlet.data import Sample, open_folders
from samlet.data.class_maps import open_class_maps
from samlet.data.classes import IGNORED, ClassMapSample
from samlet.data.sample import source_of
from samlet.evaluation import read_report
from samlet.evaluation.metrics.classes import confusion, measure_pixels, summed
from samlet.images import read_image
from samlet.loading import load
from samlet.models.trained import trained_spec
from samlet.parsing import SemanticSegmenter
from samlet.spec import ModelSpec

NAMES = ("background", "pet", "person", "nucleus", "object")
VOID = 255
# What the masks of a source are, and whether what nobody marked there is background: COCO's photos hold all kinds, and
# are left out.
SOURCES = {
    "pets": (1, True),
    "cocoperson": (2, False),
    "pennfudan": (2, False),
    "dsb2018": (3, True),
    "caltech101": (4, True),
    "sysu": (4, False),
}
RIM = 0.06  # of the photo's diagonal
COLORS = ((70, 70, 70), (240, 160, 30), (225, 45, 45), (150, 90, 230), (40, 170, 220))
SHOWN, TILE = 3, 150
HELD_OUT = 3  # every third digit, in a random order
PIXELS_PER_PHOTO = 400

app = App(name="class_sets", help="Write and measure the small data sets of the cards.")


@app.command
def digits(output: Path, /) -> None:
    """Write scikit-learn's 1,797 digits as train/CLASS/N.png and val/CLASS/N.png, gray levels 0 to 255."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    places = np.random.default_rng(0).permutation(len(found.images))
    for place, index in enumerate(places):
        folder = output / ("val" if place % HELD_OUT == 0 else "train") / str(found.target[index])
        folder.mkdir(parents=True, exist_ok=True)
        levels = np.minimum(255, 16 * found.images[index]).astype(np.uint8)
        Image.fromarray(levels).convert("RGB").save(folder / f"{index:04d}.png")
    print(output / "train", output / "val", sep="\n")


@app.command
def table(runs: Path, /) -> None:
    """Print accuracy, parameters and MACs of the runs NAME-SEED in a folder, each measured into its own folder val."""
    found: dict[str, list[tuple[ModelSpec, float]]] = {}
    for run in sorted(runs.iterdir()):
        spec = trained_spec(run / "student.safetensors")
        if spec is not None:
            top_1 = read_report(run / "val")["metrics"]["top_1"]
            found.setdefault(spec.name, []).append((spec, 100 * top_1))
    rows = []
    for name, measured in found.items():
        spec, values = measured[0][0], [top_1 for _, top_1 in measured]
        costs = (f"{spec.parameters / 1e6:.2f} M", f"{spec.encoder_macs / 1e6:.1f} M")
        rows.append((name, *costs, "  ".join(f"{value:.1f}" for value in values), f"{np.mean(values):.2f}"))
    headings = ("parameters", "MACs", "top-1 of each seed, %", "mean")
    print_table([("model", "left"), *((heading, "right") for heading in headings)], rows)
    print(json.dumps(rows))


@app.command
def photos(output: Path, /, *, data: Path, longest_px: int = 320) -> None:
    """Write train and val with images, labels and classes.txt: classes from the sources of the photos' masks.

    Where only a thing is marked and nobody looked at the rest, a rim around it counts as background and the rest is
    ignored: else a model that calls the whole photo a person would be right. Photos to train on are made smaller, to a
    long side of `longest_px`, those to measure on are not.
    """
    for split in ("train", "val"):
        chosen = [sample for sample in open_folders([data / split]) if sample.source in SOURCES]
        for folder in ("images", "labels"):
            (output / split / folder).mkdir(parents=True, exist_ok=True)
        (output / split / "classes.txt").write_text("\n".join(NAMES) + "\n")
        for sample in chosen:
            image, labels = Image.fromarray(sample.read_image()), Image.fromarray(label_map(sample))
            if split == "train":
                image.thumbnail((longest_px, longest_px))
                labels = labels.resize(image.size, Image.Resampling.NEAREST)
            labels.save(output / split / "labels" / f"{sample.name}.png")
            image.save(output / split / "images" / f"{sample.name}.jpg", quality=95)
        print(f"{output / split}: {len(chosen)} photos")


@app.command
def colors(data: Path, /) -> None:
    """Fit a boosted forest to color and place of single pixels of train, and print its IoU per class on val."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    seen, wanted = zip(*(_some_pixels(sample, rng) for sample in _maps(data / "train")), strict=True)
    model = HistGradientBoostingClassifier(max_iter=40, random_state=0, class_weight="balanced")
    model.fit(np.concatenate(seen), np.concatenate(wanted))
    pairs = []
    for sample in _maps(data / "val"):
        truth = sample.read_classes()
        answer = model.predict(_features(sample.read_image()).reshape(-1, 5)).reshape(truth.shape)
        pairs.append(confusion(truth, answer, len(NAMES)))
    metrics = measure_pixels(summed(pairs, len(NAMES)), NAMES)
    rows = [(name, f"{100 * row['iou']:.1f}") for name, row in metrics["per_class"].items()]
    print_table([("class", "left"), ("IoU", "right")], [*rows, ("mean", f"{100 * metrics['miou']:.1f}")])
    print(json.dumps(metrics))


@app.command
def sheet(
    data: Path,
    /,
    *,
    checkpoint: Path,
    output: Path,
    sources: Annotated[list[str], Parameter(consume_multiple=True)],
    photos: Annotated[list[Path], Parameter(consume_multiple=True)],
) -> None:
    """Draw three photos of each source, which a seed chooses, as photo, truth and answer; then photos without truth.

    What is ignored stays as it is.
    """
    model = load(checkpoint=checkpoint, backend="torch", task="semantic_segmentation")
    rng = np.random.default_rng(0)
    rows = []
    for source in sources:
        found = [sample for sample in _maps(data) if source_of(sample.name) == source]
        chosen = [found[index] for index in sorted(rng.choice(len(found), SHOWN, replace=False))]
        rows.append(np.hstack([_tiles(sample.read_image(), sample.read_classes(), model) for sample in chosen]))
        print(source, *(sample.name for sample in chosen))
    for start in range(0, len(photos), SHOWN):
        shown = photos[start : start + SHOWN]
        rows.append(np.hstack([_tiles(read_image(photo), None, model) for photo in shown]))
    Image.fromarray(np.vstack(rows)).save(output, quality=88)
    print(output, ", ".join(f"{name} {color}" for name, color in zip(NAMES, COLORS, strict=True)), sep="\n")


def _tiles(image: NDArray[np.uint8], truth: NDArray[np.int32] | None, model: SemanticSegmenter) -> NDArray[np.uint8]:
    """The photo, the truth and the answer beside each other, TILE pixels wide and high each."""
    tiles = []
    for classes in (None, truth, model.parse(image).labels.astype(np.int32)):
        picture = image.copy()
        if classes is not None:
            marked = classes != IGNORED
            picture[marked] = image[marked] // 3 + np.array(COLORS, np.uint8)[classes[marked]] // 3 * 2
        tile = Image.new("RGB", (TILE, TILE), "white")
        if classes is not None or not tiles:
            shrunk = Image.fromarray(picture)
            shrunk.thumbnail((TILE - 4, TILE - 4))
            tile.paste(shrunk, (2, 2))
        tiles.append(np.asarray(tile))
    return np.hstack(tiles)


def label_map(sample: Sample) -> NDArray[np.uint8]:
    """The classes of a photo's pixels, uint8 [H, W]."""
    number, outside = SOURCES[sample.source]
    marked = np.zeros(sample.size_hw, bool)
    for annotation in sample.annotations:
        marked |= annotation.to_array()
    if outside:
        return np.where(marked, number, 0).astype(np.uint8)
    distance = np.asarray(ndimage.distance_transform_edt(~marked))
    rim = RIM * float(np.hypot(*sample.size_hw))
    return np.where(marked, number, np.where(distance <= rim, 0, VOID)).astype(np.uint8)


def _maps(folder: Path) -> list[ClassMapSample]:
    return [sample for sample in open_class_maps(folder, "val").samples if isinstance(sample, ClassMapSample)]


def _features(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Color and place of each pixel: float32 [H, W, 5]."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    places = np.stack([y / image.shape[0], x / image.shape[1]], axis=-1)
    return np.concatenate([image / 255, places], axis=-1).astype(np.float32)


def _some_pixels(sample: ClassMapSample, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    classes = sample.read_classes().ravel()
    places = rng.choice(np.flatnonzero(classes != IGNORED), PIXELS_PER_PHOTO)
    return _features(sample.read_image()).reshape(-1, 5)[places], classes[places]


if __name__ == "__main__":
    app()
