"""JPEG as a loss."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anyzoom.degrade.jpeg import compressed, to_bytes


def picture() -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    return rng.random((21, 34, 3), dtype=np.float32)


def test_codes_are_rounded_and_clipped() -> None:
    image = np.array([[[-0.2, 0.4 / 255, 0.6 / 255], [254.6 / 255, 1.0, 1.3]]], dtype=np.float32)
    assert to_bytes(image).tolist() == [[[0, 0, 1], [255, 255, 255]]]


def test_less_quality_loses_more() -> None:
    image = picture()
    losses = [np.abs(compressed(image, quality) - image).mean() for quality in (95, 60, 10)]
    assert losses[0] < losses[1] < losses[2]


def test_chroma_is_halved_unless_told() -> None:
    image = picture()
    whole = np.abs(compressed(image, 100, "4:4:4") - image).mean()
    assert whole < 2 / 255
    assert np.abs(compressed(image, 100) - image).mean() > 10 * whole


@pytest.mark.parametrize("size", [(1, 1), (7, 19), (16, 16)])
def test_any_size_stays_in_8_bits(size: tuple[int, int]) -> None:
    flat = np.broadcast_to(np.array([0.2, 0.5, 0.8], dtype=np.float32), (*size, 3))
    left = compressed(flat, 90)
    assert left.shape == (*size, 3)
    assert left.dtype == np.float32
    np.testing.assert_allclose(left, flat, rtol=0, atol=3 / 255)
    np.testing.assert_allclose(left * 255, np.rint(left * 255), rtol=0, atol=1e-4)
