"""Straight and premultiplied alpha: photographs are straight in memory, some files are not."""

from __future__ import annotations

import numpy as np

from anyzoom.image.photo import Samples

ROWS_AT_ONCE = 256  # keeps the float copies small


def straight(samples: Samples) -> Samples:
    """Premultiplied `h w c+1` -> straight, in the same dtype. Colour under alpha 0 stays as stored."""
    result = samples.copy()
    whole = {"uint8": 255.0, "uint16": 65535.0}.get(str(samples.dtype), 1.0)
    for top in range(0, len(samples), ROWS_AT_ONCE):
        band = samples[top : top + ROWS_AT_ONCE].astype(np.float64)
        alpha = band[:, :, -1:] / whole
        colour = np.divide(band[:, :, :-1], alpha, out=band[:, :, :-1].copy(), where=alpha > 0)
        if samples.dtype.kind != "f":
            colour = np.floor(np.clip(colour, 0, whole) + 0.5)
        result[top : top + ROWS_AT_ONCE, :, :-1] = colour
    return result


def premultiplied(samples: Samples) -> Samples:
    """Straight float `h w c+1` -> premultiplied, as EXR stores it. Colour under alpha 0 is kept as it is."""
    alpha = samples[:, :, -1:]
    result = samples.copy()
    result[:, :, :-1] = np.where(alpha > 0, samples[:, :, :-1] * alpha, samples[:, :, :-1])
    return result
