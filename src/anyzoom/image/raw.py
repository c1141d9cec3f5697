"""Camera raw files through LibRaw (rawpy, an extra): developed to upright 16-bit sRGB.

As the camera saw it: the camera's white balance, no automatic brightening, LibRaw's default demosaicing. The
EXIF comes from the raw file where it is built like a TIFF (DNG, CR2, NEF, ARW, ORF, RW2 and others), else
from the embedded preview.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anyzoom.errors import MissingExtra
from anyzoom.grid import Size
from anyzoom.image import exif
from anyzoom.image.decoding import refused
from anyzoom.image.ifd import DamagedTiff
from anyzoom.image.photo import Metadata, Samples
from anyzoom.image.profiles import srgb_profile
from anyzoom.image.source import Header, Source

SRGB_GAMMA = (2.4, 12.92)


def read_header(source: Source) -> Header:
    """The layout and metadata of a developed raw file."""
    try:
        import rawpy
    except ImportError as error:
        raise MissingExtra("reading camera raw files", "raw") from error
    try:
        with rawpy.imread(str(source.path)) as camera:
            sizes = camera.sizes
            # iheight and iwidth are before the turn that flip 5 and 6 make
            sides = (sizes.iwidth, sizes.iheight) if sizes.flip in (5, 6) else (sizes.iheight, sizes.iwidth)
            blob = _tiff_exif(source) or _preview_exif(camera)
    except rawpy.LibRawError as error:
        raise refused(source, _words(error)) from error

    def decode() -> Samples:
        try:
            with rawpy.imread(str(source.path)) as camera:
                developed: Samples = camera.postprocess(
                    use_camera_wb=True,
                    no_auto_bright=True,
                    output_bps=16,
                    output_color=rawpy.ColorSpace.sRGB,
                    gamma=SRGB_GAMMA,
                )
        except rawpy.LibRawError as error:
            raise refused(source, _words(error)) from error
        return developed

    metadata = Metadata(icc=srgb_profile(), exif=blob)
    return Header(Size(*sides), 3, np.dtype(np.uint16), decode, metadata)


def _words(error: Exception) -> str:
    text = error.args[0] if error.args else str(error)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _tiff_exif(source: Source) -> bytes | None:
    try:
        form, top = exif.opened(source.data)
    except DamagedTiff:
        return None
    return exif.from_tiff(source.data, form, top)


def _preview_exif(camera: Any) -> bytes | None:
    """The EXIF of the embedded JPEG preview (RAF, CR3), where there is one."""
    import rawpy

    try:
        preview = camera.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    if preview.format != rawpy.ThumbFormat.JPEG:
        return None
    data = bytes(preview.data)
    at = data[: 2**16].find(b"\xff\xe1")
    if at < 0 or data[at + 4 : at + 10] != b"Exif\0\0":
        return None
    return data[at + 10 : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
