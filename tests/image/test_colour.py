"""Luma and the sRGB curve, in the numbers of their standards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anyzoom.image.colour import decode_srgb, encode_srgb, luma


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [  # MATLAB's rgb2ycbcr of doubles, times 255
        ((0, 0, 0), 16.0),
        ((1, 1, 1), 235.0),
        ((1, 0, 0), 81.481),
        ((0, 1, 0), 144.553),
        ((0, 0, 1), 40.966),
    ],
)
def test_luma_in_numbers(rgb: tuple[int, int, int], expected: float) -> None:
    assert luma(np.array([[rgb]], np.float64))[0, 0] * 255 == pytest.approx(expected, abs=1e-12)


def test_luma_keeps_shape_and_type() -> None:
    rgb = np.random.default_rng(1).random((4, 5, 3))
    assert luma(rgb).shape == (4, 5)
    assert luma(rgb.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(luma(rgb.astype(np.float32)), luma(rgb), rtol=0, atol=3e-7)


@pytest.mark.parametrize(
    ("light", "code"),
    [  # IEC 61966-2-1: 12.92 L up to 0.0031308, then 1.055 L^(1/2.4) - 0.055
        (0.0, 0.0),
        (0.0031308, 0.040449936),
        (0.001, 0.01292),
        (0.2140411404715882, 0.5),
        (0.0331047666, 0.2),
        (1.0, 1.0),
        (-0.001, -0.01292),
        (-1.0, -1.0),
        (4.0, 1.055 * 4 ** (1 / 2.4) - 0.055),  # brighter than white goes on
    ],
)
def test_srgb_in_numbers(light: float, code: float) -> None:
    assert encode_srgb(np.array(light)) == pytest.approx(code, abs=1e-9)
    assert decode_srgb(np.array(code)) == pytest.approx(light, abs=1e-8)


@given(st.floats(-8, 8))
def test_srgb_there_and_back(light: float) -> None:
    """The standard's two constants do not quite meet: around the joint 4e-8 are lost."""
    back = decode_srgb(encode_srgb(np.array([light])))[0]
    assert back == pytest.approx(light, abs=4e-8, rel=1e-12)


def test_srgb_rises_and_keeps_the_type() -> None:
    codes = encode_srgb(np.linspace(-1, 4, 20_001))
    assert (np.diff(codes) > 0).all()
    light = np.linspace(0, 1, 7, dtype=np.float32)
    assert encode_srgb(light).dtype == decode_srgb(light).dtype == np.float32
