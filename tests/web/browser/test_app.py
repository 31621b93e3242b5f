"""What people do on the page, in a real browser with the model that ships: from the first click to the file."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from tests.web.browser.chromium import Person

import samlet
from samlet.geometry import rle

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[3] / "web" / "node_modules" / "axe-core" / "axe.min.js"
SAME = 0.99  # IoU


def iou(first, second) -> float:
    return float((first & second).sum() / (first | second).sum())


def mask_of(layer) -> np.ndarray:
    return rle.decode(rle.from_json(layer["rle"]))


def test_a_stranger_names_objects_and_exports_them(app, person, tmp_path):
    from pycocotools.coco import COCO

    person.open("cat.jpg")
    assert person.drawn_px() == 0
    person.point(150, 130)
    person.page.wait_for_timeout(200)
    deadline = 100
    while not person.drawn_px() and deadline:  # the preview
        person.page.wait_for_timeout(200)
        deadline -= 1
    assert person.drawn_px() > 1000
    person.click(150, 130)
    person.name("cat")
    person.click(20, 20)
    person.click(430, 280, button="right")  # too much
    person.name("wall")
    person.saved()
    assert person.objects() == ["wall", "cat"]
    wall, cat = app.layers("cat.jpg")
    assert wall["prompts"]["labels"] == [1, 0]

    person.press("Control+e")
    with person.page.expect_download() as download:
        person.page.locator("dialog button.primary").click()
    download.value.save_as(tmp_path / "coco.json")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(tmp_path / "coco.json")
    assert {one["name"] for one in coco.cats.values()} == {"cat", "wall"}
    (found,) = (one for one in coco.anns.values() if coco.cats[one["category_id"]]["name"] == "cat")
    exported = rle.decode(rle.from_json(coco.annToRLE(found)))
    assert (exported == mask_of(cat)).all()
    prompts = cat["prompts"]
    (ours,) = samlet.load().segment(app.photos / "cat.jpg", points=[prompts["points"]], labels=[prompts["labels"]])
    assert iou(ours.to_array(), exported) >= SAME


def test_a_box_its_candidates_and_back_again(app, person):
    person.open("coffee.jpg")
    person.press("b")
    person.drag((150, 80), (300, 200), (450, 330))
    person.answered()
    shown = person.page.locator(".bar .actions button").first
    first = shown.inner_text()
    shown.click()
    assert shown.inner_text() != first
    person.press("Control+z")
    assert shown.inner_text() == first
    shown.click()
    person.press("Enter")  # keeps it, and does not click again
    person.page.locator(".bar").wait_for(state="detached")
    person.press("Control+z", "Control+z")
    person.name("cup")
    person.press("Control+z", "Control+z")  # the name, the box
    assert person.objects() == []
    assert not person.page.locator(".bar").is_visible()
    person.press("Control+Shift+z", "Control+Shift+z")
    person.saved()
    (cup,) = app.layers("coffee.jpg")
    assert cup["label"] == "cup"
    left, top, right, bottom = cup["prompts"]["box"]
    (ours,) = samlet.load().segment(app.photos / "coffee.jpg", boxes=[[left, top, right, bottom]])
    assert iou(ours.to_array(), mask_of(cup)) >= SAME


def test_brush_eraser_and_outline_change_pixels(app, person):
    person.open("astronaut.jpg")
    person.press("d")
    person.drag((300, 60), (400, 60))
    person.name("stripe")
    person.saved()
    painted = mask_of(app.layers("astronaut.jpg")[0])
    assert painted[60, 350]
    person.page.locator("[data-layer]").first.click()
    person.press("e")
    person.drag((340, 60), (360, 60))
    person.press("Enter")
    person.saved()
    erased = mask_of(app.layers("astronaut.jpg")[0])
    assert erased.sum() < painted.sum()
    assert not erased[60, 350]
    person.press("g")
    for place in ((40, 300), (140, 300), (140, 400), (40, 400)):
        person.page.mouse.click(*person.at(*place))
    person.press("Enter", "Enter")
    person.saved()
    square = mask_of(app.layers("astronaut.jpg")[0])
    assert abs(int(square.sum()) - 100 * 100) < 400
    assert square[350, 90]
    person.page.locator("[data-layer]").first.click()
    person.press("Delete")
    person.saved()
    assert len(app.layers("astronaut.jpg")) == 1


def test_everything_lights_up_and_a_click_takes_one(app, person):
    person.open("coffee.jpg")
    before = len(person.objects())
    person.press("a")
    person.page.locator("text=found").wait_for()
    person.page.mouse.click(*person.at(30, 380))
    person.page.locator("[data-layer]").nth(before).wait_for()
    person.saved()
    assert len(app.layers("coffee.jpg")) == before + 1
    person.press("Control+z")
    person.saved()
    assert len(app.layers("coffee.jpg")) == before


def test_everything_can_be_done_by_keys(app, person):
    person.open("astronaut.jpg")
    before = len(person.objects())
    person.page.locator(".stage").focus()
    person.press("ArrowUp", "ArrowLeft", "x")
    person.answered()
    person.name("by keys")
    person.press("h", "h", "Control+a", "m", "Control+z", "Escape", "0", "+", "-")
    assert len(person.objects()) == before + 1
    person.press("PageDown")
    person.page.locator(".where strong", has_text="cat.jpg").wait_for()
    person.press("?")
    assert person.page.get_by_role("dialog").is_visible()
    person.press("Escape")
    assert not person.page.get_by_role("dialog").is_visible()


def test_a_reload_loses_neither_layers_nor_the_draft(app, person):
    person.open("coffee.jpg")
    before = person.objects()
    person.press("p")
    person.click(300, 200)
    person.saved()
    person.page.reload()
    person.page.locator(".bar").wait_for()
    assert person.objects() == before
    person.press("Enter")
    person.saved()
    assert len(app.layers("coffee.jpg")) == len(before) + 1


def test_a_killed_server_loses_nothing(app, person):
    person.open("astronaut.jpg")
    before = len(app.layers("astronaut.jpg"))
    app.kill()
    person.press("d")
    person.drag((100, 100), (140, 140))
    person.press("Enter")
    person.page.locator(".state", has_text="Not saved yet").wait_for()
    app.start()
    person.saved()
    assert len(app.layers("astronaut.jpg")) == before + 1
    person.press("p")
    person.click(220, 120)  # and the new server is asked as if nothing had been
    person.press("Escape")
    person.saved()


def test_a_tab_that_was_closed_before_it_could_save_loses_nothing(app, person):
    person.open("astronaut.jpg")
    before = len(app.layers("astronaut.jpg"))
    person.cut_off("**/annotations")
    person.press("d")
    person.drag((30, 450), (80, 450))
    person.press("Enter")
    person.page.locator(".state", has_text="Not saved yet").wait_for()
    assert len(app.layers("astronaut.jpg")) == before
    person.close_tab()
    person.open("astronaut.jpg")
    assert len(app.layers("astronaut.jpg")) == before + 1


def test_two_people_at_one_image_keep_the_work_of_both(app, browser, person):
    other = Person(browser, app.url)
    before = app.layers("cat.jpg")
    for somebody, label, height in ((person.open("cat.jpg"), "mine", 40), (other.open("cat.jpg"), "theirs", 90)):
        somebody.press("d")
        somebody.drag((200, height), (260, height))
        somebody.name(label)
        somebody.saved()
    other.page.locator("[data-layer] .label", has_text="mine").wait_for()
    assert other.errors == []
    other.close()
    assert sorted(layer["label"] for layer in app.layers("cat.jpg")) == sorted(
        ["mine", "theirs", *(layer["label"] for layer in before)]
    )


def test_an_exported_file_can_be_dropped_on_the_page_again(app, person, tmp_path):
    person.open("astronaut.jpg")
    person.press("d")
    person.drag((200, 30), (260, 30))
    person.name("line")
    person.saved()
    line = mask_of(app.layers("astronaut.jpg")[0])
    person.press("Control+e")
    person.page.get_by_role("radio", name="This image").check()
    with person.page.expect_download() as download:
        person.page.locator("dialog button.primary").click()
    download.value.save_as(tmp_path / "coco.json")
    person.press("Control+a", "Delete")
    person.saved()
    assert app.layers("astronaut.jpg") == []
    person.page.locator("[data-add-images]").set_input_files(tmp_path / "coco.json")
    person.page.locator(".message", has_text="came in").wait_for()
    person.page.locator("[data-layer] .label", has_text="line").wait_for()
    again = {layer["label"]: mask_of(layer) for layer in app.layers("astronaut.jpg")}
    assert (again["line"] == line).all()


def test_what_is_no_image_is_refused_in_a_sentence(app, person, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    person.open()
    person.page.locator("[data-add-images]").set_input_files(tmp_path / "notes.png")
    person.page.locator(".message.error", has_text="notes.png").wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(app, browser, scheme):
    if not AXE.is_file():
        pytest.skip("axe-core is not here: run npm ci in web/")
    somebody = Person(browser, app.url, color_scheme=scheme)
    somebody.open("coffee.jpg")
    somebody.page.evaluate(AXE.read_text(encoding="utf-8"))
    found = serious(somebody)
    somebody.press("b")
    somebody.drag((150, 80), (450, 330))
    somebody.answered()
    found += serious(somebody)
    for key in ("?", "Control+e"):
        somebody.press(key)
        somebody.page.get_by_role("dialog").wait_for()
        found += serious(somebody)
        somebody.press("Escape")
    somebody.press("Escape")
    somebody.close()
    assert found == []


def serious(somebody: Person) -> list[str]:
    """What axe calls serious or critical, one line for each element."""
    violations = somebody.page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary'][:200]}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
