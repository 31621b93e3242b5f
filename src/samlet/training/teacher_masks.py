"""A teacher's masks of views of photos, kept as photos with SA-1B records: more to fine-tune on than people drew.

They are what everything mode would find with a few clicks at random places, whole things and parts alike, so a student
that learns from them beside people's keeps an answer for what nobody drew.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from samlet.backend import Embedding
from samlet.data import Sample
from samlet.files import make_folder, write_files
from samlet.geometry.clean import clean_code
from samlet.geometry.overlaps import mask_nms
from samlet.masks import Mask
from samlet.masks.records import to_annotation
from samlet.predictor import Predictor
from samlet.preprocess import frame_of
from samlet.prompts import Prompts
from samlet.training.batches.order import Readable, choose, drawn
from samlet.training.batches.views import draw_view, generator
from samlet.training.config import TrainConfig
from samlet.training.loop.processes import count, rank, wait_for_all
from samlet.training.stages.teacher import Teacher

CLICKS, MOST_MASKS = 8, 6
PRED_IOU_THRESH, STABILITY_SCORE_THRESH, NMS_THRESH = 0.85, 0.9, 0.7
AREA_SHARES = 0.002, 0.8
QUALITY = 95
PREFIX = "teacher"  # of file names: the source, as evaluation and packs see it


def write_teacher_masks(
    samples: Sequence[Sample],
    teacher: Teacher,
    config: TrainConfig,
    output: Path,
    views: int,
    told: Callable[[int, int], None] | None = None,
) -> int:
    """Write the first `views` views that a run with `config` shows, each as JPEG with the teacher's masks in a record.

    Views that are there already stay, so a stopped call goes on; a view the teacher is sure of nothing in is left out.
    Several processes write a share each.
    Returns how many there are. DataError if too many photos cannot be read, OutputError.
    """
    make_folder(output)
    predictor = Predictor(teacher.backend)
    images = Readable(choose(samples, config))
    todo = range(rank(), views, count())
    for done, position in enumerate(todo, start=1):
        path = output / f"{PREFIX}_{position:06d}.json"
        if not path.exists():
            epoch, index = drawn(config, len(images), position)
            view = partial(_view, config=config, number=epoch % config.views)
            rng = partial(generator, config.seed, "teacher masks", position)
            images.make(index, lambda sample, p=path, v=view, r=rng: _write(p, v(sample), predictor, teacher, r()))
        if told is not None:
            told(done, len(todo))
    wait_for_all()
    return sum(1 for _ in output.glob(f"{PREFIX}_*.json"))


def _view(sample: Sample, config: TrainConfig, number: int) -> NDArray[np.uint8]:
    image = sample.read_image()
    return draw_view(image.shape[:2], sample.name, number, config).apply(image)


def _write(
    path: Path, image: NDArray[np.uint8], predictor: Predictor, teacher: Teacher, rng: np.random.Generator
) -> None:
    masks = teacher_masks(predictor, teacher, image, rng)
    if not masks:
        return
    picture = path.with_suffix(".jpg")
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=QUALITY)
    height, width = image.shape[:2]
    record = {
        "image": {"image_id": path.stem, "width": width, "height": height, "file_name": picture.name},
        "annotations": [to_annotation(place, mask) for place, mask in enumerate(masks, start=1)],
    }
    write_files({picture: content.getvalue(), path: json.dumps(record).encode()})


def teacher_masks(
    predictor: Predictor, teacher: Teacher, image: NDArray[np.uint8], rng: np.random.Generator
) -> list[Mask]:
    """Clean masks of uint8 RGB [H, W, 3] that the teacher gives for a few clicks and is sure of, best first."""
    height, width = image.shape[:2]
    features = {"image_embeddings": teacher.embed(image)[None].astype(np.float32)}
    frame = frame_of((height, width), predictor.spec.image)
    embedding = Embedding(features, frame, predictor.spec.name, predictor.weights)
    prompts = Prompts.stack([Prompts.points(point[None]) for point in rng.uniform(0, [width, height], (CLICKS, 2))])
    found = predictor.predict(embedding, prompts, candidates="multimask")
    sure = [mask for mask in found if _is_sure(mask)]
    worth = [(mask.iou or 0) * (mask.stability or 0) for mask in sure]
    kept = mask_nms([mask.rle for mask in sure], worth, NMS_THRESH)[:MOST_MASKS]
    return [Mask(clean_code(sure[k].rle), sure[k].iou, sure[k].stability) for k in kept]


def _is_sure(mask: Mask) -> bool:
    height, width = mask.size_hw
    smallest, largest = AREA_SHARES
    return (
        (mask.iou or 0) >= PRED_IOU_THRESH
        and (mask.stability or 0) >= STABILITY_SCORE_THRESH
        and smallest <= mask.area_px / (height * width) <= largest
    )
