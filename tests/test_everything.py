from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
from tests.fake_backend import SPEC, FakeBackend

from samlet.backend import ArrayMaskLogits
from samlet.errors import InputError
from samlet.everything import MaskGenerator
from samlet.models.registry import get_spec
from samlet.predictor import Predictor
from samlet.spec import ThingRule

DARK = np.zeros((240, 320, 3), np.uint8)


@dataclass
class BrightBackend:
    """Whatever the click, all that is bright is the mask; the second of three candidates is believed most."""

    name: str = "bright"
    spec: object = get_spec("efficientvit-sam-b1")

    def encode(self, pixels):
        return {"image_embeddings": pixels[:, 0].reshape(-1, 256, 2, 256, 2).mean((2, 4))}

    def decode(self, features, tokens):
        iou = np.tile(np.float32([0.5, 0.9, 0.95, 0.92]), (len(tokens), 1))
        logits = 10 * features["image_embeddings"].astype(np.float32)
        return ArrayMaskLogits(iou, lambda rows, columns: np.repeat(logits, len(rows), axis=0))


def bright(**settings):
    return MaskGenerator(
        Predictor(BrightBackend()), **{"points_per_side": 4, "stability_score_thresh": 0.5, **settings}
    )


def discs(**settings):
    backend = FakeBackend()
    settings = {"points_per_side": 2, "pred_iou_thresh": 0.6, "stability_score_thresh": 0.1, **settings}
    return backend, MaskGenerator(Predictor(backend), **settings)


def with_disc(x, y, radius, picture=DARK, value=255):
    return cv2.circle(picture.copy(), (x, y), radius, (value,) * 3, -1)


def iou(mask, expected):
    return (mask & expected).sum() / (mask | expected).sum()


class TestFilters:
    def test_a_grid_of_clicks_gives_a_mask_around_each(self):
        _, generator = discs(pred_iou_thresh=0.92)
        masks = generator.generate(DARK)
        assert [mask.point_xy for mask in masks] == [(80, 60), (240, 60), (80, 180), (240, 180)]
        assert [mask.prompt_index for mask in masks] == [0, 1, 2, 3]
        assert masks.size_hw == (240, 320)
        assert {mask.crop_box_xywh for mask in masks} == {(0, 0, 320, 240)}
        for mask in masks:
            rows, columns = np.nonzero(mask.to_array())
            assert (columns.mean(), rows.mean()) == pytest.approx(np.subtract(mask.point_xy, 0.5), abs=1)

    def test_a_mask_below_the_iou_threshold_is_not_even_upscaled(self):
        backend, generator = discs(pred_iou_thresh=0.91)
        assert len(generator.generate(DARK)) == 4
        assert backend.upscaled == [4]

    def test_threshold_zero_switches_the_iou_filter_off(self):
        backend = FakeBackend(iou=(0, -1, -2, -3))
        generator = MaskGenerator(Predictor(backend), 2, pred_iou_thresh=0, stability_score_thresh=0)
        assert len(generator.generate(DARK)) == 12

    def test_unstable_masks_go(self):
        _, generator = discs(stability_score_thresh=0.8)  # a disc of radius r scores about ((r - 1) / (r + 1)) ** 2
        masks = generator.generate(DARK)
        assert {round(mask.iou, 2) for mask in masks} == {0.9}
        assert min(mask.stability for mask in masks) >= 0.8

    @pytest.mark.parametrize(
        ("rule", "believed"),
        [
            (ThingRule(level=-2.8, iou=0, size=10), {0.9}),  # the large discs
            (ThingRule(level=-2, iou=1, size=0), {0.95, 0.9}),  # those of which the model is surer
            (ThingRule(level=9, iou=0, size=0), {0.7, 0.95, 0.9}),
        ],
    )
    def test_a_models_thing_rule_says_how_stable_a_mask_must_be(self, rule, believed):
        ruled = replace(SPEC, pred_iou_thresh=0.6, thing_rule=rule)
        masks = MaskGenerator(Predictor(FakeBackend(spec=ruled)), 2).generate(DARK)
        assert {round(mask.iou, 2) for mask in masks} == believed

    def test_a_threshold_of_the_callers_own_replaces_the_thing_rule(self):
        ruled = replace(SPEC, thing_rule=ThingRule(level=-100, iou=0, size=0))
        generator = MaskGenerator(Predictor(FakeBackend(spec=ruled)), 2, stability_score_thresh=0.1)
        assert len(generator.generate(DARK)) == 8
        assert not MaskGenerator(Predictor(FakeBackend(spec=ruled)), 2).generate(DARK)

    def test_of_duplicates_the_one_believed_most_stays(self):
        picture = with_disc(100, 100, 40)
        masks = bright().generate(picture)
        assert len(masks) == 1
        assert masks[0].iou == pytest.approx(0.95)
        assert iou(masks[0].to_array(), picture[..., 0] > 0) > 0.9

    def test_best_predicted_iou_comes_first(self):
        _, generator = discs()
        scores = generator.generate(DARK).iou
        assert len(scores) == 12
        assert (np.diff(scores) <= 0).all()

    def test_the_batch_size_changes_nothing(self):
        picture = with_disc(100, 100, 40)
        one, many = (discs(points_per_batch=size)[1].generate(picture) for size in (1, 64))
        assert [mask.prompt_index for mask in one] == [mask.prompt_index for mask in many]
        np.testing.assert_array_equal(one.to_array(), many.to_array())


