"""Small data sets of classes, written for a test."""

from __future__ import annotations

import numpy as np
from PIL import Image


def picture(path, size_wh=(24, 16), color=(200, 60, 20)):
    """An image file of one color."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size_wh, color).save(path)
    return path


def class_map(path, values):
    """A label map of these values [H, W]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
    return path


def write_classes(root, classes=("cat", "dog"), each=3):
    """A folder for each class; each class has a color of its own, each image a shade."""
    for number, name in enumerate(classes):
        for index in range(each):
            color = (40 + 170 * (number % 2), 30 + 90 * (number // 2), 10 * index)
            picture(root / name / f"{index}.png", color=color)
    return root


def write_maps(root, images=3, classes=("ground", "red", "green"), size_wh=(24, 16)):
    """Images whose left third is black, and red or green beside it, with label maps; the last column is ignored."""
    width, height = size_wh
    for index in range(images):
        values = np.zeros((height, width), np.uint8)
        values[:, width // 3 :] = 1 + index % 2
        colors = np.array([(0, 0, 0), (220, 0, 0), (0, 220, 0)], np.uint8)[values]
        values[:, -1] = 255
        (root / "images").mkdir(parents=True, exist_ok=True)
        Image.fromarray(colors).save(root / "images" / f"set_{index}.png")
        class_map(root / "labels" / f"set_{index}.png", values)
    (root / "classes.txt").write_text("\n".join(classes) + "\n")
    return root
