"""Networks for images smaller than ImageNet's."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from samlet.errors import ModelError
from samlet.models import create
from samlet.models.registry import get_spec


@pytest.mark.parametrize(("patch_stride", "cells"), [(16, 2), (4, 7)])
def test_small_images_get_small_strides(patch_stride, cells):
    spec = replace(get_spec("efficientvit-m0"), image=replace(get_spec("efficientvit-m0").image, canvas=28))
    network = create(replace(spec, options={**spec.options, "patch_stride": patch_stride}))
    with torch.no_grad():
        maps = network.maps(torch.zeros(1, 3, 28, 28))
    assert maps[0].shape[-2:] == (cells, cells)


def test_a_stride_that_four_convolutions_cannot_make():
    spec = get_spec("efficientvit-m0")
    with pytest.raises(ModelError, match="patch_stride is 3: use 2, 4, 8 or 16"):
        create(replace(spec, options={**spec.options, "patch_stride": 3}))
