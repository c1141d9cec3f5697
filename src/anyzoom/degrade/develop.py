"""What a camera does after the sensor: it codes light by a tone curve and sharpens; and back from code to light.

The curve is sRGB's (IEC 61966-2-1) followed by an S that keeps black, middle and white: with code x in [0, 1] and
contrast k below 1, x - k sin(2 pi x) / (2 pi), whose slope in the middle is 1 + k. Sharpening follows
the curve: before it, in linear light, an unsharp mask digs black moats around every lamp.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anyzoom.image.colour import decode_srgb, encode_srgb

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709
BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16  # standard deviation 1 pixel
STEPS = 255 * 16  # of the table from code to light: 8-bit codes are exact, others rounded to 12 bits


def _contrasted(code: NDArray[np.float32], contrast: float) -> NDArray[np.float32]:
    curved: NDArray[np.float32] = code - np.float32(contrast / (2 * math.pi)) * np.sin(np.float32(2 * math.pi) * code)
    return curved


def coded(light: NDArray[np.float32], contrast: float) -> NDArray[np.float32]:
    """Linear light of any shape to code in [0, 1]; light outside of [0, 1] is clipped."""
    return _contrasted(encode_srgb(light.clip(0, 1)), contrast)


def decoded(code: NDArray[np.float32], contrast: float) -> NDArray[np.float32]:
    """Inverse of `coded`; code outside of [0, 1] is clipped."""
    codes = np.linspace(0, 1, STEPS + 1, dtype=np.float32)
    lights: NDArray[np.float32] = decode_srgb(np.interp(codes, _contrasted(codes, contrast), codes).astype(np.float32))
    light: NDArray[np.float32] = lights[np.rint(code.clip(0, 1) * STEPS).astype(np.int16)]
    return light


def sharpened(code: NDArray[np.float32], amount: float) -> NDArray[np.float32]:
    """Unsharp mask of `3 h w` by luma alone, which spares the noise of colours; mirrored at borders, not clipped."""
    height, width = code.shape[1:]
    luma = np.tensordot(LUMA, code, 1)
    padded = np.pad(luma, 2, mode="symmetric")
    down = sum(share * padded[i : i + height] for i, share in enumerate(BINOMIAL))
    blurred = sum(share * down[:, i : i + width] for i, share in enumerate(BINOMIAL))
    sharp: NDArray[np.float32] = code + np.float32(amount) * (luma - blurred)
    return sharp
