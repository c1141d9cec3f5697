"""Means under Gaussian windows, in plain float64: exact, quick, and the same for any number of threads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ROWS = 64  # that are worked on at a time, so that they stay in the processor's cache


def gaussian(radius: int, sigma: float) -> Array:
    """2 radius + 1 weights of sum 1, sigma in pixels; a window is their product down and across."""
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    found: Array = weights / weights.sum()
    return found


def smoothed(picture: Array, weights: Array) -> Array:
    """The means under all windows that lie wholly inside `h w`, so both sides lose len(weights) - 1.

    weights: symmetric, an odd number.
    """
    return _along(_along(picture, weights).T, weights).T


def _along(picture: Array, weights: Array) -> Array:
    """Down the columns of `h w`; equal weights are multiplied once."""
    middle, rows = len(weights) // 2, len(picture) - len(weights) + 1
    means: Array = weights[middle] * picture[middle : middle + rows]
    for k in range(middle):
        opposite = len(weights) - 1 - k
        pair = picture[k : k + rows] + picture[opposite : opposite + rows]
        pair *= weights[k]
        means += pair
    return means


def strips(height: int) -> Iterator[slice]:
    """All rows, some at a time."""
    for top in range(0, height, ROWS):
        yield slice(top, min(top + ROWS, height))
