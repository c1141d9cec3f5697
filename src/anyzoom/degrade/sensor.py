"""The sensor: a colour filter on every pixel, counted electrons, and the colours interpolated again.

Noise is shot noise (Poisson, in electrons) and read noise (Gaussian), the model that Foi et al. (Practical
Poissonian-Gaussian Noise Modeling and Fitting for Single-Image Raw-Data, IEEE TIP 2008) fit to raw files: with n
electrons for white, the variance of light x is x / n + (read / n)^2.

Demosaicing is linear, by 5 x 5 filters (Malvar, He and Cutler, High-Quality Linear Interpolation for Demosaicing of
Bayer-Patterned Color Images, ICASSP 2004, figure 2): bilinear, corrected by the Laplacian of the colour that was
measured at the pixel. Each filter is symmetric, so nothing is shifted.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)
Phase = tuple[int, int]  # row and column, 0 or 1, of the first red pixel


def exposed(
    light: NDArray[np.float32], white_electrons: float, read_electrons: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Light of any shape, 1 is white, as a sensor measures it: noisy, negative in the dark, never above 1."""
    electrons = rng.poisson(np.maximum(light, 0) * white_electrons).astype(np.float32)
    electrons += read_electrons * rng.standard_normal(light.shape, np.float32)
    measured: NDArray[np.float32] = np.minimum(electrons / np.float32(white_electrons), 1)
    return measured


def mosaic(light: NDArray[Real], red: Phase) -> NDArray[Real]:
    """The one colour `h w` that a Bayer sensor measures at each pixel of `3 h w`."""
    raw: NDArray[Real] = light[1].copy()
    for channel, (row, column) in ((0, red), (2, (1 - red[0], 1 - red[1]))):
        raw[row::2, column::2] = light[channel, row::2, column::2]
    return raw


def demosaic(raw: NDArray[Real], red: Phase) -> NDArray[Real]:
    """`h w` from a Bayer sensor -> `3 h w`. Mirrored without repeating the border, so that colours stay in turn."""
    height, width = raw.shape
    padded = np.pad(raw, 2, mode="reflect")

    def moved(down: int, across: int) -> NDArray[Real]:
        return padded[2 + down : 2 + down + height, 2 + across : 2 + across + width]

    across, down = moved(0, -1) + moved(0, 1), moved(-1, 0) + moved(1, 0)
    across2, down2 = moved(0, -2) + moved(0, 2), moved(-2, 0) + moved(2, 0)
    diagonal = moved(-1, -1) + moved(-1, 1) + moved(1, -1) + moved(1, 1)
    green = (4 * raw + 2 * (across + down) - across2 - down2) / 8
    opposite = (6 * raw + 2 * diagonal - 1.5 * (across2 + down2)) / 8  # blue at red, red at blue
    beside = (5 * raw + 4 * across - diagonal - across2 + 0.5 * down2) / 8  # at green, from its own row
    above = (5 * raw + 4 * down - diagonal - down2 + 0.5 * across2) / 8  # at green, from its own column

    colours = np.stack((raw, raw, raw))
    for channel, (row, column) in ((0, red), (2, (1 - red[0], 1 - red[1]))):
        same, other = slice(row, None, 2), slice(1 - row, None, 2)
        same_column, other_column = slice(column, None, 2), slice(1 - column, None, 2)
        colours[1, same, same_column] = green[same, same_column]
        colours[channel, same, other_column] = beside[same, other_column]
        colours[channel, other, same_column] = above[other, same_column]
        colours[channel, other, other_column] = opposite[other, other_column]
    return colours
