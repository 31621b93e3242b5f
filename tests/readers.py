"""Every kind of file that samlet reads, whole, with what reads it: for tests that damage them."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
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
from samlet.classes import read_class_list
from samlet.data import Broken, open_data
from samlet.data.class_data import open_class_data
from samlet.data.detections import read_detections
from samlet.data.shard_index import IndexedShard
from samlet.evaluation.report.compare import compare
from samlet.evaluation.report.summary import build_report
from samlet.evaluation.results import ImageResult, InstanceResult
from samlet.geometry.frames import ImageFrame
from samlet.geometry.seams import Grid
from samlet.geometry.windows import Window
from samlet.images import read_image, upright_size
from samlet.labeling.job import Job, ModelFacts, read_job
from samlet.labeling.lease import LEASE_FILE, holder
from samlet.labeling.places import Folder
from samlet.labeling.plan import make_plan
from samlet.labeling.rasters.kept import KeptWindows
from samlet.labeling.sources.opening import open_sources
from samlet.labeling.status import Meter, read_status
from samlet.marks import are_our_weights, is_our_archive, is_our_json, is_our_png
from samlet.masks import MaskSet
from samlet.models.checkpoints import read_state_dict
from samlet.models.registry import get_spec
from samlet.models.trained import spec_text, trained_spec
from samlet.runtime.artifact import Artifact
from samlet.runtime.choice import Choice, choice_file, read_choice
from samlet.scenes import PhotoScene
from samlet.training.config import DistillEncoderConfig, TrainConfig
from samlet.training.curves import read_log
from samlet.training.dry_run import _licenses
from samlet.training.loop.checkpoint import load_checkpoint
from samlet.training.packs import pack
from samlet.web.project.importing import layers_of, parse_file
from samlet.web.project.project import Project

HEIGHT, WIDTH = records.HEIGHT, records.WIDTH
PICTURE = filler.image(HEIGHT, WIDTH)

JOB = Job(("photos",), 3, "0" * 64, {"verb": "everything"}, ModelFacts("m", None, "onnx"), images_per_shard=32)
WINDOW_MASK = {"counts": "=3300000;", "number": 1, "iou": 0.9, "stability": 0.8, "point_xy": [1, 2]}


@dataclass(frozen=True)
class Reader:
    """A whole file, how it is damaged, and what reads it; `read` gets its path inside a folder of its own."""

    name: str  # its path inside that folder
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


def open_class_folders(path: Path) -> None:
    table = path.suffix == ".csv"
    open_class_data([path if table else path.parent], "classes", "train")


def open_maps(path: Path) -> None:
    for sample in open_class_data([path.parents[path.parent.name == "labels"]], "class maps", "train").samples:
        sample.read_classes()  # type: ignore[attr-defined]


def list_items(path: Path) -> None:
    for source in open_sources([str(path)]):
        list(source.items())


def bring_in(path: Path) -> None:
    for _, sample in parse_file(path.name, path.read_bytes()):
        layers_of(sample)


def open_project(path: Path) -> None:
    """What the page does with a project that lies there: list it, open a photo, save it, export it."""
    project = Project(path.parents[path.parent.name != ".samlet"].parent)
    for entry in project.describe()["images"]:
        marked = project.annotations(entry["id"])
        project.save(entry["id"], marked["revision"], marked["done"], marked["layers"])
    project.import_file("a_1.json", records.record())
    _, exported = project.export(["coco", "labelme"], None)
    exported.unlink()


def annotated() -> tuple[str, bytes]:
    """The name and the content of what a project keeps of the photo a_1.jpg."""
    folder = Path(os.environ["SAMLET_CACHE"]) / "project"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a_1.jpg").write_bytes(encoded("JPEG"))
    project = Project(folder)
    [photo] = project.describe()["images"]
    rle = {"size": [HEIGHT, WIDTH], "counts": [13, 3, 3, 3, 3, 3, 3, 3, 14]}
    layer = {"id": "1", "label": "cat", "visible": True, "locked": False, "rle": rle, "strokes": {"added": rle}}
    revision = project.annotations(photo["id"])["revision"]
    project.save(photo["id"], revision, False, [layer])
    [kept] = (folder / ".samlet" / "annotations").iterdir()
    return f".samlet/annotations/{kept.name}", kept.read_bytes()


def packed() -> bytes:
    folder = Path(os.environ["SAMLET_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "a_1.jpg").write_bytes(encoded("JPEG"))
    (folder / "a_1.json").write_bytes(records.record())
    path = folder / "packs" / "pack-000.tar"
    if not path.exists():
        pack([sample for sample in open_data([folder]).samples if sample.name == "a_1"], path.parent)
    return path.read_bytes()


def read_job_beside(path: Path) -> None:
    read_job(Folder(path.parent))


def read_lease_beside(path: Path) -> None:
    holder(Folder(path.parent))


def read_status_beside(path: Path) -> None:
    status = read_status(Folder(path.parent))
    assert status is None or status.done is not None


def read_marker(path: Path) -> None:
    make_plan(Folder(path.parents[1]), JOB)


def read_windows(path: Path) -> None:
    KeptWindows(path.parent, Grid((HEIGHT, WIDTH))).done()


def read_scene(path: Path) -> None:
    scene = PhotoScene(path)
    height, width = scene.size_hw
    scene.read(Window(0, 0, width, height), 2)


def read_raster(path: Path) -> None:
    pytest.importorskip("rasterio")
    from samlet.labeling.rasters.scene import RasterScene

    with RasterScene(path) as scene:
        height, width = scene.size_hw
        scene.read(Window(0, 0, min(width, 1024), min(height, 1024)))


def look_whose(path: Path) -> None:
    """What a verb asks of a file before it writes over it."""
    for is_ours in (is_our_json, is_our_png, are_our_weights):
        is_ours(path)
    is_our_archive(path, {"a"})


def read_measured(path: Path) -> None:
    """A choice of runtimes as it is kept in the cache."""
    artifact = path.parent / "artifact"
    artifact.mkdir(exist_ok=True)
    (artifact / "manifest.json").write_text("{}")
    kept = choice_file(artifact)
    assert kept is not None
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(path.read_bytes())
    read_choice(artifact)


def named_spec(path: Path) -> bytes:
    return save({"a": torch.zeros(3, 4)}, spec_text(get_spec("mobile-sam")))


def labelled_files() -> list[Reader]:
    """What is read where things are of classes, where much is labeled, and in the app."""
    photo = ("a_1.jpg", encoded("JPEG"))
    label_map = encoded("PNG", Image.fromarray((PICTURE[..., 0] // 99).astype(np.uint8)))
    names, of_map = b"cat\ndog\nowl\n", (("images/a.jpg", encoded("JPEG")),)
    ade = (("images/training/a.jpg", encoded("JPEG")), ("annotations/training/a.png", label_map))
    ade_names = "Idx\tName\n" + "".join(f"{number}\tname {number}, other\n" for number in range(150))
    rows = 'path,image_id,boxes_xyxy,points_xy,label,size_bytes\na_1.jpg,1,"[[0, 1, 2, 3.5]]","[[1, 1]]",cat,77\n'
    row = {"path": "a_1.jpg", "boxes_xyxy": [[0, 1, 2, 3]], "points_xy": [[[1, 1], [2, 2]]], "point_labels": [[1, 0]]}
    lines = json.dumps(row | {"label": ["cat"]}) + "\n" + json.dumps(row | {"size_bytes": 5, "version": "x"}) + "\n"
    status = Meter(3, 1, 1).status().to_json()
    window = {"window_xyxy": [0, 0, WIDTH, HEIGHT], "masks": [WINDOW_MASK, WINDOW_MASK | {"point_xy": None}]}
    claim = {"owner": "0", "machine": "m", "process": 3, "renewed": 1e9}
    annotated_name, annotations = annotated()
    labels = {"labels": [{"name": "cat", "color": "#2dd4bf"}, {"name": "dog", "color": "#fb923c"}]}
    licenses = b"name\tlicense\na_1\tcc-by-4.0\n"
    measured = {"choice": asdict(Choice("onnx", "openvino", "it is faster", 1, 1)), "machine": {}, "measured": {}}
    return [
        Reader("classes.txt", names, damaged_bytes, open_class_folders, tuple(
            (f"{name}/a.jpg", encoded("JPEG")) for name in ("cat", "dog")
        )),
        Reader("classes.csv", b"image,class\na_1.jpg,cat\nb.jpg,dog\n", damaged_bytes, open_class_folders, (photo,)),
        Reader("labels/a.png", label_map, damaged_bytes, open_maps, (*of_map, ("classes.txt", names))),
        Reader("objectInfo150.txt", ade_names.encode(), damaged_bytes, open_maps, ade),
        Reader("colors.txt", b"cat\t1 2 3\ndog\t255 0 9\n", damaged_bytes, read_class_list),
        Reader("photos.tsv", licenses, damaged_bytes, lambda path: _licenses(path.parent)),
        Reader("pack-000.tar", packed(), damaged_tar, open_all),
        Reader("named.safetensors", named_spec(Path()), damaged_bytes, trained_spec),
        Reader("choice.json", json.dumps(measured).encode(), damaged_json, read_measured),
        Reader("marked.json", records.record(), damaged_json, look_whose),
        Reader("marked.safetensors", named_spec(Path()), damaged_bytes, look_whose),
        Reader("rows.csv", rows.encode(), damaged_bytes, list_items, (photo,)),
        Reader("rows.jsonl", lines.encode(), damaged_json, list_items, (photo,)),
        Reader("listed.json", coco(), damaged_json, list_items, (("001.jpg", records.jpeg()),)),
        Reader("job.json", json.dumps(JOB.to_json()).encode(), damaged_json, read_job_beside),
        Reader(LEASE_FILE, json.dumps(claim).encode(), damaged_json, read_lease_beside),
        Reader("status.json", json.dumps(status).encode(), damaged_json, read_status_beside),
        Reader("shards/00000000.json", b'{"images": 3, "masks": 9, "broken": 0}', damaged_json, read_marker),
        Reader("000000.jsonl", json.dumps(window).encode() + b"\n", damaged_json, read_windows),
        Reader("scene.png", encoded("PNG"), damaged_bytes, read_scene),
        Reader("raster.tif", encoded("TIFF", compression="tiff_lzw"), damaged_bytes, read_raster),
        Reader(annotated_name, annotations, damaged_json, open_project, (photo,)),
        Reader(".samlet/labels.json", json.dumps(labels).encode(), damaged_json, open_project, (
            photo, (annotated_name, annotations),
        )),
        Reader("import.json", coco(), damaged_json, bring_in),
        Reader("import_drawn.json", json.dumps(labelme()).encode(), damaged_json, bring_in),
        Reader("import_a_1.json", records.record(), damaged_json, bring_in),
    ]  # fmt: skip


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
        *labelled_files(),
    ]


def tar(members: dict[str, bytes]) -> bytes:
    folder = Path(os.environ["SAMLET_CACHE"])
    folder.mkdir(parents=True, exist_ok=True)
    return records.write_shard(folder / "whole.tar", members).read_bytes()
