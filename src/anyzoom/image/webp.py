"""Reading WebP: the RIFF chunks by hand (size, ICC, EXIF, XMP), the pixels through OpenImageIO."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size
from anyzoom.image import exif
from anyzoom.image.decoding import decoded
from anyzoom.image.photo import Metadata, Samples
from anyzoom.image.source import Header, Source

ANIMATED, ALPHA = 0x02, 0x10  # flags of VP8X


class Chunk(NamedTuple):
    kind: bytes
    start: int  # of the data
    length: int


def chunks(source: Source) -> Iterator[Chunk]:
    """All chunks. Raises CannotRead where the file is shorter than it says."""
    data = source.data
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise source.damaged(f"truncated WebP: it has {len(data)} bytes of {end}")
    at = 12
    while at + 8 <= end:
        kind, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            raise source.damaged("truncated WebP: a chunk reaches beyond its end")
        yield Chunk(kind, at + 8, length)
        at += 8 + length + length % 2


def read_header(source: Source) -> Header:
    """The layout and metadata of a WebP."""
    if len(source.data) < 30:
        raise source.damaged("truncated WebP: it ends within its header")
    parts: dict[bytes, Chunk] = {}
    for part in chunks(source):
        parts.setdefault(part.kind, part)
    size, alpha, animated = _layout(source, parts)
    if animated:
        source.warn("an animated WebP; only its first picture is read")

    def body(kind: bytes) -> bytes | None:
        part = parts.get(kind)
        return None if part is None else bytes(source.data[part.start : part.start + part.length])

    blob = body(b"EXIF")
    blob = None if blob is None else exif.without_prefix(blob)
    orientation = exif.orientation(blob)
    metadata = Metadata(body(b"ICCP"), blob, body(b"XMP "))
    eight = np.dtype(np.uint8)

    def decode() -> Samples:
        if animated:
            return _first_picture(source, alpha)
        samples = decoded(source, eight)
        if samples.shape[2] == 3 and alpha:
            opaque: NDArray[np.uint8] = np.dstack((samples, np.full(samples.shape[:2], 255, np.uint8)))
            return opaque
        return samples if alpha else samples[:, :, :3]

    return Header(size, 4 if alpha else 3, eight, decode, metadata, orientation)


def _layout(source: Source, parts: dict[bytes, Chunk]) -> tuple[Size, bool, bool]:
    """Size, alpha, animation."""
    data = source.data
    if b"VP8X" in parts:
        start = parts[b"VP8X"].start
        width = 1 + int.from_bytes(data[start + 4 : start + 7], "little")
        height = 1 + int.from_bytes(data[start + 7 : start + 10], "little")
        return Size(height, width), bool(data[start] & ALPHA), bool(data[start] & ANIMATED)
    if b"VP8L" in parts:
        bits = struct.unpack_from("<I", data, parts[b"VP8L"].start + 1)[0]
        return Size(1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)), bool(bits >> 28 & 1), False
    if b"VP8 " in parts:
        width, height = struct.unpack_from("<HH", data, parts[b"VP8 "].start + 6)
        return Size(height & 0x3FFF, width & 0x3FFF), False, False
    raise source.damaged("a WebP without a picture")


def _first_picture(source: Source, alpha: bool) -> Samples:
    """The first picture of an animation, on the animation's canvas."""
    from PIL.WebPImagePlugin import WebPImageFile

    with source.path.open("rb") as file, WebPImageFile(file) as picture:
        return np.asarray(picture.convert("RGBA" if alpha else "RGB"))
