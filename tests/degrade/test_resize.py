"""Sizes and factors."""

from __future__ import annotations

import numpy as np
import pytest

from anyzoom.degrade.resize import resized, shrink_factors, times
from anyzoom.errors import ScaleError
from anyzoom.grid import Size


def test_factors_are_hr_pixels_per_lr_pixel() -> None:
    assert shrink_factors(Size(90, 100), Size(30, 40)) == (3.0, 2.5)
    assert shrink_factors(Size(5, 7), Size(5, 7)) == (1.0, 1.0)


@pytest.mark.parametrize("lr", [Size(91, 40), Size(30, 101), Size(0, 4), Size(4, -1)])
def test_an_impossible_lr_is_refused(lr: Size) -> None:
    with pytest.raises(ScaleError, match=f"cannot make an LR photo of {lr} from 100x90: ask for a size from 1x1"):
        shrink_factors(Size(90, 100), lr)


def test_sizes_between_are_rounded_half_up_and_never_empty() -> None:
    assert times(Size(10, 15), 0.25, 0.5) == Size(3, 8)
    assert times(Size(10, 15), 0.01, 1.5) == Size(1, 23)


@pytest.mark.parametrize("kernel", ["area", "bilinear", "bicubic"])
def test_a_ramp_stays_where_it_is(kernel: str) -> None:
    """Borders apart, resizing keeps a linear ramp: no shift at any factor, larger or smaller."""
    positions = ((np.arange(60) + 0.5) / 60).astype(np.float32)
    ramp = np.broadcast_to(positions[:, None, None], (60, 4, 3))
    for side in (11, 23, 30, 59, 61, 97, 120):
        found = resized(ramp, Size(side, 4), kernel)[:, 2, 1]
        expected = (np.arange(side) + 0.5) / side
        inside = slice(max(3, side // 5), -max(3, side // 5))
        apart = found[inside] - expected[inside]
        assert abs(apart.mean()) < 1e-4 / side
        # Area enlarges in steps; weights summed on a grid bend the ramp a little.
        assert np.abs(apart).max() < (0.51 / 60 if kernel == "area" else 0.02 / side)


def test_the_same_size_is_left_alone() -> None:
    image = np.random.default_rng(0).random((5, 6, 3), dtype=np.float32)
    assert resized(image, Size(5, 6), "area") is image
