"""Reading AVIF (Pillow) and HEIC (pi-heif, an extra). Both turn by boxes of the container, not by EXIF.

libheif turns the pixels itself; Pillow hands the container's turn over as EXIF orientation. The EXIF of these
files may repeat the turn, and must not be applied again (ISO/IEC 23008-12, 6.5.10).
"""

from __future__ import annotations

import numpy as np

from anyzoom.errors import MissingExtra
from anyzoom.grid import Size
from anyzoom.image import exif
from anyzoom.image.alpha import straight
from anyzoom.image.photo import Metadata, Samples, SampleType
from anyzoom.image.source import Header, Source

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def read_avif(source: Source) -> Header:
    """The layout and metadata of an AVIF. Depths of 10 and 12 bits are read at 8, with a warning."""
    from PIL.AvifImagePlugin import AvifImageFile

    with source.path.open("rb") as file, AvifImageFile(file) as picture:
        width, height = picture.size
        mode, told, frames = picture.mode, dict(picture.info), picture.n_frames
    if frames > 1:
        source.warn("an animated AVIF; only its first picture is read")
    depth = _avif_depth(bytes(source.data[: 2**16]))
    if depth > 8:
        source.warn(f"an AVIF of {depth} bits; it is read at 8 bits")
    blob = told.get("exif")
    blob = None if blob is None else exif.without_prefix(blob)
    orientation = exif.orientation(blob)

    def decode() -> Samples:
        with source.path.open("rb") as file, AvifImageFile(file) as picture:
            return np.atleast_3d(np.asarray(picture))

    metadata = Metadata(told.get("icc_profile"), blob, told.get("xmp"))
    return Header(Size(height, width), CHANNELS[mode], np.dtype(np.uint8), decode, metadata, orientation)


def _avif_depth(head: bytes) -> int:
    """Bits per sample by the configuration box of AV1 (AV1-ISOBMFF 2.3.3); 8 where there is none."""
    at = head.find(b"av1C")
    if at < 0 or at + 7 > len(head):
        return 8
    flags = head[at + 6]
    if not flags & 0x40:
        return 8
    return 12 if flags & 0x20 else 10


def read_heif(source: Source) -> Header:
    """The layout and metadata of a HEIC. Depths of 10 and 12 bits are spread over 16."""
    try:
        import pi_heif
    except ImportError as error:
        raise MissingExtra("reading HEIC", "raw") from error
    container = pi_heif.open_heif(str(source.path), convert_hdr_to_8bit=False)
    picture = container[container.primary_index]
    if len(container) > 1:
        source.warn(f"a HEIC of {len(container)} pictures; only the main one is read")
    width, height = picture.size
    mode, _, deep = picture.mode.partition(";")
    premultiplied = bool(getattr(picture, "premultiplied_alpha", False))
    blob = picture.info.get("exif")
    blob = exif.without_prefix(blob) if blob else None
    depth = int(picture.info.get("bit_depth", 8))

    def decode() -> Samples:
        # a copy: the samples live in memory that goes with the container
        samples = np.atleast_3d(np.array(picture))
        if deep:
            samples = _spread(samples, depth)
        return straight(samples) if premultiplied else samples

    dtype: SampleType = np.dtype(np.uint16) if deep else np.dtype(np.uint8)
    metadata = Metadata(picture.info.get("icc_profile"), blob, picture.info.get("xmp") or None)
    return Header(Size(height, width), CHANNELS[mode], dtype, decode, metadata)


def _spread(samples: Samples, depth: int) -> Samples:
    """libheif leaves 10 bits in the upper part of 16; white must become 65535."""
    most = 2**depth - 1
    values = samples.astype(np.uint32) >> (16 - depth)
    spread: Samples = ((values * 65535 + most // 2) // most).astype(np.uint16)
    return spread
