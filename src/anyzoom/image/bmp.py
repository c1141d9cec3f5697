"""Reading BMP through Pillow: palettes, bit fields and run lengths become grey, RGB or RGB with alpha."""

from __future__ import annotations

import numpy as np

from anyzoom.grid import Size
from anyzoom.image.metadata import METRES_PER_INCH, dpi_from_metres
from anyzoom.image.photo import Metadata, Samples
from anyzoom.image.source import Header, Source

SHOWN = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB", "RGBA": "RGBA"}


def read_header(source: Source) -> Header:
    """The layout of a BMP."""
    from PIL.BmpImagePlugin import BmpImageFile

    # not Image.open: its own pixel limit is a global setting, and ours is checked before decoding
    with source.path.open("rb") as file, BmpImageFile(file) as picture:
        width, height = picture.size
        shown, dpi = SHOWN.get(picture.mode, "RGB"), picture.info.get("dpi")

    def decode() -> Samples:
        with source.path.open("rb") as file, BmpImageFile(file) as picture:
            return np.atleast_3d(np.asarray(picture.convert(shown)))

    known = None
    if dpi and min(dpi) > 0:
        known = dpi_from_metres(*(round(value / METRES_PER_INCH) for value in dpi))
    return Header(Size(height, width), len(shown), np.dtype(np.uint8), decode, Metadata(dpi=known))
