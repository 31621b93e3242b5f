import base64
import re
import sys

import cv2
import numpy as np
import pytest

from samlet.errors import InputError, SamletError
from samlet.geometry import rle
from samlet.masks import Mask, MaskSet
from samlet.masks.pictures import picture


def masks_of(count, size_hw=(30, 40)):
    array = np.zeros(size_hw, bool)
    array[5:20, 8:30] = True
    return MaskSet([Mask(rle.encode(array), iou=0.5)] * count, size_hw)


def test_a_notebook_shows_a_picture_no_larger_than_it_needs():
    content = np.frombuffer(masks_of(1, (600, 1200))._repr_png_(), np.uint8)
    assert cv2.imdecode(content, cv2.IMREAD_COLOR).shape == (240, 480, 3)


def test_a_notebook_shows_a_table_of_the_first_masks():
    page = masks_of(12)._repr_html_()
    assert page.count("<tr>") == 11
    assert "and 2 more" in page
    png = base64.b64decode(re.search(r"base64,([^\"]+)", page)[1])
    assert png.startswith(b"\x89PNG")
    assert "<td>" not in masks_of(0)._repr_html_()


def test_masks_are_drawn_over_their_image_only():
    image = np.full((30, 40, 3), 100, np.uint8)
    drawn = picture(masks_of(1), image)
    assert (drawn[0, 0] == 80).all()  # dimmed, so of the image
    assert (drawn[12, 20] != 80).any()
    with pytest.raises(InputError, match="40 x 31 pixels but the masks are of one of 40 x 30"):
        picture(masks_of(1), np.zeros((31, 40, 3), np.uint8))


def test_plot_draws_on_the_axes_it_is_given():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, ax = pyplot.subplots()
    assert masks_of(1).plot(ax=ax) is ax
    assert ax.images[0].get_array().shape == (30, 40, 3)
    pyplot.close(figure)


def test_show_without_matplotlib_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(SamletError, match="pip install matplotlib"):
        masks_of(1).show()
