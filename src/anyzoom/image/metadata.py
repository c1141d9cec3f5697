"""What a file says about its pixels, kept true while the pixels are turned or magnified."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from anyzoom.grid import Size
from anyzoom.image import exif
from anyzoom.image.ifd import DamagedTiff
from anyzoom.image.photo import Metadata

Warn = Callable[[str], None]
METRES_PER_INCH = 0.0254

# how much of an XMP packet may be a single property that we touch: `name="12"` or `<name>12</name>`
PROPERTY = rb"""(%s\s*=\s*["']|<%s>)\s*[0-9]+\s*(?=["']|</)"""


def with_xmp_number(packet: bytes, name: str, value: int) -> bytes:
    """The packet with a number replaced wherever it stands; a packet that lacks it stays as it is."""
    pattern = PROPERTY % (re.escape(name.encode()), re.escape(name.encode()))
    return re.sub(pattern, lambda match: match[1] + str(value).encode(), packet)


def upright(metadata: Metadata, orientation: int, warn: Warn) -> Metadata:
    """The metadata of the picture after `orientation` (1 to 8) has been applied to its pixels."""
    blob, packet, dpi = metadata.exif, metadata.xmp, metadata.dpi
    if blob is not None:
        try:
            blob = exif.upright(blob, turned=orientation != 1)
        except DamagedTiff as error:
            warn(f"its EXIF is damaged and left out: {error}")
            blob = None
    if packet is not None:
        packet = with_xmp_number(packet, "tiff:Orientation", 1)
    if dpi is not None and orientation >= 5:
        dpi = (dpi[1], dpi[0])
    return replace(metadata, exif=blob, xmp=packet, dpi=dpi)


def resized(metadata: Metadata, size: Size) -> Metadata:
    """The metadata of the same photograph at another size. What it does not state is not added."""
    blob, packet = metadata.exif, metadata.xmp
    if blob is not None:
        try:
            blob = exif.resized(blob, size)
        except DamagedTiff:
            blob = None  # nothing that a reader could use
    if packet is not None:
        for name, side in (("exif:PixelXDimension", size.width), ("exif:PixelYDimension", size.height)):
            packet = with_xmp_number(packet, name, side)
        for name, side in (("tiff:ImageWidth", size.width), ("tiff:ImageLength", size.height)):
            packet = with_xmp_number(packet, name, side)
    return replace(metadata, exif=blob, xmp=packet)


def dpi_from_metres(horizontal: int, vertical: int) -> tuple[float, float]:
    """Whole dots per metre, as PNG and BMP store them -> dots per inch.

    300 dpi are stored as 11811 per metre, which is 299.9994: a whole number within that rounding is meant.
    """
    inches = (horizontal * METRES_PER_INCH, vertical * METRES_PER_INCH)
    near = tuple(float(round(v)) if abs(v - round(v)) <= METRES_PER_INCH / 2 else v for v in inches)
    return near[0], near[1]
