"""`samlet classify`: photos in, the classes they most likely show out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from samlet.cli.options.bounds import Between
from samlet.cli.options.model import THE_DEFAULT, ClassesFile, ModelOptions
from samlet.cli.options.photos import Photos, find_photos
from samlet.cli.passing_over import MaxBroken, PassedOver
from samlet.cli.progress import progress_bars
from samlet.cli.tables import print_table
from samlet.errors import InputError

if TYPE_CHECKING:
    from samlet.classifying import Classification, Classifier

COLUMNS = (("image", "left"), ("rank", "right"), ("class", "left"), ("probability", "right"))


def classify(
    images: Photos,
    /,
    *,
    top: Annotated[
        int, Parameter(help="So many classes per image, the surest first; default: 5.", validator=Between(1, 65535))
    ] = 5,
    batch_size: Annotated[
        int, Parameter(help="Images in one run of the network; default: 8.", validator=Between(1, 1024))
    ] = 8,
    model: ModelOptions = THE_DEFAULT,
    classes: ClassesFile | None = None,
    max_broken: MaxBroken = 0,
    json_: Annotated[bool, Parameter(name="--json", help="Print one JSON record per image.")] = False,
) -> None:
    """Say what is in photos.

    Each image is resized and cropped as the model was measured with, and its surest classes are printed with their
    probabilities. There is no default model: --model names one of `samlet models`, or an exported folder.
    """
    check_named(model, "efficientvit-b1")
    photos = find_photos(images)
    classifier: Classifier = model.load("classification", classes=classes)
    broken = PassedOver(max_broken)
    rows: list[tuple[str, ...]] = []
    with progress_bars(shown=None if len(photos) > 1 else False) as bars:
        task = bars.add_task("classifying", total=len(photos))
        for start in range(0, len(photos), batch_size):
            batch = photos[start : start + batch_size]
            for photo, answer in _answers(classifier, batch, top, broken):
                if json_:
                    print(json.dumps(_record(photo, classifier, answer)), flush=True)
                rows += _rows(photo, answer)
            bars.advance(task, len(batch))
    if not json_:
        print_table(COLUMNS, rows)
    broken.tell()


def check_named(model: ModelOptions, example: str) -> None:
    """InputError unless the call says which model: samlet ships none for this task."""
    if model.model is None and model.checkpoint is None:
        raise InputError(f"No model for this ships with samlet: name one, as in --model {example} (`samlet models`).")


def _answers(
    classifier: Classifier, photos: list[Path], top: int, broken: PassedOver
) -> list[tuple[Path, Classification]]:
    """The photos that can be read, each with its answer."""
    readable: list[tuple[Path, NDArray[np.float32]]] = []
    for photo in photos:
        with broken.passing_over(photo):
            readable.append((photo, classifier.pixels(photo)))
    if not readable:
        return []
    found = classifier.classify_pixels(np.stack([pixels for _, pixels in readable]), top)
    return [(photo, answer) for (photo, _), answer in zip(readable, found, strict=True)]


def _record(photo: Path, classifier: Classifier, answer: Classification) -> dict[str, Any]:
    return {"image": str(photo), "model": classifier.spec.name, "classes": answer.to_json()}


def _rows(photo: Path, answer: Classification) -> list[tuple[str, ...]]:
    return [
        (str(photo) if rank == 1 else "", str(rank), score.name, f"{score.probability:.1%}")
        for rank, score in enumerate(answer.scores, 1)
    ]
