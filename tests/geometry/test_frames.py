import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import official

from samlet.geometry.frames import ImageFrame, resized_hw

AMG = official.numbers("amg")
sides = st.integers(1, 3000)


@pytest.mark.parametrize(("name", "expected"), AMG["resized_hw"].items())
def test_resized_hw_is_the_official_rounding(name, expected):
    height, width = (int(side) for side in name.split("x"))
    assert resized_hw((height, width), 1024) == tuple(expected)


def test_resized_hw_keeps_a_pixel_of_a_thin_image():
    assert resized_hw((1, 5000), 512) == (1, 512)
    assert resized_hw((5000, 1), 512) == (512, 1)


@given(sides, sides, st.sampled_from([512, 1024]))
def test_resized_hw_fills_the_square(height, width, side):
    resized = resized_hw((height, width), side)
    assert max(resized) == side
    assert min(resized) >= 1


def test_the_two_canvases_round_apart():
    """EfficientViT-SAM at 512: 342 columns of content are 684 on the prompt canvas, whose own rounding says 683."""
    frame = ImageFrame((640, 427), canvas=512)
    assert frame.content_hw == (512, 342)
    assert frame.prompt_hw == (1024, 683)


def test_to_prompt_is_apply_coords():
    case = AMG["apply_coords"]
    scaled = ImageFrame(tuple(case["size_hw"]), canvas=512).to_prompt(case["points"])
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, case["scaled"], rtol=1e-6)


@given(sides, sides)
def test_to_prompt_keeps_the_origin_and_the_far_corner(height, width):
    frame = ImageFrame((height, width), canvas=512)
    prompt_height, prompt_width = frame.prompt_hw
    corners = frame.to_prompt([[[0, 0], [width, height]]])
    np.testing.assert_allclose(corners, [[[0, 0], [prompt_width, prompt_height]]], rtol=1e-6)


SIZES = [
    (480, 640),
    (640, 427),  # the content's width is rounded
    (1000, 1500),  # larger than the prompt canvas
    (768, 1023),  # one column less than the canvas: places close to the centers
    (1024, 1024),  # the second step changes nothing
    (2, 900),  # two rows
    (37, 23),  # much smaller than the low resolution: rows are skipped
    (1, 1),
]


@pytest.mark.parametrize("size_hw", SIZES)
def test_logits_to_image_is_torchs_two_interpolations(size_hw):
    torch = pytest.importorskip("torch")
    interpolate = torch.nn.functional.interpolate
    frame = ImageFrame(size_hw, canvas=512)
    logits = np.random.default_rng(0).standard_normal((2, 1, 256, 256)).astype(np.float32)

    height, width = frame.prompt_hw
    on_canvas = interpolate(torch.from_numpy(logits), (1024, 1024), mode="bilinear", align_corners=False)
    expected = interpolate(on_canvas[..., :height, :width], size_hw, mode="bilinear", align_corners=False).numpy()

    enlarged = frame.logits_to_image(logits)
    assert enlarged.dtype == np.float32
    np.testing.assert_allclose(enlarged, expected, rtol=0, atol=1e-5)


def test_logits_to_image_keeps_a_constant_and_every_leading_axis():
    enlarged = ImageFrame((30, 50), canvas=512).logits_to_image(np.full((2, 3, 256, 256), 7, np.float32))
    assert enlarged.shape == (2, 3, 30, 50)
    np.testing.assert_allclose(enlarged, 7, rtol=1e-6)


def test_logits_to_image_of_no_masks():
    assert ImageFrame((30, 50), canvas=512).logits_to_image(np.zeros((0, 256, 256), np.float32)).shape == (0, 30, 50)


def test_logits_to_image_ignores_the_padding():
    """A landscape image covers the upper half of the canvas: what lies lower must not show."""
    logits = np.zeros((256, 256), np.float32)
    logits[129:] = 1e6  # one row beyond the half: that one is blended in by the first step
    assert np.abs(ImageFrame((500, 1000), canvas=512).logits_to_image(logits)).max() == 0


@pytest.mark.parametrize("size_hw", [(300, 451), (700, 200), (64, 64)])
def test_sampled_logits_are_close_to_those_of_two_steps(size_hw):
    frame = ImageFrame(size_hw, 768)
    y, x = np.mgrid[:256, :256]
    low_res = (40 - np.hypot(x - 60, y - 80)).astype(np.float32)
    whole = frame.logits_to_image(low_res)
    height, width = size_hw
    np.testing.assert_allclose(frame.sample_logits(low_res, (0, 0, width, height), size_hw), whole, atol=0.6)
    window = (width // 4, height // 3, width // 2, height)
    part = frame.sample_logits(low_res, window, (window[3] - window[1], window[2] - window[0]))
    np.testing.assert_allclose(part, whole[window[1] : window[3], window[0] : window[2]], atol=0.6)


def test_sampled_logits_of_half_the_resolution_are_means_of_four():
    frame = ImageFrame((256, 256), 256, 256)
    low_res = np.random.default_rng(0).normal(size=(256, 256)).astype(np.float32)
    sampled = frame.sample_logits(low_res, (0, 0, 256, 256), (128, 128))
    np.testing.assert_allclose(sampled, low_res.reshape(128, 2, 128, 2).mean(axis=(1, 3)), atol=1e-5)
