"""The records that carry a photograph through the house: its samples, and what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size

Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
SampleType: TypeAlias = np.dtype[np.uint8] | np.dtype[np.uint16] | np.dtype[np.float32]


@dataclass(frozen=True)
class Metadata:
    """What a file says about its pixels. Bytes stay bytes: nothing is re-encoded unless it must change."""

    icc: bytes | None = None  # ICC profile
    exif: bytes | None = None  # a TIFF structure that starts with II or MM, orientation already 1
    xmp: bytes | None = None  # an XMP packet, UTF-8
    dpi: tuple[float, float] | None = None  # horizontal, vertical: as the formats store them


@dataclass(frozen=True)
class Photo:
    """A picture in memory, upright.

    pixels: `h w c`, C-contiguous; uint8 and uint16 span their full range, float32 is nominally [0, 1].
    c is 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha). Colours are not premultiplied with alpha.
    """

    pixels: Samples
    metadata: Metadata = field(default_factory=Metadata)
    linear: bool = False  # samples are proportional to light (EXR) rather than sRGB-coded or profile-coded

    @property
    def size(self) -> Size:
        return Size(self.pixels.shape[0], self.pixels.shape[1])

    @property
    def layout(self) -> Layout:
        return Layout(self.size, self.pixels.shape[2], self.pixels.dtype, self.linear)


@dataclass(frozen=True)
class Layout:
    """What a writer must know before the first row arrives."""

    size: Size
    channels: int  # 1, 2, 3 or 4, as in Photo
    dtype: SampleType
    linear: bool = False

    @property
    def alpha(self) -> bool:
        return self.channels in (2, 4)

    @property
    def row_bytes(self) -> int:
        return self.size.width * self.channels * self.dtype.itemsize
