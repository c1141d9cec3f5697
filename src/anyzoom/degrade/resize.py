"""Resizing by pixel centres to exact sizes: never a shift, whatever the factors."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anyzoom.errors import ScaleError
from anyzoom.grid import Scale, Size
from anyzoom.image.resample import resample


def shrink_factors(hr: Size, lr: Size) -> Scale:
    """HR pixels per LR pixel, both 1 or more. Raises ScaleError when LR would be larger than HR or empty."""
    if not (1 <= lr.height <= hr.height and 1 <= lr.width <= hr.width):
        raise ScaleError(f"cannot make an LR photo of {lr} from {hr}: ask for a size from 1x1 to {hr}.")
    return Scale(hr.height / lr.height, hr.width / lr.width)


def times(size: Size, vertical: float, horizontal: float) -> Size:
    """The size of an intermediate picture: each side times its factor, rounded half up, at least 1."""
    return Size(max(1, math.floor(size.height * vertical + 0.5)), max(1, math.floor(size.width * horizontal + 0.5)))


def resized(image: NDArray[np.float32], size: Size, kernel: str) -> NDArray[np.float32]:
    """`h w 3` to that size, larger or smaller, antialiased. kernel: a name of `anyzoom.image.resample`."""
    return image if image.shape[:2] == size else resample(image, size=size, kernel=kernel)
