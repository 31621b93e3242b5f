"""What the library says of small pictures and masks, for the page's own tests: the page does the same steps in
TypeScript. Writes web/tests/local/golden.json.

    python tests/web/golden_numbers.py
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np

from samlet.candidates import less_for_size
from samlet.data.labelled import LabelledImage, files_of
from samlet.dialogue import turns_of
from samlet.geometry.clean import clean_code
from samlet.geometry.corrections import corrected
from samlet.geometry.frames import ImageFrame
from samlet.geometry.guided_filter import guided_bands, plain_bands
from samlet.geometry.patches import Patch
from samlet.geometry.points import coarse_to_fine
from samlet.geometry.rle import decode, encode, to_counts
from samlet.geometry.tally import Tally
from samlet.geometry.windows import Window, window_around
from samlet.masks import Mask, MaskSet
from samlet.preprocess import resize, to_pixels
from samlet.prompts import Prompts
from samlet.spec import ImageSpec, ThingRule

FILE = Path(__file__).parents[2] / "web" / "tests" / "local" / "golden.json"
SPEC = ImageSpec(canvas=48, prompt_canvas=64, low_res=16)
SIZES_HW = ((30, 45), (45, 30), (48, 48), (97, 31), (1, 9), (5, 3))


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def photo(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Blocks of color under a gradient and a little noise."""
    random = np.random.default_rng(seed)
    blocks = np.kron(random.integers(0, 256, (4, 5, 3)), np.ones((-(-height // 4), -(-width // 5), 1)))[:height, :width]
    slope = np.linspace(-20, 20, width)[None, :, None]
    return (blocks + slope + random.normal(0, 6, (height, width, 3))).clip(0, 255).astype(np.uint8)


def logits(side: int, seed: int) -> np.ndarray:
    """A few hills."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    hills = np.full((side, side), -4.0)
    for _ in range(3):
        y, x, wide = [*random.uniform(0.1, 0.8, 2).tolist(), random.uniform(0.1, 0.2)]
        hills += 9 * np.exp(-(((rows / side - y) ** 2 + (columns / side - x) ** 2) / (2 * wide**2)))
    return hills.astype(np.float32)


def numbers() -> dict[str, Any]:
    return {
        "resized": [_resized(*sizes) for sizes in RESIZED],
        "pixels": _pixels(),
        "frames": [_frame(size_hw) for size_hw in SIZES_HW],
        "patches": [_patch(size_hw, seed) for seed, size_hw in enumerate(SIZES_HW)],
        "tallies": [_tally(size_hw) for size_hw in SIZES_HW],
        "levels": [
            [per_side, stride, [level.tolist() for level in coarse_to_fine(per_side, stride)]]
            for per_side, stride in ((1, 8), (3, 8), (16, 8), (20, 4))
        ],
        "samples": [_sample((0, 0, 45, 30), (30, 45)), _sample((7, 3, 40, 29), (13, 17))],
        "guided": [_guided(*case) for case in GUIDED],
        "plain": _plain(),
        "cleaned": [_cleaned(seed) for seed in range(6)],
        "corrected": [_corrected(seed) for seed in range(6)],
        "windows": [_window(seed) for seed in range(8)],
        "tokens": [_tokens(*case) for case in PROMPTS],
        "project": _project(),
    }


RESIZED = (((30, 45), (20, 30)), ((30, 45), (48, 72)), ((31, 97), (15, 48)), ((9, 9), (9, 4)))
GUIDED = (((40, 60), (40, 60), 2), ((40, 60), (20, 30), 3), ((33, 50), (17, 25), 9))
PROMPTS = (
    ([[3, 4]], [1], None),
    ([[3, 4], [20, 9]], [0, 1], None),
    ([[3, 4], [20, 9], [8.5, 7.25]], [0, 0, 1], (2, 1, 30, 20.5)),
    ([], [], (-0.5, 1, 45.5, 30)),
)


def _resized(source: tuple[int, int], target: tuple[int, int]) -> dict[str, Any]:
    image = photo(*source)
    return {"size": source, "photo": packed(image), "target": target, "result": packed(resize(image, target))}


def _pixels() -> dict[str, Any]:
    image = photo(60, 90, 5)
    pixels, frame = to_pixels(image, SPEC)
    return {
        "size": [60, 90],
        "photo": packed(image),
        "content": frame.content_hw,
        "result": packed(pixels),
        "window": [10, 5, 43, 59],
        "of_window": packed(to_pixels(image[5:59, 10:43], SPEC)[0]),
    }


def _tally(size_hw: tuple[int, int]) -> dict[str, Any]:
    """Of four masks of two clicks, at each place of a grid."""
    frame = ImageFrame(size_hw, SPEC.canvas, SPEC.prompt_canvas, SPEC.low_res)
    tally = Tally.over(frame.low_res_hw)
    masks = [logits(SPEC.low_res, seed) for seed in range(4)]
    for number, low_res in enumerate(masks):
        tally.add(number // 2, Patch.cut(low_res, frame, -1.0))
    height, width = size_hw
    points = [[x, y] for x in np.linspace(0, width, 7) for y in np.linspace(0, height, 5)]
    counts = tally.at(np.array(points), size_hw).tolist()
    return {"size": size_hw, "logits": [packed(mask) for mask in masks], "points": points, "counts": counts}


def _frame(size_hw: tuple[int, int]) -> dict[str, Any]:
    frame = ImageFrame(size_hw, SPEC.canvas, SPEC.prompt_canvas, SPEC.low_res)
    boxes = [[0, 0, 15, 15], [2, 3, 4, 9], [7, 0, 7, 0]]
    return {
        "size": size_hw,
        "content": frame.content_hw,
        "prompt": frame.prompt_hw,
        "low_res": frame.low_res_hw,
        "point": frame.to_prompt([1.5, 0.25]).tolist(),
        "boxes": boxes,
        "reach": [frame.reach_of(box) for box in boxes],
    }


def _worth(low_res: np.ndarray, frame: ImageFrame) -> float:
    """Of a mask with a predicted IoU of 0.7."""
    height, width = frame.low_res_hw
    share = (low_res[:height, :width] > 0).mean()
    return float(less_for_size(np.array(0.7), share, 0.05))


def _patch(size_hw: tuple[int, int], seed: int) -> dict[str, Any]:
    frame = ImageFrame(size_hw, SPEC.canvas, SPEC.prompt_canvas, SPEC.low_res)
    low_res = logits(SPEC.low_res, seed)
    patch = Patch.cut(low_res, frame, -1.0)
    rle, stability = patch.answer(1.0)
    least = ThingRule(level=-0.5, iou=1.5, size=3.0).least_stability(0.15 * seed, patch.share)
    return {
        "size": size_hw,
        "logits": packed(low_res),
        "least_stability": least,
        "worth": _worth(low_res, frame),
        "counts": to_counts(rle),
        "text": rle["counts"].decode(),
        "stability": stability,
        "box": patch.image_box(),
        "sampled": packed(patch.sample(Window(0, 0, size_hw[1], size_hw[0]), (9, 14))),
    }


def _sample(window: tuple[int, int, int, int], size_hw: tuple[int, int]) -> dict[str, Any]:
    frame = ImageFrame((30, 45), SPEC.canvas, SPEC.prompt_canvas, SPEC.low_res)
    low_res = logits(SPEC.low_res, 7)
    result = frame.sample_logits(low_res, window, size_hw)
    return {"logits": packed(low_res), "window": window, "size": size_hw, "result": packed(result)}


def _guided(size_hw: tuple[int, int], grid_hw: tuple[int, int], radius_px: int) -> dict[str, Any]:
    image = photo(*size_hw, seed=radius_px)
    rows, columns = np.mgrid[: grid_hw[0], : grid_hw[1]]
    distance = np.hypot(rows / grid_hw[0] - 0.5, columns / grid_hw[1] - 0.5)
    probability = (1 / (1 + np.exp(30 * (distance - 0.3)))).astype(np.float32)
    mask = np.concatenate(list(guided_bands(probability, image, radius_px, 1e-4)))
    return {
        "size": size_hw,
        "photo": packed(image),
        "grid": grid_hw,
        "probability": packed(probability),
        "radius": radius_px,
        "mask": packed(mask),
    }


def _plain() -> dict[str, Any]:
    low_res = logits(16, 3)
    return {
        "logits": packed(low_res),
        "size": [50, 37],
        "mask": packed(np.concatenate(list(plain_bands(low_res, (50, 37))))),
    }


def _cleaned(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    mask = np.zeros((40, 50), bool)
    mask[8:30, 6:34] = True
    for _ in range(6):
        y, x, height, width = (int(value) for value in random.integers((0, 0, 1, 1), (38, 46, 4, 5)))
        mask[y : y + height, x : x + width] ^= True
    positive, negative = random.uniform(0, 40, (2, seed % 3, 2))
    code = clean_code(encode(mask), positive, negative)
    return {
        "mask": packed(mask),
        "positive": positive.tolist(),
        "negative": negative.tolist(),
        "result": packed(decode(code)),
        "counts": to_counts(code),
    }


def _corrected(seed: int) -> dict[str, Any]:
    last, answer = logits(16, seed), logits(16, seed + 20)
    click = np.random.default_rng(seed).uniform(-1, 17, 2).tolist()
    return {
        "last": packed(last),
        "answer": packed(answer),
        "click": click,
        "result": packed(corrected(last, answer, click)),
    }


def _window(seed: int) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    corner, side = random.uniform(0, 60, 2), random.uniform(1, 40, 2)
    box = [*corner.tolist(), *(corner + side).tolist()]
    return {"box": box, "size": [80, 110], "window": window_around(box, (80, 110), 0.4, 0.33).xyxy}


def _tokens(points: list[list[float]], labels: list[int], box: tuple[float, ...] | None) -> dict[str, Any]:
    prompts = Prompts.points(points, labels) if box is None else Prompts.boxes(box, points or None, labels or None)
    frame = ImageFrame((30, 45), SPEC.canvas, SPEC.prompt_canvas, SPEC.low_res)
    points_xy, token_labels = prompts.clipped(frame.size_hw).tokens()
    turns = turns_of(prompts.labels)[0][: len(points)].tolist()
    return {
        "points": points,
        "labels": labels,
        "box": box,
        "points_xy": frame.to_prompt(points_xy)[0].tolist(),
        "token_labels": token_labels[0].tolist(),
        "turns": turns,
    }


def _project() -> dict[str, Any]:
    """Two photos with what is marked on them, and the files that the library makes of it."""
    images, given = [], []
    for name, size_hw, labels in (("a/one.jpg", (60, 80), ("cat", "a dog?", "cat")), ("two.png", (33, 21), ("tree",))):
        masks = [Mask(encode(_marked(size_hw, number)), iou=0.5 + number / 8) for number in range(len(labels))]
        images.append(LabelledImage(name, MaskSet(masks, size_hw), labels, lambda: photo(4, 4)))
        layers = [
            {"label": label, "counts": to_counts(mask.rle), "iou": mask.iou}
            for label, mask in zip(labels, masks, strict=True)
        ]
        given.append({"name": name, "size": size_hw, "layers": layers})
    files = files_of(images, ("coco", "coco-polygons", "labelme", "yolo", "sa1b"), ("tree", "cat"))
    return {"images": given, "files": {name: bytes(content).decode() for name, content in files}}


def _marked(size_hw: tuple[int, int], number: int) -> np.ndarray:
    """A disk, a ring with a part inside its hole, or two parts."""
    height, width = size_hw
    rows, columns = np.mgrid[:height, :width]
    far = np.hypot(rows - height / 2, columns - width / 2) / (min(size_hw) / 2)
    if number == 0:
        return far < 0.8
    if number == 1:
        return ((far < 0.9) & (far > 0.5)) | (far < 0.25)
    return (columns < width // 4) | (columns > width - width // 5)


def text() -> str:
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in numbers().items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text())
