"""Premultiplied and back."""

from __future__ import annotations

import numpy as np

from anyzoom.image.alpha import premultiplied, straight


def test_straight_divides_rounds_and_clips() -> None:
    stored = np.array([[[10, 20, 30, 128], [200, 0, 0, 100], [9, 9, 9, 0]]], np.uint8)
    assert straight(stored).tolist() == [[[20, 40, 60, 128], [255, 0, 0, 100], [9, 9, 9, 0]]]
    assert straight(np.array([[[1000, 32768]]], np.uint16)).tolist() == [[[2000, 32768]]]


def test_floats_may_exceed_one() -> None:
    pixels = np.array([[[3.0, 0.5], [0.25, 0.0]]], np.float32)
    assert straight(premultiplied(pixels)).tolist() == pixels.tolist()
    assert premultiplied(pixels).tolist() == [[[1.5, 0.5], [0.25, 0.0]]]
