"""What JPEG leaves of a picture."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_bytes(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[0, 1], clipped, to 0 ... 255."""
    codes: NDArray[np.uint8] = np.rint(image.clip(0, 1) * 255).astype(np.uint8)
    return codes


def compressed(image: NDArray[np.float32], quality: int, chroma: str = "4:2:0") -> NDArray[np.float32]:
    """`h w 3` in [0, 1] through libjpeg; 8-bit representable. quality: 1 to 100; chroma: 4:2:0 (halved) or 4:4:4."""
    file = BytesIO()
    Image.fromarray(to_bytes(image)).save(file, "JPEG", quality=quality, subsampling=chroma)
    return np.asarray(Image.open(file), dtype=np.float32) / np.float32(255)