class TestCrops:
    def test_a_thing_that_fits_in_a_crop_is_taken_from_there(self):
        picture = with_disc(70, 60, 30)
        masks = bright(crop_n_layers=1).generate(picture)
        assert len(masks) == 1
        assert masks[0].crop_box_xywh == (0, 0, 201, 161)
        assert iou(masks[0].to_array(), picture[..., 0] > 0) > 0.9

    def test_a_thing_that_crops_would_cut_is_taken_whole(self):
        picture = with_disc(160, 120, 90)
        masks = bright(crop_n_layers=1).generate(picture)
        assert len(masks) == 1
        assert masks[0].crop_box_xywh == (0, 0, 320, 240)

    def test_clicks_of_a_crop_are_told_in_image_pixels(self):
        masks = bright(crop_n_layers=1, points_per_side=1).generate(with_disc(250, 180, 30))
        x, y, width, height = masks[0].crop_box_xywh
        assert (x, y) == (120, 80)
        assert masks[0].point_xy == (x + width / 2, y + height / 2)

    def test_layers_may_have_grids_of_their_own(self):
        grids = [np.array([[0.5, 0.5]]), np.array([[0.25, 0.25], [0.75, 0.75]])]
        seen = []
        bright(points_per_side=None, point_grids=grids, crop_n_layers=1).generate(DARK, lambda *done: seen.append(done))
        assert seen == [(1, 9), (3, 9), (5, 9), (7, 9), (9, 9)]

    @pytest.mark.parametrize("layers", [0, 1, 2])
    def test_nothing_found_is_an_empty_set(self, layers):
        masks = bright(crop_n_layers=layers, min_mask_region_area=10, points_per_side=2).generate(DARK)
        assert len(masks) == 0
        assert masks.size_hw == (240, 320)
        assert masks.to_array().shape == (0, 240, 320)


class TestSmallRegions:
    RING = with_disc(100, 100, 3, with_disc(100, 100, 40), value=0)
    PICTURE = with_disc(250, 180, 4, RING)  # and a speck beside it

    def test_they_stay_unless_asked_for(self):
        mask = bright(stability_score_thresh=0.1).generate(self.PICTURE)[0].to_array()
        assert mask[180, 250]
        assert not mask[100, 100]

    def test_holes_are_filled_and_islands_removed(self):
        masks = bright(stability_score_thresh=0.1, min_mask_region_area=200).generate(self.PICTURE)
        assert len(masks) == 1
        mask = masks[0].to_array()
        assert not mask[180, 250]
        assert mask[100, 100]
        assert masks[0].box_xywh == pytest.approx((60, 60, 81, 81), abs=2)


class TestMemory:
    def test_the_budget_sets_the_batch(self):
        backend, generator = discs(points_per_side=4, memory_budget=32 << 20)
        generator.generate(DARK)
        assert {len(points_xy) for points_xy, *_ in backend.decoded} == {4}

    def test_a_small_budget_changes_no_mask(self):
        picture = with_disc(100, 100, 40)
        large, small = (bright(memory_budget=size << 20).generate(picture) for size in (512, 8))
        assert [mask.rle for mask in large] == [mask.rle for mask in small]
        assert large[0].stability == small[0].stability


class TestFast:
    def test_clicks_in_what_is_found_are_skipped(self):
        backend, generator = discs(points_per_side=16, fast=True, pred_iou_thresh=0.94)
        backend.radii = (16, 8, 120, 32)
        seen = []
        masks = generator.generate(DARK, lambda done, total: seen.append((done, total)))
        assert sum(len(points_xy) for points_xy, *_ in backend.decoded) < 256
        assert seen[-1] == (256, 256)
        assert masks.to_array().any(axis=0).all()

    def test_a_few_masks_do_not_end_the_search(self):
        backend, generator = discs(points_per_side=4, fast=True, pred_iou_thresh=0.94)
        generator.generate(DARK)
        assert sum(len(points_xy) for points_xy, *_ in backend.decoded) == 16

    def test_what_nothing_was_found_in_is_searched_whole(self):
        backend, generator = discs(points_per_side=16, fast=True, pred_iou_thresh=0.99)
        assert not len(generator.generate(DARK))
        assert sum(len(points_xy) for points_xy, *_ in backend.decoded) == 256


