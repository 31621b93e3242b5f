"""A bound that an option states holds for every number, one that is none included."""

from __future__ import annotations

from math import inf, nan

import pytest

from samlet.cli.options.bounds import Between


@pytest.mark.parametrize("value", [1, 64, 1.0, None, (), [1, 2], (64, None)])
def test_what_is_within_passes(value):
    Between(1, 64)(int, value)


@pytest.mark.parametrize("value", [0, 65, -1, nan, inf, -inf, [1, 65], (nan,)])
def test_what_is_not_is_refused(value):
    with pytest.raises(ValueError, match="It must be from 1 to 64"):
        Between(1, 64)(int, value)


def test_without_an_upper_end_infinity_is_still_refused():
    Between(0)(int, 10**30)
    with pytest.raises(ValueError, match="It must be 0 or more"):
        Between(0)(float, inf)
