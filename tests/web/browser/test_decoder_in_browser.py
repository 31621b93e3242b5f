"""The model in Chromium: the static folder from `python -m http.server`, asked through its worker and through its page.

Masks must be the library's.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("pycocotools")

from tests.web.browser.chromium import Person

import samlet
from samlet.data.labelme import read_beside
from samlet.geometry import rle as run_lengths
from samlet.images import read_image
from samlet.models.registry import DEFAULT_MODEL
from samlet.web.static import PAGE, write_static

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "examples"
QUESTIONS = {
    "cat": ([[200, 150]], [[60, 60], [240, 200]], [60, 40, 300, 280]),
    "coffee": ([[300, 200]], [[120, 220]], [150, 80, 450, 330]),
    "astronaut": ([[220, 120]], [[220, 300]], [100, 20, 330, 300]),
}
LEAST_IOU = 0.99

# Speaks with the worker as the page does.
START = """async (worker) => {
  const hired = new Worker(worker, { type: "module" });
  const waiting = new Map();
  hired.onmessage = ({ data }) => {
    const { resolve, reject } = waiting.get(data.number);
    if ("answer" in data) resolve(data.answer);
    if ("error" in data) reject(new Error(data.error.message));
  };
  let number = 0;
  window.ask = (question) => new Promise((resolve, reject) => {
    waiting.set(++number, { resolve, reject });
    hired.postMessage({ number, question });
  });
  const place = (folder) => new URL(folder, document.baseURI).href;
  return ask({ kind: "start", setup: { runtime: place("ort/"), model: place("model/"), device: "wasm" } });
}"""
EMBED = """async ([key, content]) => {
  const file = new Blob([Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0))]);
  return ask({ kind: "embed", key, file });
}"""

# What the page keeps of its images.
LAYERS = """() => new Promise((resolve) => {
  indexedDB.open("samlet").onsuccess = ({ target }) => {
    const all = target.result.transaction("annotations").objectStore("annotations").getAll();
    all.onsuccess = () => resolve(all.result);
  };
})"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Of the app's static folder, served by nothing but Python's own web server."""
    folder = tmp_path_factory.mktemp("static") / "app"
    write_static(folder)
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().split(" port ")[1].split()[0]
        yield f"http://127.0.0.1:{port}/"
        server.kill()


@pytest.fixture(scope="module")
def model():
    return samlet.load(backend="onnx")


@pytest.fixture(scope="module")
def worker(browser, address):
    """A page whose `ask` is answered by a worker with an open model."""
    page = browser.new_page()
    page.goto(address)
    (script,) = (PAGE / "assets").glob("worker-*.js")
    running = page.evaluate(START, f"assets/{script.name}")
    assert running["model"] == DEFAULT_MODEL
    assert running["threads"] == 1  # Python's server sends no headers that would allow more
    return page


def embedded(worker, name: str) -> dict:
    """An example photo, encoded in the worker unless it is already."""
    return worker.evaluate(EMBED, [name, base64.b64encode((EXAMPLES / f"{name}.jpg").read_bytes()).decode()])


def iou_of(answer, mask) -> float:
    code = run_lengths.from_json(answer["rle"])
    assert (answer["area"], tuple(answer["box"])) == (run_lengths.area(code), run_lengths.to_box(code))
    return float(run_lengths.iou_matrix([code], [mask.rle])[0, 0])


@pytest.mark.parametrize("name", QUESTIONS)
def test_masks_are_the_librarys(worker, model, name):
    photo = read_image(EXAMPLES / f"{name}.jpg")
    embedding = model.embed(photo)
    assert embedded(worker, name) == {"embedding": name, "size": list(photo.shape[:2])}
    one, two, box = QUESTIONS[name]
    for asked, prompts in (
        ({"points": one, "labels": [1]}, samlet.Prompts.points(one)),
        ({"points": two, "labels": [1] * len(two)}, samlet.Prompts.points(two)),
        ({"points": [], "labels": [], "box": box}, samlet.Prompts.boxes(box)),
    ):
        (best,) = worker.evaluate("ask", {"kind": "predict", "key": name, "prompts": asked, "multimask": False})
        assert iou_of(best, model.predict(embedding, prompts)[0]) >= LEAST_IOU
        final, *others = worker.evaluate("ask", {"kind": "segment", "key": name, "prompts": asked})
        assert iou_of(final, model.segment(photo, prompts, embedding=embedding)[0]) >= LEAST_IOU
        candidates = sorted(model.predict(embedding, prompts, candidates="multimask"), key=lambda mask: -mask.iou)
        for answer, mask in zip(others, candidates, strict=True):
            assert iou_of(answer, mask) >= LEAST_IOU
            assert answer["iou"] == pytest.approx(mask.iou, abs=1e-3)


