import numpy as np
import pytest

from samlet.geometry import guided_filter
from samlet.geometry.guided_filter import enlarged, guided_bands, plain_bands


def guided_mask(probability, photo, radius_px, eps):
    return np.concatenate(list(guided_bands(probability, photo, radius_px, eps)))


def plain_mask(logits, size_hw):
    return np.concatenate(list(plain_bands(logits, size_hw)))


def scene(size_hw=(80, 100)):
    """A photo with an edge at x = 50, a little noise, and a blurred probability that places it at x = 46."""
    height, width = size_hw
    photo = np.full((height, width, 3), (60, 90, 40), np.uint8)
    photo[:, width // 2 :] = (70, 40, 130)
    photo += np.random.default_rng(0).integers(0, 4, photo.shape, np.uint8)
    x = np.arange(width) + 0.5
    ramp = 1 / (1 + np.exp(-(x - 0.46 * width) / 4))
    return photo, np.tile(ramp.astype(np.float32), (height, 1))


def edge_of(mask):
    return mask.shape[1] - mask.sum(axis=1)


def test_the_edge_moves_to_where_the_photo_has_one():
    photo, probability = scene()
    assert (edge_of(probability > 0.5) == 46).all()
    assert (edge_of(guided_mask(probability, photo, 8, 1e-4)) == 50).all()


def test_on_a_photo_without_edges_a_mask_stays():
    _, probability = scene()
    flat = np.full((80, 100, 3), 128, np.uint8)
    np.testing.assert_array_equal(guided_mask(probability, flat, 3, 1e-4), probability > 0.5)


def test_it_is_the_best_linear_function_of_the_colors_in_each_window():
    random = np.random.default_rng(1)
    guide, probability = random.random((9, 11, 3)).astype(np.float32), random.random((9, 11)).astype(np.float32)
    covariance, mean = np.zeros((9, 11, 3)), np.zeros((9, 11))
    padded_guide, padded = np.pad(guide, ((2, 2), (2, 2), (0, 0)), "symmetric"), np.pad(probability, 2, "symmetric")
    for row, column in np.ndindex(9, 11):
        colors = padded_guide[row : row + 5, column : column + 5].reshape(25, 3).astype(np.float64)
        values = padded[row : row + 5, column : column + 5].ravel()
        centered = colors - colors.mean(axis=0)
        slope = np.linalg.solve(centered.T @ centered / 25 + 0.01 * np.eye(3), centered.T @ values / 25)
        covariance[row, column], mean[row, column] = slope, values.mean() - slope @ colors.mean(axis=0)
    slopes, offset = guided_filter._coefficients(probability, guide, 2, 0.01)
    np.testing.assert_allclose(slopes, guided_filter._box_mean(covariance, 2), atol=1e-4)
    np.testing.assert_allclose(offset, guided_filter._box_mean(mean, 2), atol=1e-4)


def test_coefficients_of_a_coarser_grid_give_nearly_the_same_mask():
    photo, probability = scene((160, 200))
    coarse = probability.reshape(80, 2, 100, 2).mean(axis=(1, 3)).astype(np.float32)
    fine = guided_mask(probability, photo, 8, 1e-4)
    assert (guided_mask(coarse, photo, 4, 1e-4) != fine).mean() < 0.005


def test_bands_do_not_show(monkeypatch):
    photo, probability = scene((160, 200))
    coarse = np.ascontiguousarray(probability[::3, ::3])
    whole = guided_mask(coarse, photo, 4, 1e-4), plain_mask(coarse - 0.5, (160, 200))
    monkeypatch.setattr(guided_filter, "BAND_ROWS", 7)
    np.testing.assert_array_equal(guided_mask(coarse, photo, 4, 1e-4), whole[0])
    np.testing.assert_array_equal(plain_mask(coarse - 0.5, (160, 200)), whole[1])


def test_enlarged_is_bilinear_and_keeps_what_needs_no_change():
    values = np.array([[0, 4], [8, 12]], np.float32)
    larger = enlarged(values, (4, 4), slice(0, 4))
    np.testing.assert_allclose(larger[0], [0, 1, 3, 4], atol=0.02)
    np.testing.assert_allclose(larger[:, 0], [0, 2, 6, 8], atol=0.02)
    np.testing.assert_array_equal(enlarged(values, (2, 2), slice(1, 2)), values[1:])


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 9), (3, 2)])
def test_pictures_of_a_few_pixels(size_hw):
    photo = np.zeros((*size_hw, 3), np.uint8)
    assert guided_mask(np.ones(size_hw, np.float32), photo, 3, 1e-4).all()
    assert not plain_mask(np.full(size_hw, -1, np.float32), size_hw).any()
