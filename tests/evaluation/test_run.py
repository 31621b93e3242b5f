"""Measuring with a model whose every answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluation.fake import SIDE, RectangleBackend, annotation, predictor, rectangle, sample

from samlet.data.broken import Broken
from samlet.errors import DataError
from samlet.evaluation import run
from samlet.evaluation.protocols import prompted
from samlet.evaluation.protocols.box import Box
from samlet.evaluation.protocols.center import Center, center_on_canvas
from samlet.evaluation.protocols.point import Point
from samlet.evaluation.protocols.registry import make_protocol
from samlet.evaluation.results import ResultLog
from samlet.geometry.frames import ImageFrame
from samlet.prompts import PointLabel

BOX = annotation(20, 30, 60, 90, number=5)
OTHER = annotation(100, 100, 180, 200, number=6)


def true_ious(model, protocol, *annotations):
    return [instance.true_iou for instance in run.evaluate_image(model, sample(*annotations), protocol).instances]


def test_a_box_is_measured_in_image_pixels() -> None:
    result = run.evaluate_image(predictor(), sample(BOX, OTHER), Box())
    assert (result.name, result.source) == ("fake_1", "fake")
    assert [(i.id, i.area_px, i.true_iou) for i in result.instances] == [(5, 2400.0, 1.0), (6, 8000.0, 1.0)]
    assert [i.iou for i in result.instances] == pytest.approx([0.9, 0.9])
    assert [i.boundary_iou for i in result.instances] == [1.0, 1.0]
    assert [(i.pieces, i.true_pieces) for i in result.instances] == [(1, 1), (1, 1)]
    assert set(result.seconds) == {"read", "embed", "predict", "score"}


@pytest.mark.parametrize(
    ("select", "iou", "expected"),
    [
        ("iou", (0.1, 0.9, 0.5, 0.3), 1.0),
        ("iou", (0.99, 0.1, 0.2, 0.3), 4000 / SIDE**2),  # the single-mask answer is no candidate
        ("iou", (0.99, 0.1, 0.3, 0.2), 0.0),
        ("multimask", (0.1, 0.9, 0.5, 0.3), 1.0),
        ("single", (0.0, 0.9, 0.5, 0.3), 0.5),
        ("oracle", (0.9, 0.0, 0.5, 0.6), 1.0),
    ],
)
def test_which_mask_counts(select, iou, expected) -> None:
    target = annotation(20, 30, 70, 110)
    assert true_ious(predictor(iou=iou), Box(select=select), target) == [pytest.approx(expected)]


def test_the_most_stable_candidate_is_not_the_first_nor_the_best() -> None:
    class Wavering(RectangleBackend):
        def decode(self, *arguments, **options):
            logits = super().decode(*arguments, **options)
            low_res = logits.low_res().copy()
            low_res[:, :3] /= 16  # within the band of +-1 around the threshold
            return type(logits)(logits.iou, lambda rows, columns: low_res[rows, columns])

    model = predictor()
    model.backend = Wavering()
    # Candidate 3, everything, is the only one that no threshold changes.
    assert true_ious(model, Box(select="stability"), BOX) == [pytest.approx(2400 / SIDE**2)]


def test_one_embedding_and_one_decode_a_round_for_all_masks_of_an_image() -> None:
    model = predictor()
    run.evaluate_image(model, sample(BOX, OTHER, BOX), Point(3))
    assert model.backend.encoded == 1
    assert [len(labels) for _, labels, _ in model.backend.seen] == [3, 3, 3]


def test_a_boundary_is_measured_and_a_category_kept() -> None:
    half = replace(annotation(20, 30, 70, 110), category="cat")
    [instance] = run.evaluate_image(predictor(), sample(half), Box(select="single")).instances
    # 7 px deep on a diagonal of 362: of the left half, 25 x 80, the rim is 1274 px, of which the truth shares 80 x 7
    # on the left and 18 x 7 above and below; the truth's own rim is 1624 px.
    shared = 80 * 7 + 2 * 18 * 7
    assert instance.boundary_iou == pytest.approx(shared / (1274 + 1624 - shared))
    assert instance.category == "cat"


def test_batches_do_not_change_the_results(monkeypatch) -> None:
    annotations = [annotation(i, 2 * i, i + 40 + i, 2 * i + 50, number=i) for i in range(7)]
    whole = run.evaluate_image(predictor(), sample(*annotations), Point(3)).instances
    monkeypatch.setattr(prompted, "PROMPTS_PER_BATCH", 3)
    assert run.evaluate_image(predictor(), sample(*annotations), Point(3)).instances == whole


def test_clicks_follow_the_errors_and_all_are_given_each_round() -> None:
    model = predictor()
    tall = annotation(100, 20, 141, 144)  # three squares of the fake model stacked, one pixel too tall
    assert true_ious(model, Point(3), tall)[0] > 0.9
    points = [points_xy[0, : index + 1] for index, (points_xy, _, _) in enumerate(model.backend.seen)]
    labels = [labels[0].tolist() for _, labels, _ in model.backend.seen]
    assert labels == [[1, -1], [1, 1, -1], [1, 1, 1, -1]]
    np.testing.assert_array_equal(points[2][:2], points[1])
    np.testing.assert_array_equal(points[0][0], [120, 40])  # first row-major of the deepest pixels, 21 px in


def test_a_surplus_gets_a_background_click() -> None:
    model = predictor()
    true_ious(model, Point(2), annotation(100, 100, 105, 105))
    points_xy, labels, _ = model.backend.seen[1]
    assert labels[0].tolist() == [PointLabel.FOREGROUND, PointLabel.BACKGROUND, PointLabel.PADDING]
    assert points_xy[0, 0].tolist() == [102, 102]


def test_a_box_can_be_corrected_by_clicks() -> None:
    model = predictor()
    wrong_box = replace(BOX, box_xywh=(20.0, 30.0, 40.0, 30.0))
    true_ious(model, Box(1), wrong_box)
    points_xy, labels, _ = model.backend.seen[1]
    assert labels[0].tolist() == [PointLabel.FOREGROUND, PointLabel.BOX_TOP_LEFT, PointLabel.BOX_BOTTOM_RIGHT]
    assert points_xy[0].tolist() == [[34, 74], [20, 30], [60, 60]]


def test_the_mask_is_fed_back_only_on_demand() -> None:
    model = predictor()
    run.evaluate_image(model, sample(BOX), Point(2))
    assert [hint is None for _, _, hint in model.backend.seen] == [True, True]
    model = predictor()
    run.evaluate_image(model, sample(BOX), Point(2, feed_mask_back=True))
    first, second = (hint for _, _, hint in model.backend.seen)
    assert first is None
    np.testing.assert_array_equal(second[0] > 0, rectangle(19, 29, 60, 70))


@pytest.mark.parametrize("feed_mask_back", [False, True])
@pytest.mark.parametrize("clicks", [1, 3, 5])
@pytest.mark.parametrize(("start", "before", "corners"), [("point", 1, 0), ("center", 1, 0), ("box", 0, 2)])
def test_every_round_adds_a_click(start, before, corners, clicks, feed_mask_back) -> None:
    model = predictor()
    wrong = replace(annotation(100, 20, 141, 240), box_xywh=(100.0, 20.0, 41.0, 41.0))
    true_ious(model, make_protocol(start, clicks=clicks, feed_mask_back=feed_mask_back), wrong)
    seen = [((labels[0] >= 0).sum(), hint is not None) for _, labels, hint in model.backend.seen]
    rounds = clicks + 1 - before
    assert seen == [(before + corners + index, feed_mask_back and index > 0) for index in range(rounds)]


def test_center_is_the_approximate_center() -> None:
    model = predictor()
    run.evaluate_image(model, sample(annotation(11, 21, 120, 60)), Center(1))
    points_xy, labels, _ = model.backend.seen[0]
    assert points_xy[0, 0].tolist() == [31, 40]
    assert labels[0].tolist() == [1, -1]


def test_the_center_is_found_on_the_canvas_and_given_in_image_pixels() -> None:
    mask = np.zeros((50, 100), bool)
    mask[10:21, 10:21] = True
    # On the canvas the block spans 20..41: the middle is 31 of 2 pixels each (first of four equals is 30).
    assert center_on_canvas(mask, ImageFrame((50, 100), 64, 200)) == (15.0, 15.0)


def test_a_mask_that_vanishes_on_the_canvas_keeps_its_center() -> None:
    mask = np.zeros((60, 60), bool)
    mask[1, 1] = True
    assert center_on_canvas(mask, ImageFrame((60, 60), 16, 20)) == (1, 1)


def test_a_measured_image_is_never_measured_again(tmp_path: Path) -> None:
    samples = [sample(BOX, name=f"fake_{index}") for index in range(4)]
    header = {"protocol": "box"}
    uninterrupted = run.evaluate(predictor(), samples, Box(), ResultLog(tmp_path / "a", header))
    run.evaluate(predictor(), samples[1:3], Box(), ResultLog(tmp_path / "b", header))
    seen: list[str] = []
    model = predictor()
    log = ResultLog(tmp_path / "b", header)
    resumed = run.evaluate(model, samples, Box(), log, lambda result: seen.append(result.name))
    assert seen == ["fake_0", "fake_3"]
    assert model.backend.encoded == 2
    assert [(r.name, r.instances) for r in resumed] == [(r.name, r.instances) for r in uninterrupted]


def test_an_image_of_another_size_stops_the_run() -> None:
    with pytest.raises(DataError, match="the image is 256x256 but its annotations are for 256x100"):
        run.evaluate_image(predictor(), replace(sample(BOX), size_hw=(100, 256)), Box())


def unreadable() -> np.ndarray:
    raise DataError("no image")


def log_of(folder: Path) -> ResultLog:
    return ResultLog(folder / "images.jsonl", {"protocol": "box"})


def test_broken_images_are_named_and_passed_over_and_tried_again(tmp_path: Path) -> None:
    samples = [replace(sample(BOX, name=f"fake_{index}"), image=unreadable) for index in range(2)]
    samples.insert(1, sample(BOX, name="good_1"))
    told: list[str] = []
    broken, log = Broken(2, told.append), log_of(tmp_path)
    results = run.evaluate(predictor(), samples, Box(), log, broken=broken)
    assert [result.name for result in results] == ["good_1"]
    assert list(broken.reasons) == ["fake_0", "fake_1"]
    assert told == ["skipped fake_0: no image", "skipped fake_1: no image"]
    again = log_of(tmp_path)
    assert len(again) == 1
    assert again.broken(["fake_0", "good_1"]) == {"fake_0": "no image"}
    gathered = again.gather([one.name for one in samples])  # of other processes: nobody waits for a broken image
    assert gathered == results
    mended = [replace(one, image=samples[1].image) for one in samples]
    assert len(run.evaluate(predictor(), mended, Box(), log_of(tmp_path))) == 3
    assert log_of(tmp_path).broken(["fake_0"]) == {}


@pytest.mark.parametrize(("limit", "message"), [(0, "no image"), (1, "2 samples are broken .* --max-broken 1")])
def test_more_broken_images_than_allowed_stop_the_run(tmp_path: Path, limit: int, message: str) -> None:
    samples = [replace(sample(BOX, name=f"fake_{index}"), image=unreadable) for index in range(3)]
    with pytest.raises(DataError, match=message):
        run.evaluate(predictor(), samples, Box(), log_of(tmp_path), broken=Broken(limit))


def test_a_photo_or_mask_that_changed_is_measured_again(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(photo)
    one = replace(sample(BOX), image=photo)
    measured: list[str] = []

    def evaluate(one) -> None:
        measured.clear()
        run.evaluate(predictor(), [one], Box(), log_of(tmp_path), lambda result: measured.append(result.name))

    evaluate(one)
    evaluate(one)
    assert measured == []
    Image.fromarray(np.ones((SIDE, SIDE, 3), np.uint8)).save(photo)
    evaluate(one)
    assert measured == ["fake_1"]
    evaluate(replace(one, annotations=(replace(BOX, rle=OTHER.rle),)))
    assert measured == ["fake_1"]
    elsewhere = tmp_path / "elsewhere" / "a.png"  # the same name, another photo
    elsewhere.parent.mkdir()
    Image.fromarray(np.full((SIDE, SIDE, 3), 2, np.uint8)).save(elsewhere)
    evaluate(replace(one, image=elsewhere))
    assert measured == ["fake_1"]


def test_a_photo_that_is_gone_is_not_taken_from_the_log(tmp_path: Path) -> None:
    photo = tmp_path / "a.png"
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(photo)
    run.evaluate(predictor(), [replace(sample(BOX), image=photo)], Box(), log_of(tmp_path))
    photo.unlink()
    with pytest.raises(DataError, match=r"a\.png does not exist"):
        run.evaluate(predictor(), [replace(sample(BOX), image=photo)], Box(), log_of(tmp_path))
