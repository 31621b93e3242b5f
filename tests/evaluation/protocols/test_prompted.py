from __future__ import annotations

import numpy as np
import pytest
from tests.fake_backend import FakeBackend

from samlet.data import Annotation, Sample
from samlet.errors import InputError
from samlet.evaluation.protocols.box import Box
from samlet.evaluation.protocols.point import Point
from samlet.evaluation.protocols.registry import from_json
from samlet.geometry.rle import area, encode, to_box
from samlet.predictor import Predictor

PHOTO = np.full((300, 400, 3), 128, np.uint8)


def disc_sample() -> Sample:
    y, x = np.mgrid[:300, :400]
    rle = encode(np.hypot(x - 200, y - 150) < 25)
    annotation = Annotation(1, rle, to_box(rle), area(rle))
    return Sample("disc", "discs", lambda: PHOTO, (300, 400), (annotation,))


def test_refined_masks_are_those_of_segment():
    model = Predictor(FakeBackend())
    [found] = Point(1, refine="edges").evaluate(model, disc_sample()).instances
    [raw] = Point(1).evaluate(model, disc_sample()).instances
    [mask] = model.segment(PHOTO, points=[[200, 150]], refine="edges")
    truth = disc_sample().annotations[0].to_array()
    expected = (mask.to_array() & truth).sum() / (mask.to_array() | truth).sum()
    assert found.true_iou == pytest.approx(expected, abs=0.02)  # the simulated click is a pixel away
    assert found.true_iou != raw.true_iou
    assert found.pieces == 1


def test_a_refined_answer_is_drawn():
    model, sample, how = Predictor(FakeBackend()), disc_sample(), Box(refine="auto")
    [picture] = how.draw(model, sample, how.evaluate(model, sample).instances)
    assert picture.dtype == np.uint8


def test_reports_say_how_masks_were_refined_and_earlier_ones_are_read():
    assert Box(refine="look").title == "box, segment with refine look"
    assert from_json(Box(refine="look").to_json()) == Box(refine="look")
    assert "refine" not in Box().to_json()


@pytest.mark.parametrize("options", [{"select": "oracle"}, {"feed_mask_back": True}])
def test_segment_chooses_by_itself(options):
    with pytest.raises(InputError, match="leave --select and --feed-mask-back"):
        Point(1, refine="auto", **options)


def test_a_word_that_is_no_way_to_refine_is_refused():
    with pytest.raises(InputError, match="one of auto, none, edges, look"):
        Box(refine="more")


def test_of_several_rounds_each_is_told():
    model = Predictor(FakeBackend())
    alone = [Point(clicks, select="single").evaluate(model, disc_sample()).instances[0] for clicks in (1, 2, 3)]
    assert alone[0].by_round == ()
    assert alone[2].by_round == tuple(each.true_iou for each in alone)
    [corrected] = Box(2).evaluate(model, disc_sample()).instances
    assert len(corrected.by_round) == 3  # the box, then a click each
    assert corrected.by_round[-1] == corrected.true_iou
