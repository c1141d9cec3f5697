"""Sharpening and the tone curve."""

from __future__ import annotations

import numpy as np
import pytest

from anyzoom.degrade.develop import coded, decoded, sharpened
from anyzoom.image.colour import decode_srgb

CODES = np.arange(256, dtype=np.float32) / np.float32(255)


@pytest.mark.parametrize("contrast", [-0.3, 0.0, 0.25, 0.6])
def test_codes_of_8_bits_come_back(contrast: float) -> None:
    back = coded(decoded(CODES, contrast), contrast)
    np.testing.assert_array_equal(np.rint(back * 255), np.arange(256))
    np.testing.assert_allclose(back, CODES, atol=2e-4)


def test_without_contrast_the_curve_is_that_of_srgb() -> None:
    np.testing.assert_allclose(decoded(CODES, 0.0), decode_srgb(CODES), atol=1e-6)


def test_contrast_keeps_black_middle_and_white() -> None:
    light = decode_srgb(np.array([0, 0.25, 0.5, 0.75, 1], np.float32))
    expected = [0, 0.25 - 0.3 / (2 * np.pi), 0.5, 0.75 + 0.3 / (2 * np.pi), 1]
    np.testing.assert_allclose(coded(light, 0.3), expected, atol=1e-6)


def test_what_is_too_bright_or_too_dark_is_clipped() -> None:
    assert coded(np.array([-0.1, 1.5], np.float32), 0.2).tolist() == pytest.approx([0, 1], abs=1e-6)
    assert decoded(np.array([-0.1, 1.5], np.float32), 0.2).tolist() == [0, 1]


def test_sharpening_steepens_an_edge_by_the_binomial_unsharp_mask() -> None:
    light = np.zeros((3, 6, 8), np.float32)
    light[..., 4:] = 0.8
    detail = np.array([0, 0, -1, -5, 5, 1, 0, 0]) / 16 * 0.8
    expected = light[0, 0] + 0.5 * detail
    np.testing.assert_allclose(sharpened(light, 0.5), np.broadcast_to(expected, (3, 6, 8)), atol=1e-6)
    np.testing.assert_allclose(sharpened(light.swapaxes(1, 2), 0.5)[0, :, 0], expected, atol=1e-6)


def test_sharpening_keeps_the_mean_and_the_differences_of_colours() -> None:
    light = np.random.default_rng(2).random((3, 20, 30), np.float32)
    made = sharpened(light, 0.7)
    assert made.mean() == pytest.approx(light.mean(), abs=1e-6)
    np.testing.assert_allclose(made[0] - made[2], light[0] - light[2], atol=1e-6)
    assert made.std() > 1.1 * light.std()
