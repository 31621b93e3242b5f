"""3,000 damaged files, drawn from one seed, through every reader: each is read or refused with a sentence of samlet's.

No other exception comes out, nothing is printed, no warning is given, no file takes more than `SLOWEST_S` or makes the
process grow by more than `MOST_MIB`. To try other damage: SAMLET_FUZZ_SEED=7 and SAMLET_FUZZ_COUNT=20000.
"""

from __future__ import annotations

import io
import json
import os
import random
import re
import resource
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from tests import filler
from tests.data import records
from tests.mutations import Mutation, damaged_bytes, damaged_json, damaged_tar

from samlet.backend import Embedding
from samlet.data import Broken, open_data
from samlet.data.detections import read_detections
from samlet.data.shard_index import IndexedShard
from samlet.errors import SamletError
from samlet.evaluation.report.compare import compare
from samlet.evaluation.report.summary import build_report
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.geometry.frames import ImageFrame
from samlet.images import read_image, upright_size
from samlet.masks import MaskSet
from samlet.models.checkpoints import read_state_dict
from samlet.models.registry import get_spec
from samlet.runtime.artifact import Artifact
from samlet.training.config import DistillEncoderConfig, TrainConfig
from samlet.training.curves import read_log
from samlet.training.loop.checkpoint import load_checkpoint

SEED = os.environ.get("SAMLET_FUZZ_SEED", "1")
COUNT = int(os.environ.get("SAMLET_FUZZ_COUNT", "3000"))
SLOWEST_S = 10.0  # a machine that others use too; most take a millisecond
MOST_MIB = 1024
LONGEST_SENTENCE = 2000

HEIGHT, WIDTH = records.HEIGHT, records.WIDTH
PICTURE = filler.image(HEIGHT, WIDTH)


@dataclass(frozen=True)
class Reader:
    """A whole file, how it is damaged, and what reads it; `read` gets its path inside a folder of its own."""

    name: str
    content: bytes
    damage: Mutation
    read: Callable[[Path], Any]
    beside: tuple[tuple[str, bytes], ...] = ()


def encoded(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    file = io.BytesIO()
    (Image.fromarray(PICTURE) if image is None else image).save(file, kind, **options)
    return file.getvalue()


def photos() -> dict[str, bytes]:
    exif = Image.Exif()
    exif[0x0112] = 6
    gray16 = Image.fromarray(PICTURE[..., 0].astype(np.uint16) * 16)
    color16 = cv2.imencode(".png", PICTURE.astype(np.uint16) * 16)[1].tobytes()
    return {
        "photo.jpg": encoded("JPEG", exif=exif),
        "photo.png": encoded("PNG", exif=exif),
        "gray16.png": encoded("PNG", gray16),
        "color16.png": color16,
        "photo.tif": encoded("TIFF", exif=exif),
        "packed.tif": encoded("TIFF", compression="tiff_lzw"),
        "photo.webp": encoded("WEBP", exif=exif),
        "photo.bmp": encoded("BMP"),
        "photo.gif": encoded("GIF", Image.fromarray(PICTURE).quantize(16)),
    }


def look(path: Path) -> None:
    upright_size(path, str(path))
    read_image(path)


def use(samples: Any) -> None:
    for sample in samples:
        for annotation in sample.annotations:
            annotation.to_array()
        sample.read_image()


def open_all(path: Path) -> None:
    use(open_data([path.parent if path.suffix != ".tar" else path]).samples)


def open_coco(path: Path) -> None:
    use(open_data([path], path.parent, allow_missing=9, broken=Broken(9)).samples)


def labelme() -> dict[str, Any]:
    import base64

    mask = base64.b64encode(encoded("PNG", Image.fromarray(np.ones((3, 3), bool)))).decode()
    shapes = [
        {"label": "a", "points": [[1, 1], [5, 1], [5, 4]], "group_id": None, "shape_type": "polygon"},
        {"label": "b", "points": [[1, 1], [5, 4]], "group_id": 1, "shape_type": "rectangle"},
        {"label": "b", "points": [[1, 1], [3, 3]], "group_id": 1, "shape_type": "mask", "mask": mask},
        {"label": "c", "points": [[4, 3], [4, 5]], "group_id": None, "shape_type": "circle"},
    ]
    inside = base64.b64encode(encoded("PNG")).decode()
    size = {"imageHeight": HEIGHT, "imageWidth": WIDTH}
    return {"version": "5.8", "shapes": shapes, "imagePath": "gone.png", "imageData": inside, **size}


def coco() -> bytes:
    rle = {"size": [HEIGHT, WIDTH], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 14]}
    text = {"size": [HEIGHT, WIDTH], "counts": "=3000000>"}
    items = [records.annotation(1), records.annotation(2, segmentation=rle, iscrowd=1)]
    images = [records.image(coco_url="http://images/val2017/001.jpg"), records.image(2)]
    content = records.content(images=images, annotations=[*items, records.annotation(3, segmentation=text)])
    return json.dumps(content).encode()