def test_an_answer_is_a_hint_for_the_next_question(worker, model):
    embedded(worker, "cat")
    photo = read_image(EXAMPLES / "cat.jpg")
    embedding = model.embed(photo)
    first = model.predict(embedding, samlet.Prompts.points([[200, 150]]))
    more = samlet.Prompts.points([[200, 150], [60, 60]], [1, 0]).with_mask_hint(first.low_res_logits)
    asked = {"points": [[200, 150]], "labels": [1]}
    (answer,) = worker.evaluate("ask", {"kind": "predict", "key": "cat", "prompts": asked, "multimask": False})
    asked = {"points": [[200, 150], [60, 60]], "labels": [1, 0], "hint": answer["id"]}
    (answer,) = worker.evaluate("ask", {"kind": "predict", "key": "cat", "prompts": asked, "multimask": False})
    assert iou_of(answer, model.predict(embedding, more)[0]) >= LEAST_IOU


def test_everything_finds_what_the_library_finds(worker, model):
    embedded(worker, "cat")
    photo = read_image(EXAMPLES / "cat.jpg")
    found = worker.evaluate("ask", {"kind": "everything", "key": "cat", "pointsPerSide": 4})
    expected = samlet.MaskGenerator(model, points_per_side=4, fast=True, clean=True, edges=True).generate(photo)
    assert len(found) == len(expected)
    for answer, mask in zip(found, expected, strict=True):
        assert iou_of(answer, mask) >= LEAST_IOU


def test_what_is_wrong_is_told_in_one_sentence(worker):
    embedded(worker, "cat")
    for question, sentence in (
        ({"kind": "predict", "key": "none", "prompts": {"points": [], "labels": []}, "multimask": False}, "embed it"),
        ({"kind": "predict", "key": "cat", "prompts": {"points": [[9999, 0]], "labels": [1]}}, "outside the image"),
    ):
        with pytest.raises(Exception, match=sentence):
            worker.evaluate("ask", question)


def test_a_stranger_marks_a_photo_and_exports_it_without_a_server(browser, address, model, tmp_path):
    stranger = Person(browser, address, accept_downloads=True)
    page = stranger.page
    page.on("console", lambda message: stranger.errors.append(message.text) if message.type == "error" else None)
    page.goto(address)
    page.set_input_files("[data-add-images]", [str(EXAMPLES / "astronaut.jpg")])
    page.locator(".where strong", has_text="astronaut.jpg").wait_for()
    page.locator(".opening").wait_for(state="detached")
    stranger.click(256, 256)
    stranger.name("suit")
    stranger.saved()

    page.reload()
    page.locator("[data-layer] .label", has_text="suit").wait_for()
    files = exported(page, tmp_path)
    coco = json.loads(files["annotations.coco.json"])
    assert [category["name"] for category in coco["categories"]] == ["suit"]
    (annotation,) = coco["annotations"]
    from_coco = run_lengths.from_json(annotation["segmentation"])
    (layer,) = page.evaluate(LAYERS)[0]["layers"]
    assert layer["prompts"]["points"] == [[pytest.approx(256, abs=1)] * 2]
    final = model.segment(EXAMPLES / "astronaut.jpg", points=layer["prompts"]["points"])[0]
    assert float(run_lengths.iou_matrix([from_coco], [final.rle])[0, 0]) >= LEAST_IOU

    place = tmp_path / "astronaut.json"
    place.write_bytes(files["labelme/astronaut.json"])
    (tmp_path / "astronaut.jpg").write_bytes((EXAMPLES / "astronaut.jpg").read_bytes())
    (from_labelme,) = read_beside(json.loads(place.read_text()), place).samples[0].annotations
    assert float(run_lengths.iou_matrix([from_labelme.rle], [from_coco])[0, 0]) >= 0.95  # outlines within a pixel
    assert (read_image(files["masks/astronaut/001_suit.png"])[..., 0] > 0).sum() == run_lengths.area(from_coco)
    assert stranger.errors == []
    stranger.close()


def test_the_server_encodes_and_the_browser_decodes_previews(app, browser):
    """The switch `?engine=together`: no preview is asked of the server once the browser has the features."""
    person = Person(browser, app.url)
    asked: list[str] = []
    person.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    person.page.on("requestfinished", lambda request: asked.append(f"done {request.url.rpartition('/')[2]}"))
    person.page.goto(f"{app.url}/?engine=together#{app.get('/api/project')['images'][0]['id']}")
    person.page.locator(".opening").wait_for(state="detached")
    assert person.page.evaluate("crossOriginIsolated")  # so the decoder may use threads
    for step in range(300):
        person.point(200 + step % 50, 200)
        person.page.wait_for_timeout(200)
        if "done features" in asked and asked.count("predict") and step > 20:
            before = asked.count("predict")
            person.point(150, 150)
            person.page.wait_for_timeout(2000)
            if asked.count("predict") == before:
                break
    else:
        pytest.fail(f"the server was asked all the time: {asked[-20:]}")
    assert person.drawn_px() > 0

    app.kill()
    person.click(200, 200)  # the browser has the image's file, too
    assert person.drawn_px() > 0
    app.start()
    person.close()


def exported(page, folder: Path) -> dict[str, bytes]:
    """What the page writes as COCO, labelme and masks."""
    page.get_by_role("button", name="Export").first.click()
    for value in ("coco", "labelme", "masks"):
        page.locator(f"input[value='{value}']").check()
    with page.expect_download() as download:
        page.locator("dialog, [role=dialog]").get_by_role("button", name="Export").click()
    download.value.save_as(folder / "export.zip")
    with zipfile.ZipFile(folder / "export.zip") as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}
