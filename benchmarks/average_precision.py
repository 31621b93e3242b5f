"""What counts average precision: pycocotools, faster-coco-eval and hotcoco on the same masks (docs/adr/0007).

    pip install faster-coco-eval "samlet[eval]"
    python benchmarks/average_precision.py

Each library runs in a process of its own, once on masks of real photos (COCO AP) and once on a made-up data set of
LVIS's shape, a fifth of its validation images (LVIS AP). Prints a table (AP, CPU seconds, memory) and one JSON line.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cyclopts
import numpy as np

from samlet.cli.tables import print_table

REAL = Path(__file__).parents[1] / "tests" / "data" / "average_precision.json"
IMAGES, CATEGORIES, BOXES_PER_IMAGE = 4000, 1203, 6


def average_precision() -> None:
    """Count with every library, on both data sets."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for data, make in (("real masks, COCO", real_masks), ("LVIS's shape", lvis_shape)):
            path = Path(folder) / "truth.json"
            truth, detections = make()
            path.write_text(json.dumps(truth))
            lvis = make is lvis_shape
            for library, count in LIBRARIES.items():
                if not (lvis and library == "pycocotools"):
                    rows.append({"data": data, "library": library, **in_own_process(count, path, detections, lvis)})
    columns = [(name, "left" if name in {"data", "library"} else "right") for name in rows[0]]
    print_table(columns, [[str(value) for value in row.values()] for row in rows])
    print(json.dumps({"benchmark": "average_precision", "rows": rows}))


def in_own_process(count: Callable[..., float], path: Path, detections: list[Any], lvis: bool) -> dict[str, Any]:
    """AP, CPU seconds and the growth of memory of one library."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measured, count, path, detections, lvis).result()


def measured(count: Callable[..., float], path: Path, detections: list[Any], lvis: bool) -> dict[str, Any]:
    """Runs in the process of its own."""
    kind = "bbox" if lvis else "segm"
    before, start = peak_mb(), time.process_time()
    with redirect_stdout(StringIO()):
        precision = count(path, detections, kind, lvis)
    seconds = time.process_time() - start
    return {"AP": f"{precision:.9f}", "CPU seconds": f"{seconds:.2f}", "MB": round(peak_mb() - before)}


def with_pycocotools(path: Path, detections: list[Any], kind: str, _lvis: bool) -> float:
    """The reference; it does not know LVIS."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(path))
    run = COCOeval(truth, truth.loadRes(detections), kind)  # pyright: ignore[reportArgumentType] - its stubs
    run.evaluate()
    run.accumulate()
    return mean(run.eval["precision"])  # pyright: ignore[reportOptionalSubscript] - counted by accumulate


def with_faster_coco_eval(path: Path, detections: list[Any], kind: str, lvis: bool) -> float:
    """C++ behind pycocotools' interface."""
    from faster_coco_eval import COCO, COCOeval_faster  # pyright: ignore[reportMissingImports] - not a dependency

    truth = COCO(str(path))
    run = COCOeval_faster(truth, truth.loadRes(detections), kind, lvis_style=lvis, print_function=print)
    if lvis:
        run.params.maxDets = [300]
    run.evaluate()
    run.accumulate()
    return mean(run.eval["precision"])


def with_hotcoco(path: Path, detections: list[Any], kind: str, lvis: bool) -> float:
    """Rust; what samlet uses."""
    from hotcoco import COCO, COCOeval, LVISEval

    truth = COCO(str(path))
    run = (LVISEval if lvis else COCOeval)(truth, truth.load_res(detections), kind)
    run.evaluate()
    run.accumulate()
    return mean(np.asarray(run.eval["precision"]))  # pyright: ignore[reportOptionalSubscript] - counted by accumulate


LIBRARIES = {
    "pycocotools": with_pycocotools,
    "faster-coco-eval": with_faster_coco_eval,
    "hotcoco": with_hotcoco,
}


def mean(precision: Any) -> float:
    """AP of precisions [thresholds, recalls, categories, sizes, numbers of detections]."""
    over_all = precision[..., 0, -1]
    return float(over_all[over_all > -1].mean())


def real_masks() -> tuple[dict[str, Any], list[Any]]:
    """The test data, as COCO."""
    content = json.loads(REAL.read_text())
    for item in content["detections"]:
        del item["bbox"]
    return content["truth"], content["detections"]


def lvis_shape() -> tuple[dict[str, Any], list[Any]]:
    """Few boxes in many images of many categories; each is found 2 pixels off, with a random score."""
    random = np.random.default_rng(1)
    images = [
        {"id": i + 1, "width": 64, "height": 64, "neg_category_ids": [], "not_exhaustive_category_ids": []}
        for i in range(IMAGES)
    ]
    truths, found = [], []
    for image in images:
        for category in random.choice(CATEGORIES, BOXES_PER_IMAGE, replace=False).tolist():
            x, y = random.integers(0, 30, 2).tolist()
            place = {"image_id": image["id"], "category_id": category + 1}
            box = {"bbox": [x, y, 20, 20], "area": 400, "segmentation": [[x, y, x + 20, y, x + 20, y + 20, x, y + 20]]}
            truths.append({"id": len(truths) + 1, "iscrowd": 0, **place, **box})
            found.append({**place, "bbox": [x + 2, y, 20, 20], "score": float(random.random())})
    categories = [{"id": i + 1, "name": f"kind {i}", "frequency": "f"} for i in range(CATEGORIES)]
    return {"images": images, "annotations": truths, "categories": categories}, found


def peak_mb() -> float:
    """The most memory this process ever held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    cyclopts.run(average_precision)
