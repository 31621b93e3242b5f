"""From `--point X,Y[,LABEL]` and `--box X0,Y0,X1,Y1` to `Prompts`."""

from __future__ import annotations

from collections.abc import Sequence

from samlet.errors import PromptError
from samlet.prompts import PointLabel, Prompts


def parse_prompts(points: Sequence[str], boxes: Sequence[str]) -> Prompts:
    """Return the prompts that the options describe: each box one prompt to which all points belong, or, without boxes,
    one prompt of all points. `PromptError` names the option that cannot be read.
    """
    parsed = [_point(text) for text in points]
    points_xy = [(x, y) for x, y, _ in parsed]
    labels = [label for _, _, label in parsed]
    if boxes:
        boxes_xyxy = [_numbers(text, "--box", "X0,Y0,X1,Y1", (4,)) for text in boxes]
        return Prompts.boxes(boxes_xyxy, points_xy, labels) if points else Prompts.boxes(boxes_xyxy)
    if not points:
        raise PromptError("There is nothing to segment: give a --point X,Y or a --box X0,Y0,X1,Y1.")
    return Prompts.points(points_xy, labels)


def _point(text: str) -> tuple[float, float, int]:
    x, y, *rest = _numbers(text, "--point", "X,Y or X,Y,LABEL", (2, 3))
    label = rest[0] if rest else PointLabel.FOREGROUND
    if label not in (PointLabel.BACKGROUND, PointLabel.FOREGROUND):
        raise PromptError(f'The label of --point "{text}" must be 1 (foreground) or 0 (background).')
    return x, y, int(label)


def _numbers(text: str, option: str, form: str, counts: tuple[int, ...]) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts:
        raise PromptError(f'{option} "{text}" cannot be read: it is {form}, numbers in pixels.')
    return numbers
