"""Colour arithmetic shared by measuring, zooming and linear-light files."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)

BT601_STUDIO = np.array([65.481, 128.553, 24.966]) / 255  # MATLAB's rgb2ycbcr, Y in [16/255, 235/255]


def luma(rgb: NDArray[Real]) -> NDArray[Real]:
    """BT.601 luma as MATLAB's rgb2ycbcr: RGB `h w 3` in [0, 1] -> Y `h w` in [16/255, 235/255]."""
    weighted: NDArray[Real] = rgb @ BT601_STUDIO.astype(rgb.dtype) + rgb.dtype.type(16 / 255)
    return weighted


def encode_srgb(light: NDArray[Real]) -> NDArray[Real]:
    """Linear light to sRGB code values (IEC 61966-2-1), continued oddly below 0 and unbounded above 1."""
    size = np.abs(light)
    code = np.where(size <= 0.0031308, 12.92 * size, 1.055 * size ** (1 / 2.4) - 0.055)
    return np.copysign(code, light).astype(light.dtype)


def decode_srgb(code: NDArray[Real]) -> NDArray[Real]:
    """Inverse of encode_srgb."""
    size = np.abs(code)
    light = np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)
    return np.copysign(light, code).astype(code.dtype)