def saved(content: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


@cache
def embedding() -> bytes:
    folder = Path(os.environ["SAMLET_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "embedding.npz"
    features = {"image_embeddings": np.zeros((1, 4, 4, 4), np.float32), "proposals": np.zeros((1, 2, 3), np.float32)}
    Embedding(features, ImageFrame((HEIGHT, WIDTH), 512), "mobile-sam").save(path)
    return path.read_bytes()


def log_of(results: list[ImageResult]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in ({"a": 1}, *(r.to_json() for r in results)))


def results() -> list[ImageResult]:
    instances = tuple(InstanceResult(i, 50.0 * i, 0.5, 0.6, 0.4, "cat", (0.1, 0.2, 0.3)) for i in (1, 2))
    return [ImageResult(name, "coco", instances, {"embed": 0.1}) for name in ("coco_1", "coco_2")]


def report() -> bytes:
    facts = {"protocol": {"start": "box"}, "samples_sha256": "0" * 64, "model": "m", "backend": "onnx"}
    return json.dumps(build_report(results(), facts)).encode()


def compare_with_whole(path: Path) -> None:
    whole = path.parent / "whole"
    whole.mkdir(exist_ok=True)
    (whole / "report.json").write_bytes(report())
    (whole / "images.jsonl").write_bytes(log_of(results()))
    compare([whole, path.parent])


def detections() -> bytes:
    found = {"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4.5], "score": 0.5}
    return json.dumps([found, found | {"score": 0.7}]).encode()


def read_mask_set(path: Path) -> None:
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return  # reading the file is up to the caller
    MaskSet.from_json(record).to_array()


def readers() -> list[Reader]:
    pair = {"a_1.jpg": encoded("JPEG"), "a_1.json": records.record(), "b/a_1.png": encoded("PNG")}
    square = b"3 0.1 0.2 0.3 0.2 0.3 0.5 0.1 0.5\n0 0.5 0.5 0.9 0.5 0.9 0.9\n"
    spec = json.dumps(get_spec("mobile-sam").to_json() | {"files": {"encoder.onnx": "0"}, "precision": "f"}).encode()
    config = json.dumps(DistillEncoderConfig(student="efficientvit-sam-b0", steps=9).to_json()).encode()
    tensors = {"a": torch.zeros(3, 4), "b.c": torch.ones(2)}
    log = b'{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.4}\n'
    photo = (("a_1.jpg", encoded("JPEG")), ("001.jpg", records.jpeg()))
    return [
        *(Reader(name, content, damaged_bytes, look) for name, content in photos().items()),
        Reader("a_1.json", records.record(), damaged_json, open_all, photo[:1]),
        Reader("drawn.json", json.dumps(labelme()).encode(), damaged_json, open_all),
        Reader("instances.json", coco(), damaged_json, open_coco, photo[1:]),
        Reader("a_1.txt", square, damaged_bytes, open_all, photo[:1]),
        Reader("a_1.png", encoded("PNG", Image.fromarray(PICTURE[..., 0] // 99)), damaged_bytes, open_all, photo[:1]),
        Reader("masks.json", records.record(), damaged_json, read_mask_set),
        Reader("found.json", detections(), damaged_json, lambda path: read_detections(path, {1: (6, 8)}, [3])),
        Reader("x.tar", tar(pair), damaged_tar, open_all),
        Reader("y.tar", tar(pair), damaged_tar, lambda path: use(IndexedShard(path))),
        Reader("photo.npz", embedding(), damaged_bytes, Embedding.load),
        Reader("weights.pt", saved(tensors), damaged_bytes, read_state_dict),
        Reader("weights.safetensors", save(tensors), damaged_bytes, read_state_dict),
        Reader("checkpoint.pt", saved({"step": 3, "student": tensors}), damaged_bytes, load_checkpoint),
        Reader("manifest.json", spec, damaged_json, lambda path: Artifact.open(path.parent)),
        Reader("config.json", config, damaged_json, TrainConfig.load),
        Reader("log.jsonl", log, damaged_json, lambda path: read_log(path.parent)),
        Reader("report.json", report(), damaged_json, compare_with_whole, (("images.jsonl", log_of(results())),)),
        Reader("images.jsonl", log_of(results()), damaged_json, compare_with_whole, (("report.json", report()),)),
    ]


def tar(members: dict[str, bytes]) -> bytes:
    folder = Path(os.environ["SAMLET_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    return records.write_shard(folder / "whole.tar", members).read_bytes()


NAMES = [
    *photos(), "a_1.json", "drawn.json", "instances.json", "a_1.txt", "a_1.png", "masks.json", "found.json", "x.tar",
    "y.tar", "photo.npz", "weights.pt", "weights.safetensors", "checkpoint.pt", "manifest.json", "config.json",
    "log.jsonl", "report.json", "images.jsonl",
]  # fmt: skip


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMLET_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def reader(request: pytest.FixtureRequest, cache_folder: None) -> Reader:
    return next(reader for reader in readers() if reader.name == request.param)


def put(folder: Path, reader: Reader, content: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    for name, beside in reader.beside:
        (folder / name).write_bytes(beside)
    path = folder / reader.name
    path.write_bytes(content)
    return path


def fault(read: Callable[[Path], Any], path: Path) -> str | None:
    """What is wrong with how a file is read or refused; None if nothing is."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            read(path)
        except SamletError as error:
            sentence = str(error)
            if len(sentence) > LONGEST_SENTENCE or not re.search(r"[.…?]$", sentence):
                return f"no sentence: {sentence[:300]}"
        except Exception:  # noqa: BLE001 (to find them is the purpose)
            return traceback.format_exc()
    foreign = [str(warning.message) for warning in heard if str(path) not in str(warning.message)]
    if foreign:
        return f"warned: {foreign[0]}"
    seconds = time.perf_counter() - start
    return f"took {seconds:.1f} s" if seconds > SLOWEST_S else None


@pytest.mark.parametrize("reader", NAMES, indirect=True)
def test_a_damaged_file_is_read_or_refused(reader: Reader, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    whole = put(tmp_path / "files", reader, reader.content)
    if reader.name != "manifest.json":  # whose graphs are not there
        assert fault(reader.read, whole) is None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(-(-COUNT // len(NAMES))):
        content = reader.damage(reader.content, random.Random(f"{SEED} {reader.name} {number}"))
        found = fault(reader.read, put(tmp_path / "files", reader, content))
        assert found is None, f"seed {SEED}, number {number} of {reader.name}: {found}"
    assert capfd.readouterr() == ("", "")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < MOST_MIB, f"{reader.name} took {grown} MiB"


def test_every_reader_is_tried() -> None:
    assert [reader.name for reader in readers()] == NAMES
