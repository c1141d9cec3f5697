"""PSNR and SSIM (Wang, Bovik, Sheikh, Simoncelli, IEEE TIP 2004), for values from 0 to 1.

SSIM: Gaussian windows of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, averaged over the windows that lie wholly inside
the picture, as the authors' MATLAB function does it and the tables of the literature. Channels are judged singly and
averaged. torchmetrics has the same windows, but mirrors the picture at its borders and averages over every pixel; in
float32 it is 5e-4 off near white, where variances are small differences of large squares, and in float64 it takes
fifty times as long as this.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from anyzoom.evaluate.metrics.metric import Judged, checked_pair
from anyzoom.evaluate.metrics.windows import Array, gaussian, smoothed, strips

RADIUS, SIGMA = 5, 1.5  # pixels
C1, C2 = 0.01**2, 0.03**2  # (K L)^2 for the range L = 1


class Psnr:
    """10 log10(1 / mean squared error) over all pixels and channels, in dB; infinite for equal pictures."""

    name = "psnr"
    unit: Literal["dB"] = "dB"
    better: Literal["higher"] = "higher"
    needs_truth = True
    colours: Literal["protocol"] = "protocol"

    def __call__(self, result: Judged, truth: Judged | None) -> float:
        truth = checked_pair(self.name, result, truth)
        error = float(np.mean((result.astype(np.float64) - truth) ** 2))
        return -10 * math.log10(error) if error else math.inf


class Ssim:
    """Structural similarity, -1 to 1; 1 for equal pictures."""

    name = "ssim"
    unit: Literal[""] = ""
    better: Literal["higher"] = "higher"
    needs_truth = True
    colours: Literal["protocol"] = "protocol"

    def __call__(self, result: Judged, truth: Judged | None) -> float:
        truth = checked_pair(self.name, result, truth, 2 * RADIUS + 1)
        planes = (np.ascontiguousarray(np.moveaxis(picture, -1, 0), np.float64) for picture in (result, truth))
        return float(np.mean([similarity(one, other)[0] for one, other in zip(*planes, strict=True)]))


def similarity(one: Array, other: Array) -> tuple[float, float]:
    """Of two channels `h w` in [0, 1]: mean SSIM (equation 13), and the mean of its contrast and structure alone."""
    window = gaussian(RADIUS, SIGMA)
    height, width = one.shape[0] - 2 * RADIUS, one.shape[1] - 2 * RADIUS
    whole = contrast = 0.0
    for rows in strips(height):
        a, b = (channel[rows.start : rows.stop + 2 * RADIUS] for channel in (one, other))
        mean_a, mean_b = smoothed(a, window), smoothed(b, window)
        spread = smoothed(a * a + b * b, window) - mean_a**2 - mean_b**2
        shared = smoothed(a * b, window) - mean_a * mean_b
        part = (2 * shared + C2) / (spread + C2)
        contrast += part.sum()
        whole += (part * (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)).sum()
    return whole / (height * width), contrast / (height * width)