class TestEdges:
    """A disc that is drawn four pixels to the right of where the photo has it."""

    PHOTO = cv2.circle(np.full((240, 320, 3), 40, np.uint8), (154, 120), 50, (200, 190, 180), -1)

    def masks(self, radius=0.06, **settings):
        backend = FakeBackend(radii=(40, 40, 40, 40))  # 50 pixels of the photo
        backend.spec = replace(backend.spec, edge_radius=radius)
        grids = [np.array([[158 / 320, 0.5]])]
        settings = {"stability_score_thresh": 0.1, "pred_iou_thresh": 0.6, "point_grids": grids, **settings}
        return MaskGenerator(Predictor(backend), None, **settings).generate(self.PHOTO)

    def error(self, masks):
        return 1 - iou(masks[0].to_array(), self.PHOTO[..., 0] > 100)

    def test_outlines_move_to_where_the_photo_has_edges(self):
        drawn, moved = self.masks(), self.masks(edges=True)
        assert self.error(moved) < 0.5 * self.error(drawn)
        assert moved[0].stability == drawn[0].stability

    def test_crops_have_edges_too(self):
        grids = [np.zeros((0, 2)), np.array([[0.5, 0.5]])]
        drawn, moved = (self.masks(crop_n_layers=1, point_grids=grids, edges=edges) for edges in (False, True))
        assert len(moved) == len(drawn) > 0
        assert any(new.rle != old.rle for new, old in zip(moved, drawn, strict=True))

    def test_a_model_without_a_radius_draws_as_it_does(self):
        assert self.error(self.masks(0.0, edges=True)) == pytest.approx(self.error(self.masks()), abs=0.01)

    def test_a_mask_without_a_pixel_stays(self):
        backend = FakeBackend(radii=(0, 0, 0, 0))
        empty = MaskGenerator(Predictor(backend), 2, pred_iou_thresh=0, stability_score_thresh=0, edges=True)
        assert all(mask.to_array().sum() <= 1 for mask in empty.generate(DARK))


class TestOverlaps:
    def test_disjoint_masks_share_no_pixel(self):
        _, generator = discs(points_per_side=4, disjoint=True, pred_iou_thresh=0.89, box_nms_thresh=1.0)
        masks = generator.generate(DARK).to_array()
        assert len(masks) > 16
        assert masks.sum(axis=0).max() == 1

    def test_parts_go_where_containment_is_limited(self):
        settings = {"pred_iou_thresh": 0.6, "box_nms_thresh": 1.0}
        whole = discs(**settings)[1].generate(DARK)
        alone = discs(containment_thresh=0.9, mask_nms_thresh=0.8, **settings)[1].generate(DARK)
        assert len(whole) == 12
        assert {round(mask.iou, 2) for mask in alone} == {0.95, 0.9}  # the discs of 8 pixels lie in those of 16


def test_progress_counts_clicks():
    seen = []
    discs(points_per_side=3, points_per_batch=4)[1].generate(DARK, lambda done, total: seen.append((done, total)))
    assert seen == [(4, 9), (8, 9), (9, 9)]


def test_a_path_will_do(tmp_path):
    cv2.imwrite(str(tmp_path / "picture.png"), with_disc(100, 100, 40))
    assert len(bright().generate(tmp_path / "picture.png")) == 1


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"points_per_side": None}, "points_per_side"),
        ({"point_grids": [np.ones((1, 2))]}, "point_grids"),  # and points_per_side
        ({"points_per_side": None, "point_grids": [np.ones((1, 2))], "crop_n_layers": 1}, "needs 2"),
        ({"points_per_side": 0}, "points_per_side is 0"),
        ({"points_per_batch": 0}, "points_per_batch is 0"),
        ({"crop_n_points_downscale_factor": 0}, "crop_n_points_downscale_factor is 0"),
        ({"crop_n_layers": -1}, "crop_n_layers is -1"),
        ({"memory_budget": 1000}, "memory_budget is 1000"),
        ({"points_per_side": None, "point_grids": [np.ones((1, 2))], "fast": True}, "fast needs"),
    ],
)
def test_settings_that_cannot_be_meant(settings, sentence):
    with pytest.raises(InputError, match=sentence):
        bright(**settings)


class TestClean:
    PICTURE = DARK.copy()
    PICTURE[60:180, 60:200] = 255
    PICTURE[100:108, 100:108] = 0
    PICTURE[20:30, 280:290] = 255

    def masks(self, **settings):
        return bright(stability_score_thresh=0.1, **settings).generate(self.PICTURE)

    def test_islands_and_holes_stay_unless_asked_otherwise(self):
        mask = self.masks()[0].to_array()
        assert mask[25, 285]
        assert not mask[104, 104]

    def test_clean_masks_have_neither(self):
        masks = self.masks(clean=True)
        assert len(masks) == len(self.masks())
        mask = masks[0].to_array()
        assert mask[120, 130]
        assert mask[104, 104]
        assert not mask[25, 285]
