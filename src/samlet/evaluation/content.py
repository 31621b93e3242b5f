"""What tells one photo with its masks from another of the same name: a hash of both."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from samlet.data import Sample
from samlet.data.shards import Member
from samlet.reading import reading


def content_sha256(sample: Sample) -> str:
    """sha256 over the image as it is stored, the annotations and the detections; DataError if it cannot be read.

    Of an image that is neither a file nor a member of a shard its pixels are taken.
    """
    digest = hashlib.sha256(_image_bytes(sample))
    masks = [
        [item.id, item.area_px, item.box_xywh, item.crowd, item.category, *map(_text, item.rle.values())]
        for item in sample.annotations
    ]
    boxes = [[item.category_id, item.score, item.box_xywh] for item in sample.detections]
    digest.update(json.dumps([masks, boxes, *sample.facts]).encode())
    digest.update(sample.stored_truth())
    return digest.hexdigest()


def _image_bytes(sample: Sample) -> bytes:
    if isinstance(sample.image, Path):
        with reading(sample.image, "an image"):
            return sample.image.read_bytes()
    return sample.image.read() if isinstance(sample.image, Member) else sample.read_image().tobytes()


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
