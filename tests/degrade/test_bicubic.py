"""The literature's LR."""

from __future__ import annotations

import numpy as np

from anyzoom.degrade.bicubic import Bicubic
from anyzoom.grid import Size
from anyzoom.image.resample import resample


def test_it_is_matlabs_bicubic_in_8_bits() -> None:
    hr = np.random.default_rng(2).random((32, 45, 3), dtype=np.float32)
    pixels, draws = Bicubic().shrink(hr, Size(16, 20), np.random.default_rng(0))
    codes = np.rint(resample(hr, size=Size(16, 20)).clip(0, 1) * 255)
    np.testing.assert_array_equal(np.rint(pixels * 255), codes)
    assert draws == {}


def test_an_edge_by_hand() -> None:
    """At 1/2 the weights are -3, -9, 29, 111, 111, 29, -9, -3 of 256: 17 of them reach over the edge."""
    hr = np.zeros((2, 16, 3), dtype=np.float32)
    hr[:, 8:] = 1
    row = Bicubic().shrink(hr, Size(1, 8), np.random.default_rng(0)).pixels[0, :, 0] * 255
    assert np.rint(row).tolist() == [0, 0, 0, 17, 238, 255, 255, 255]
