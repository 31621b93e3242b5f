"""The contract of every backend that runs an artifact: what torch answers, on a tiny encoder with SAM's own decoder."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tests.runtime.cases import CASES, IMAGES
from tests.tiny import CANVAS, tiny_artifact, tiny_model

from samlet.errors import BackendError
from samlet.export.plain import PlainBackend
from samlet.runtime import graphs
from samlet.runtime.artifact import DECODER, ENCODER, LONE, MANIFEST, PROJECTOR, UPSCALER, manifest_record
from samlet.runtime.onnx import OnnxBackend
from samlet.runtime.openvino import OpenVinoBackend

PIXELS = np.random.default_rng(0).standard_normal((IMAGES, 3, CANVAS, CANVAS)).astype(np.float32)
BACKENDS = {"onnx": OnnxBackend, "openvino": OpenVinoBackend}


@pytest.fixture(scope="module", params=BACKENDS.values(), ids=BACKENDS)
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def backend(kind):
    return kind.from_folder(tiny_artifact())


@pytest.fixture(scope="module")
def features(backend):
    return backend.encode(PIXELS)


@pytest.fixture(scope="module")
def reference():
    return PlainBackend(tiny_model(), tiny_model().spec)


@pytest.fixture(scope="module")
def answers(reference):
    """What torch answers to each case about its own embeddings: once for all backends."""
    features = reference.encode(PIXELS)
    decoded = {name: reference.decode(features, case) for name, case in CASES.items()}
    return features, {name: (logits.iou, logits.low_res()) for name, logits in decoded.items()}


def close(ours, theirs, tolerance=1e-4):
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == np.float32
    if ours.size:
        assert np.abs(ours - theirs).max() <= tolerance * max(theirs.std(), 1e-3)


def test_says_what_it_is(backend):
    assert BACKENDS[backend.name] is type(backend)
    assert backend.spec == tiny_model().spec


def test_embeddings_equal_torch(features, reference):
    close(features["image_embeddings"], reference.encode(PIXELS)["image_embeddings"])


@pytest.mark.parametrize("case", CASES)
def test_candidates_equal_torch(backend, answers, case):
    features, theirs = answers
    ours, (iou, low_res) = backend.decode(features, CASES[case]), theirs[case]
    close(ours.iou, iou)
    close(ours.low_res(), low_res)


def test_kept_masks_are_those_of_all(backend, features):
    logits = backend.decode(features, CASES["more than one run takes"])
    rows, columns = [9, 3, 3, 0, 8], [0, 3, 1, 2, 2]
    kept = logits.keep(rows, columns).low_res()
    close(kept[:, 0], logits.low_res()[rows, columns], tolerance=1e-5)


GRAPHS_FOR = {"one click": [LONE], "a hint for each": [LONE], "more than one run takes": [PROJECTOR, DECODER]}


@pytest.mark.parametrize("case", GRAPHS_FOR)
def test_a_graph_is_opened_when_it_is_needed_and_the_upscaler_for_a_mask(kind, monkeypatch, case):
    opened = []
    open_graph = kind._open
    monkeypatch.setattr(kind, "_open", lambda self, *given: opened.append(given[0].name) or open_graph(self, *given))
    backend = kind.from_folder(tiny_artifact(), threads=1)
    assert opened == []
    logits = backend.decode(backend.encode(PIXELS), CASES[case])
    logits.keep([0], [1])
    assert opened == [ENCODER, *GRAPHS_FOR[case]]
    logits.low_res()
    logits.keep([0], [2]).low_res()
    assert opened == [ENCODER, *GRAPHS_FOR[case], UPSCALER]


@pytest.mark.parametrize("case", CASES)
def test_an_artifact_without_the_graph_for_lone_prompts_answers_the_same(kind, features, backend, case, tmp_path):
    """As exported before there was one."""
    folder = shutil.copytree(tiny_artifact(), tmp_path / "model")
    (folder / LONE).unlink()
    (folder / MANIFEST).write_text(json.dumps(manifest_record(folder, tiny_model().spec, "float32")))
    ours, theirs = (each.decode(features, CASES[case]) for each in (kind.from_folder(folder), backend))
    close(ours.iou, theirs.iou)
    close(ours.low_res(), theirs.low_res())


def test_eight_threads_get_what_one_gets(kind, features):
    backend = kind.from_folder(tiny_artifact(), threads=1)
    cases = [CASES["one click"], CASES["one box"]]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda case: backend.decode(features, case).low_res(), cases * 4))
    alone = [backend.decode(features, case).low_res() for case in cases]
    for ours, theirs in zip(together, alone * 4, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_several_runs_go_side_by_side_with_a_thread_each(kind, features, monkeypatch):
    opened = []
    open_graph = kind._open
    monkeypatch.setattr(kind, "_open", lambda self, *given: opened.append(given[1]) or open_graph(self, *given))
    alone, together = (kind.from_folder(tiny_artifact(), threads=threads) for threads in (1, 3))
    case = CASES["more than one run takes"]
    ours, theirs = together.decode(features, case), alone.decode(features, case)
    close(ours.iou, theirs.iou, tolerance=1e-5)
    close(ours.low_res(), theirs.low_res(), tolerance=1e-5)
    assert sorted(opened) == [1, 1, 1, 1, 1, 3]  # the projector alone, once an image, has all three


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_below_one_are_refused(kind, threads):
    with pytest.raises(BackendError, match=f"threads is {threads}"):
        kind.from_folder(tiny_artifact(), threads=threads)


@pytest.mark.parametrize(("usable", "cores", "threads"), [({0, 1}, 2, 0), ({1}, 4, 1), ({0, 3}, 4, 2)])
def test_threads_are_the_cores_this_process_may_use(monkeypatch, usable, cores, threads):
    monkeypatch.setattr(graphs.sys, "platform", "linux")
    monkeypatch.setattr(graphs.os, "sched_getaffinity", lambda _: usable, raising=False)
    monkeypatch.setattr(graphs.os, "cpu_count", lambda: cores)
    assert graphs.default_threads() == threads


def test_a_graph_that_no_runtime_can_load_is_one_sentence(kind, tmp_path):
    folder = shutil.copytree(tiny_artifact(), tmp_path / "model")
    (folder / DECODER).write_bytes(b"not a graph")
    (folder / MANIFEST).write_text(json.dumps(manifest_record(folder, tiny_model().spec, "float32")))
    backend = kind.from_folder(folder)
    with pytest.raises(BackendError, match=r"cannot load .*decoder\.onnx"):
        backend.decode(backend.encode(PIXELS), CASES["more than one run takes"])


def test_pixels_of_another_canvas_are_one_sentence(backend):
    with pytest.raises(BackendError, match=r"could not run encoder\.onnx of tiny"):
        backend.encode(np.zeros((1, 3, 64, 64), np.float32))
