import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from samlet.errors import PromptError
from samlet.geometry.frames import ImageFrame
from samlet.prompts import ABSENT_LABEL, PointLabel, Prompts

SIZE_HW = (480, 640)
HINT = np.zeros((256, 256), np.float32)


def test_points_of_one_prompt():
    prompts = Prompts.points([[500, 375], [10, 20]], [1, 0])
    assert len(prompts) == 1
    assert prompts.points_xy.tolist() == [[[500, 375], [10, 20]]]
    assert prompts.labels.tolist() == [[1, 0]]
    assert (prompts.points_xy.dtype, prompts.labels.dtype) == (np.float64, np.int64)
    assert prompts.mask_hint is None


def test_points_are_foreground_unless_said_otherwise():
    assert Prompts.points(np.zeros((3, 2, 2))).labels.tolist() == [[1, 1]] * 3


def test_labels_may_be_booleans_or_whole_floats():
    assert Prompts.points([[1, 2], [3, 4]], [True, False]).labels.tolist() == [[1, 0]]
    assert Prompts.points([[1, 2], [3, 4]], np.array([1.0, 0.0])).labels.tolist() == [[1, 0]]


def test_one_box_and_several():
    assert Prompts.boxes([1, 2, 3, 4]).points_xy.tolist() == [[[1, 2], [3, 4]]]
    prompts = Prompts.boxes([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert len(prompts) == 2
    assert prompts.labels.tolist() == [[2, 3], [2, 3]]


def test_points_belong_to_every_box_and_come_first():
    prompts = Prompts.boxes([[1, 2, 30, 40], [5, 6, 70, 80]], [[8, 9]], [0])
    assert prompts.points_xy.tolist() == [[[8, 9], [1, 2], [30, 40]], [[8, 9], [5, 6], [70, 80]]]
    assert prompts.labels.tolist() == [[0, 2, 3], [0, 2, 3]]


def test_prompts_do_not_change():
    points_xy = np.array([[1.0, 2.0]])
    prompts = Prompts.points(points_xy).with_mask_hint(HINT)
    points_xy[:] = 99
    assert prompts.points_xy.tolist() == [[[1, 2]]]
    for array in (prompts.points_xy, prompts.labels, prompts.mask_hint):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_a_mask_hint_is_added_to_a_copy():
    prompts = Prompts.points([[1, 2]])
    hinted = prompts.with_mask_hint(HINT)
    assert prompts.mask_hint is None
    assert hinted.mask_hint.shape == (1, 256, 256)
    assert hinted.mask_hint.dtype == np.float32


NAN, INFINITY = float("nan"), float("inf")

REFUSED = {
    "no points": (lambda: Prompts.points([]), "No prompt given"),
    "no points of P prompts": (lambda: Prompts.points(np.zeros((0, 1, 2))), "No prompt given"),
    "no boxes": (lambda: Prompts.boxes([]), "No prompt given"),
    "nothing stacked": (lambda: Prompts.stack([]), "No prompt given"),
    "a bare point": (lambda: Prompts.points([500, 375]), r"not \[2\]"),
    "three coordinates": (lambda: Prompts.points([[1, 2, 3]]), r"not \[1, 3\]"),
    "ragged points": (lambda: Prompts.points([[[1, 2]], [[1, 2], [3, 4]]]), "Prompts.stack"),
    "words": (lambda: Prompts.points([["a", "b"]]), "array of numbers"),
    "NaN": (lambda: Prompts.points([[1, NAN]]), "contain nan"),
    "infinity": (lambda: Prompts.points([[INFINITY, 1]]), "contain inf"),
    "None": (lambda: Prompts.points([[1, None]]), "points"),
    "too few labels": (lambda: Prompts.points([[1, 2], [3, 4]], [1]), r"\[1\] do not fit points of shape \[2, 2\]"),
    "too many labels": (lambda: Prompts.points([[1, 2]], [1, 0]), "one label per point"),
    "labels of another shape": (lambda: Prompts.points([[[1, 2]]], [1]), "one label per point"),
    "label 2": (lambda: Prompts.points([[1, 2]], [2]), "label is 2: use 1 for foreground or 0"),
    "label -1": (lambda: Prompts.points([[1, 2]], [-1]), "label is -1"),
    "label 0.5": (lambda: Prompts.points([[1, 2]], [0.5]), "label is 0.5"),
    "label NaN": (lambda: Prompts.points([[1, 2]], [NAN]), "labels contain nan"),
    "a box of 3": (lambda: Prompts.boxes([1, 2, 3]), r"not \[3\]"),
    "boxes as corners": (lambda: Prompts.boxes([[[1, 2], [3, 4]]]), r"not \[1, 2, 2\]"),
    "a box with NaN": (lambda: Prompts.boxes([1, 2, NAN, 4]), "boxes contain nan"),
    "an empty box": (lambda: Prompts.boxes([5, 5, 5, 9]), r"Box \(5, 5, 5, 9\) is empty or inverted.*XYXY"),
    "an inverted box": (lambda: Prompts.boxes([[1, 2, 3, 4], [90, 90, -3, 4]]), r"Box \(90, 90, -3, 4\)"),
    "labels without points": (lambda: Prompts.boxes([1, 2, 3, 4], None, [1]), "Labels are given but no points"),
    "points per box": (lambda: Prompts.boxes([[1, 2, 3, 4]] * 2, [[[1, 2]]] * 2), "belong to every box"),
    "hint that is not square": (lambda: Prompts.points([[1, 2]]).with_mask_hint(np.zeros((1, 64, 256))), "mask hint"),
    "hint for too few": (lambda: Prompts.points([[[1, 2]]] * 2).with_mask_hint(HINT), r"\[2, 256, 256\]"),
    "hint with NaN": (lambda: Prompts.points([[1, 2]]).with_mask_hint(HINT * NAN), "mask hint contain"),
    "hint on one of two": (
        lambda: Prompts.stack([Prompts.points([[1, 2]]), Prompts.points([[1, 2]]).with_mask_hint(HINT)]),
        "two calls",
    ),
    "unknown label": (lambda: Prompts(np.zeros((1, 1, 2)), np.array([[7]])), "label is 7"),
    "no rows": (lambda: Prompts(np.zeros((1, 2)), np.array([1])), r"points \[P, K, 2\]"),
    "one corner": (lambda: Prompts(np.zeros((1, 1, 2)), np.array([[2]])), "one box"),
    "the other corner": (lambda: Prompts(np.zeros((1, 1, 2)), np.array([[3]])), "one box"),
    "corners apart": (lambda: Prompts(np.ones((1, 3, 2)), np.array([[2, 1, 3]])), "one box"),
    "two boxes in a row": (lambda: Prompts(np.ones((1, 4, 2)), np.array([[2, 3, 2, 3]])), "one box"),
}


@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_nonsense_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(PromptError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_a_box_that_looks_like_xywh_is_translated():
    with pytest.raises(PromptError, match=r"if it is XYWH, give \(300, 200, 380, 240\)\.$"):
        Prompts.boxes([300, 200, 80, 40])


def test_a_box_that_cannot_be_xywh_gets_no_such_advice():
    with pytest.raises(PromptError) as caught:
        Prompts.boxes([300, 200, -80, 240])
    assert "XYWH" not in str(caught.value)


INSIDE = {
    "the first pixel": Prompts.points([[0, 0]]),
    "the last pixel": Prompts.points([[639, 479]]),
    "within the last pixel": Prompts.points([[639.9, 479.9]]),
    "a box that overhangs by a pixel": Prompts.boxes([-1, -0.3, 640.6, 481]),
    "the whole image": Prompts.boxes([0, 0, 640, 480]),
    "filler": Prompts.stack([Prompts.points([[1, 2]]), Prompts.points([[1, 2], [3, 4]])]),
    "only a hint": Prompts(np.zeros((1, 0, 2)), np.zeros((1, 0)), HINT[None]),
}


@pytest.mark.parametrize("prompts", INSIDE.values(), ids=INSIDE.keys())
def test_check_accepts(prompts):
    prompts.check(SIZE_HW)


OUTSIDE = {
    "beyond the right": (Prompts.points([[640, 10]]), r"Point \(640, 10\) lies outside.*640 x 480 pixels \(x, y\)\.$"),
    "below": (Prompts.points([[10, 480]]), r"Point \(10, 480\)"),
    "negative": (Prompts.points([[-0.5, 10]]), r"Point \(-0\.5, 10\)"),
    "the second of a row": (Prompts.points([[[1, 1], [2, 2]], [[3, 3], [999, 5]]]), r"Point \(999, 5\)"),
    "y before x": (Prompts.points([[400, 600]]), "x comes first"),
    "a box corner": (Prompts.boxes([10, 10, 641.5, 400]), r"Box corner \(641\.5, 400\)"),
    "a box corner above": (Prompts.boxes([10, -1.5, 64, 400]), r"Box corner \(10, -1\.5\)"),
    "a box in the overhang": (Prompts.boxes([640, 10, 640.5, 400]), r"Box corner \(640, 10\)"),
    "a box in the overhang above": (Prompts.boxes([10, -1, 64, 0]), r"Box corner \(64, 0\)"),
    "a large number in full": (Prompts.points([[12345678, 1]]), r"\(12345678, 1\)"),
    "no row": (Prompts(np.zeros((0, 0, 2)), np.zeros((0, 0))), "No prompt given"),
    "an empty row": (Prompts([[[1, 2]], [[0, 0]]], [[1], [-1]]), "No prompt given"),
}


@pytest.mark.parametrize(("prompts", "sentence"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_check_refuses(prompts, sentence):
    with pytest.raises(PromptError, match=sentence):
        prompts.check(SIZE_HW)


def test_a_box_that_overhangs_is_clipped_and_points_are_not():
    prompts = Prompts.boxes([[-0.5, 10, 640.6, 481]], [[639.9, 3]])
    assert prompts.clipped(SIZE_HW).points_xy.tolist() == [[[639.9, 3], [0, 10], [640, 480]]]


@pytest.mark.parametrize(
    ("prompts", "several"),
    [
        (Prompts.points([[1, 2]]), [False]),
        (Prompts.points([[1, 2], [3, 4]], [1, 0]), [True]),
        (Prompts.boxes([1, 2, 30, 40], [[3, 4], [5, 6]]), [False]),
        (Prompts.stack([Prompts.points([[1, 2]]), Prompts.points([[1, 2], [3, 4]])]), [False, True]),
        (Prompts(np.zeros((0, 2, 2)), np.zeros((0, 2))), []),
    ],
)
def test_several_clicks(prompts, several):
    assert prompts.several_clicks.tolist() == several


@pytest.mark.parametrize("prompts", [Prompts.points([[0.5, 0.25]]), Prompts.boxes([0, 0.1, 0.9, 1])])
def test_shares_of_the_image_are_noticed(prompts):
    with pytest.warns(UserWarning, match="between 0 and 1"):
        prompts.warn_if_normalized()


@pytest.mark.parametrize("prompts", [Prompts.points([[0, 0]]), Prompts.points([[0.5, 7]]), INSIDE["only a hint"]])
def test_pixels_near_the_corner_are_no_shares(prompts):
    prompts.warn_if_normalized()


def test_a_mask_becomes_a_hint():
    frame = ImageFrame((100, 200), 512)
    mask = np.zeros((100, 200), bool)
    mask[:50, 100:] = True
    prompts = Prompts.points([[150, 20]])
    hint = prompts.with_mask(mask, frame).mask_hint
    assert (hint.shape, hint.dtype) == ((1, 256, 256), np.float32)
    assert (hint[0, 1:63, 129:] == 10).all()
    assert (hint[0, 65:] == -10).all()  # the rest of the image, and the padding
    assert (hint[0, :, :127] == -10).all()
    inside = np.zeros((256, 256), bool)
    inside[:64, 128:] = True
    np.testing.assert_array_equal(hint[0] > 0, inside)
    two = Prompts.points([[[150, 20]], [[1, 1]]]).with_mask(np.stack([mask, ~mask]), frame)
    np.testing.assert_array_equal(two.mask_hint[0], hint[0])


@pytest.mark.parametrize("shape", [(256, 256), (2, 100, 200), (1, 100, 199), (100,)])
def test_a_mask_of_another_size_is_refused(shape):
    with pytest.raises(PromptError, match=r"\[1, 100, 200\], one mask of the image's size"):
        Prompts.points([[1, 2]]).with_mask(np.ones(shape, bool), ImageFrame((100, 200), 512))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16, torch.int32, torch.uint8])
def test_tensors_of_any_type_are_points(dtype):
    assert Prompts.points(torch.tensor([[200, 128]], dtype=dtype)).points_xy.tolist() == [[[200, 128]]]


def test_tensors_that_need_a_gradient_are_points():
    points = torch.tensor([[250.0, 225]], requires_grad=True)
    assert Prompts.points(points, torch.tensor([1])).points_xy.tolist() == [[[250, 225]]]


def test_text_is_no_box():
    with pytest.raises(PromptError, match="boxes are not a regular array"):
        Prompts.boxes("70,10,485,390")


def test_tokens_of_points_end_in_padding():
    points_xy, labels = Prompts.points([[5, 6], [7, 8]], [1, 0]).tokens()
    assert points_xy.tolist() == [[[5, 6], [7, 8], [0, 0]]]
    assert labels.tolist() == [[1, 0, PointLabel.PADDING]]


def test_tokens_of_a_box_have_no_padding():
    points_xy, labels = Prompts.boxes([1, 2, 3, 4], [[2, 3]]).tokens()
    assert points_xy.tolist() == [[[2, 3], [1, 2], [3, 4]]]
    assert labels.tolist() == [[1, 2, 3]]


def test_tokens_of_a_hint_alone_are_none():
    """As in SAM, which pads points only where there are points."""
    points_xy, labels = INSIDE["only a hint"].tokens()
    assert points_xy.shape == (1, 0, 2)
    assert labels.shape == (1, 0)


def test_tokens_of_ragged_rows():
    ragged = Prompts.stack([Prompts.points([[5, 6]]), Prompts.boxes([1, 2, 3, 4], [[2, 3], [2, 4]], [1, 0])])
    points_xy, labels = ragged.tokens()
    assert labels.tolist() == [[1, -1, ABSENT_LABEL, ABSENT_LABEL], [1, 0, 2, 3]]
    assert points_xy.tolist() == [[[5, 6], [0, 0], [0, 0], [0, 0]], [[2, 3], [2, 4], [1, 2], [3, 4]]]


def test_tokens_skip_filler_wherever_it_is():
    points_xy, labels = Prompts([[[9, 9], [5, 6]]], [[-1, 1]]).tokens()
    assert points_xy.tolist() == [[[5, 6], [0, 0]]]
    assert labels.tolist() == [[1, -1]]


points = st.tuples(st.integers(0, 639), st.integers(0, 479))
clicks = st.lists(st.tuples(points, st.integers(0, 1)), min_size=1, max_size=4).map(
    lambda row: Prompts.points([point for point, _ in row], [label for _, label in row])
)
boxed = st.builds(lambda corner: Prompts.boxes([*corner, corner[0] + 1, corner[1] + 1]), points)


@given(st.lists(st.one_of(clicks, boxed), min_size=1, max_size=5))
def test_a_stacked_row_has_the_tokens_it_had_alone(rows):
    stacked = Prompts.stack(rows)
    stacked.check(SIZE_HW)
    all_points, all_labels = stacked.tokens()
    assert len(stacked) == len(rows)
    for alone, points_xy, labels in zip(rows, all_points, all_labels, strict=True):
        own_points, own_labels = alone.tokens()
        present = labels != ABSENT_LABEL
        np.testing.assert_array_equal(labels[present], own_labels[0])
        np.testing.assert_array_equal(points_xy[present], own_points[0])
        assert present[: present.sum()].all()


def test_stack_joins_hints():
    hinted = Prompts.points([[1, 2]]).with_mask_hint(HINT)
    assert Prompts.stack([hinted, hinted]).mask_hint.shape == (2, 256, 256)
