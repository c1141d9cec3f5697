"""Blur kernels: Gaussian, generalised Gaussian, plateau and sinc, all centred, symmetric and of sum 1.

With C = (y, x) from the centre and the covariance S of two axes turned by an angle, q = C^T S^-1 C, they are
exp(-q / 2), exp(-q^beta / 2) and 1 / (1 + q^beta) (Wang et al., Real-ESRGAN, ICCVW 2021, section 3.1 and appendix;
Liu et al., Estimating Generalized Gaussian Blur Kernels, 2020), and w J1(w r) / (2 pi r) for the sinc, the ideal
circular low-pass filter of cut-off w (section 3.4).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

Kernel = NDArray[np.float32]  # k k, k odd, sum 1


def _offsets(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if size < 1 or size % 2 == 0:
        raise ValueError(f"a kernel of {size} pixels has no centre: its size should be odd.")
    side = np.arange(size, dtype=np.float64) - size // 2
    y, x = np.meshgrid(side, side, indexing="ij")
    return y, x


def _whole(kernel: NDArray[np.float64]) -> Kernel:
    whole: Kernel = (kernel / kernel.sum()).astype(np.float32)
    return whole


def _distance(size: int, sigmas: tuple[float, float], angle: float) -> NDArray[np.float64]:
    """q, the squared distance from the centre in units of sigma, `k k`."""
    y, x = _offsets(size)
    along = y * math.cos(angle) + x * math.sin(angle)
    across = x * math.cos(angle) - y * math.sin(angle)
    return (along / sigmas[0]) ** 2 + (across / sigmas[1]) ** 2


def gaussian(size: int, sigmas: tuple[float, float], angle: float = 0.0) -> Kernel:
    """sigmas: of both axes, in pixels; the first axis is the vertical one, turned by `angle` radians to +x."""
    return _whole(np.exp(-0.5 * _distance(size, sigmas, angle)))


def generalized(size: int, sigmas: tuple[float, float], angle: float, beta: float) -> Kernel:
    """beta: 1 is the Gaussian, below 1 more peaked, above 1 flatter."""
    return _whole(np.exp(-0.5 * _distance(size, sigmas, angle) ** beta))


def plateau(size: int, sigmas: tuple[float, float], angle: float, beta: float) -> Kernel:
    """A flat top with slopes that are the steeper the larger beta."""
    return _whole(1 / (1 + _distance(size, sigmas, angle) ** beta))


def sinc(size: int, cutoff: float) -> Kernel:
    """cutoff: the highest angular frequency that passes, in radians per pixel, up to pi."""
    radius = np.hypot(*_offsets(size))
    radius[size // 2, size // 2] = 1e-6  # the limit at the centre, w^2 / (4 pi)
    bessel: NDArray[np.float64] = torch.special.bessel_j1(torch.from_numpy(cutoff * radius)).numpy()
    return _whole(cutoff * bessel / (2 * math.pi * radius))


def blurred(image: NDArray[np.float32], kernel: Kernel) -> NDArray[np.float32]:
    """Convolve `h w 3` of any size; the picture is mirrored at its borders, the outermost pixel not repeated.

    By FFT, whose cost does not depend on the kernel: below the direct sum's for all but the smallest kernels.
    """
    height, width = image.shape[:2]
    margin = len(kernel) // 2
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    planes = torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))
    spectrum = torch.fft.rfft2(planes) * torch.fft.rfft2(torch.from_numpy(kernel), s=planes.shape[1:])
    whole = torch.fft.irfft2(spectrum, s=planes.shape[1:])  # shifted down and right by the margin
    inside = whole[:, 2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width]
    return np.ascontiguousarray(inside.permute(1, 2, 0).numpy())
