"""The shipped model answers as it did: twenty answers, the same to the bit with the same runtime and kind of CPU.

`python tests/contract/test_same_masks.py` stores them anew; only a new default model is a reason to.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
from pycocotools import mask as coco_mask

import samlet

ROOT = Path(__file__).parents[2]
STORED = ROOT / "tests" / "fixtures" / "same_masks.json"
AVX512 = 256  # CPU_AVX512_SKX in OpenCV's enum: runtimes choose their kernels by it, and with them the last digit
POINT, BOX = "point", "box"
QUESTIONS = [
    (photo, kind, values)
    for photo, x, y, box in (
        ("astronaut", 220, 120, (120, 20, 400, 500)),
        ("cat", 150, 150, (40, 30, 260, 290)),
        ("coffee", 300, 200, (150, 60, 470, 340)),
        ("retina", 120, 480, (60, 60, 900, 900)),
        ("rocket", 312, 210, (250, 100, 380, 400)),
    )
    for kind, values in ((POINT, [(x, y)]), (POINT, [(x, y), (x + 20, y + 30)]), (BOX, [box]), ("both", [(x, y), box]))
]


@cache
def model() -> samlet.Predictor:
    return samlet.load(backend="onnx", threads=1)


@cache
def embedding(photo: str) -> samlet.Embedding:
    return model().embed(ROOT / "examples" / f"{photo}.jpg")


def answer(photo: str, kind: str, values: list) -> dict:
    """The best mask as COCO run lengths, and a digest of its logits rounded to nothing: every bit counts."""
    if kind == POINT:
        prompts = samlet.Prompts.points(values)
    elif kind == BOX:
        prompts = samlet.Prompts.boxes(values[0])
    else:
        prompts = samlet.Prompts.boxes(values[1], [values[0]])
    masks = model().predict(embedding(photo), prompts, ambiguous=True)  # the best of the three, also for two points
    array = masks[0].to_array()
    rle = coco_mask.encode(np.asfortranarray(array.astype(np.uint8)))
    return {
        "photo": photo,
        "kind": kind,
        "mask_sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        "logits_sha256": hashlib.sha256(masks.low_res_logits.tobytes()).hexdigest(),
        "size": list(map(int, rle["size"])),
        "counts": rle["counts"].decode(),
    }


def this_machine() -> dict:
    """What decides a last digit: the kernels that the runtime has, and which of them this CPU runs."""
    return {"onnxruntime": onnxruntime.__version__, "avx512": cv2.checkHardwareSupport(AVX512)}


def stored() -> dict:
    return json.loads(STORED.read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(len(QUESTIONS)), ids=lambda n: f"{QUESTIONS[n][0]}-{QUESTIONS[n][1]}-{n % 4}")
def test_an_answer_is_as_it_was(number: int) -> None:
    record = stored()
    now, then = answer(*QUESTIONS[number]), record["answers"][number]
    if this_machine() == record["made_with"]:
        assert now == then
    iou = coco_mask.iou([{k: now[k] for k in ("size", "counts")}], [{k: then[k] for k in ("size", "counts")}], [0])
    assert iou[0, 0] > 0.999  # other kernels, other last digits: a pixel of the outline may differ


if __name__ == "__main__":
    content = {"made_with": this_machine(), "answers": [answer(*question) for question in QUESTIONS]}
    STORED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
