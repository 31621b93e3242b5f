"""The SA-1B record: `NAME.json` beside `NAME.jpg`, one RLE mask per annotation.

Layout from the SA-1B data card: `{"image": {width, height, …}, "annotations": [{id, bbox, area, segmentation}]}`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samlet.data.fields import label, parse_annotation, parse_rle, parse_size_hw
from samlet.data.sample import Annotation, Sample, source_of
from samlet.errors import DataError


def parse_record(record: Any, name: str, image: Path | Callable[[], NDArray[np.uint8]], where: str) -> Sample:
    """A decoded SA-1B record as a Sample of that image; `where` is how errors call the record."""
    if not isinstance(record, dict) or not isinstance(record.get("annotations"), list):
        raise DataError(f"{where} has no list 'annotations': it is not an SA-1B record.")
    size_hw = parse_size_hw(record.get("image"), where)
    annotations = tuple(
        _annotation(item, size_hw, f"{where}, annotation {label(item, index)}")
        for index, item in enumerate(record["annotations"])
    )
    return Sample(name, source_of(name), image, size_hw, annotations)


def _annotation(item: Any, size_hw: tuple[int, int], where: str) -> Annotation:
    if not isinstance(item, dict) or "segmentation" not in item:
        raise DataError(f"{where} has no 'segmentation'.")
    return parse_annotation(item, parse_rle(item["segmentation"], size_hw, where), where)
