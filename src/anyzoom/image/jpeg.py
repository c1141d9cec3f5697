"""JPEG (ITU-T T.81): the segments that belong to a photograph, and a writer that streams.

EXIF, XMP and ICC segments follow CIPA DC-008, Adobe's XMP part 3 and ICC.1 annex B. Pixels are decoded by
libjpeg-turbo through OpenImageIO, which reports damage that Pillow passes over, and encoded through Pillow.
Only the first picture of a file with several (MPO, gain maps) is read.
"""

from __future__ import annotations

import contextlib
import re
import struct
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size
from anyzoom.image import exif
from anyzoom.image.decoding import decoded
from anyzoom.image.encoder import Bands, Order, OrderedWorkers
from anyzoom.image.photo import Metadata, Samples
from anyzoom.image.profiles import srgb_from_cmyk, srgb_profile
from anyzoom.image.source import Header, Source

EXIF_MARK = b"Exif\0\0"
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
ICC_MARK = b"ICC_PROFILE\0"
MOST_SEGMENT = 65533  # bytes after the two of the length
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # SOF0 to SOF15
STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
SCAN, END = 0xDA, 0xD9
FIRST_RESTART = 0xD0
BLOCK = 16  # rows of a block of 4:2:0; those of 4:4:4 are 8
BAND_BYTES = 2**20  # of samples that are encoded at once
CM_PER_INCH = 2.54


class Segment(NamedTuple):
    marker: int
    start: int  # of the body, behind the length
    length: int


def segments(source: Source) -> Iterator[Segment]:
    """The segments up to and with the first SOS. Raises CannotRead where there is none."""
    at, data = 2, source.data
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            at += 1  # decoders skip stray bytes, so do we
            continue
        marker = data[at + 1]
        if marker in STANDALONE or marker in (0x00, 0xFF):
            at += 1 if marker == 0xFF else 2
            continue
        length = struct.unpack_from(">H", data, at + 2)[0]
        if marker == END or length < 2 or at + 2 + length > len(data):
            break
        yield Segment(marker, at + 4, length - 2)
        if marker == SCAN:
            return
        at += 2 + length
    raise source.damaged("truncated JPEG: it ends before its pixels")


def read_header(source: Source) -> Header:
    """The layout and metadata of a JPEG."""
    parts = list(segments(source))
    frame = next((part for part in parts if part.marker in FRAMES), None)
    if frame is None or frame.length < 6:
        raise source.damaged("a JPEG without a frame header")
    depth, height, width, components = struct.unpack_from(">BHHB", source.data, frame.start)
    if depth != 8:
        raise source.refusal(f"a JPEG of {depth} bits per sample. Convert it to a 16-bit PNG or TIFF first.")
    if components not in (1, 3, 4):
        raise source.refusal(f"a JPEG of {components} channels; 1, 3 or 4 were expected")
    metadata = _metadata(source, parts)
    orientation = exif.orientation(metadata.exif)
    size, eight = Size(height, width), np.dtype(np.uint8)
    if components != 4:
        return Header(size, components, eight, lambda: decoded(source, eight), metadata, orientation)
    converted = Metadata(srgb_profile(), metadata.exif, metadata.xmp, metadata.dpi)
    return Header(size, 3, eight, lambda: _from_ink(source, metadata.icc), converted, orientation)


def _from_ink(source: Source, profile: bytes | None) -> NDArray[np.uint8]:
    """CMYK or YCCK -> sRGB. Pillow undoes Adobe's inversion."""
    from PIL.JpegImagePlugin import JpegImageFile

    # not Image.open: its own pixel limit is a global setting, and ours has been checked
    with source.path.open("rb") as file, JpegImageFile(file) as picture:
        ink = np.asarray(picture)
    return srgb_from_cmyk(ink, profile, source.warn)


def _metadata(source: Source, parts: list[Segment]) -> Metadata:
    blob = packet = None
    dpi = None
    profile: dict[int, bytes] = {}
    promised = 0
    for marker, start, length in parts:
        if marker not in (0xE0, 0xE1, 0xE2):
            continue
        body = bytes(source.data[start : start + length])
        if marker == 0xE0 and body.startswith(b"JFIF\0") and length >= 12:
            dpi = _density(body)
        elif marker == 0xE1 and body.startswith(b"Exif\0") and blob is None:
            blob = body[len(EXIF_MARK) :]
        elif marker == 0xE1 and body.startswith(XMP_MARK):
            packet = body[len(XMP_MARK) :]
        elif marker == 0xE2 and body.startswith(ICC_MARK) and length > 14:
            profile[body[12]], promised = body[14:], body[13]
    icc = b"".join(profile[number] for number in sorted(profile)) or None
    if icc is not None and len(profile) != promised:
        source.warn("its ICC profile is incomplete and left out")
        icc = None
    if packet is not None and b"HasExtendedXMP" in packet:
        # the long part (depth maps, edit histories) is not kept, so the packet must not promise it
        packet = re.sub(rb"""\s*xmpNote:HasExtendedXMP\s*=\s*(["'])[0-9A-Fa-f]*\1""", b"", packet)
        source.warn("the second part of its XMP is left out")
    return Metadata(icc, blob, packet, dpi)


def _density(body: bytes) -> tuple[float, float] | None:
    unit, horizontal, vertical = struct.unpack_from(">BHH", body, 7)
    factor = {1: 1.0, 2: CM_PER_INCH}.get(unit)
    if factor is None or not horizontal or not vertical:
        return None
    return horizontal * factor, vertical * factor


class JpegEncoder:
    """Streams a JPEG: 4:4:4 from quality 90 on, 4:2:0 below.

    Bands are encoded apart, on all cores, with a restart marker after every row of blocks: there the coder's
    memory is reset (T.81, E.1.4), so that scans of bands join. OpenImageIO would write row by row, but its
    libjpeg ends the whole process when the disk is full.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._file = order.part.open("wb")
        self._workers: OrderedWorkers[bytes] = OrderedWorkers()
        self._bands = Bands(BLOCK * max(1, BAND_BYTES // (BLOCK * order.layout.row_bytes)))
        self._restarts = -1  # markers so far; -1 before the first band
        self._file.write(b"\xff\xd8" + self._packed_metadata())

    def write(self, rows: Samples) -> None:
        for band in self._bands.give(rows):
            self._encode(band)

    def _encode(self, band: NDArray[np.uint8]) -> None:
        for picture in self._workers.give(partial(_encoded, band, self._order.quality)):
            self._take(picture)

    def _take(self, picture: bytes) -> None:
        """Append the scan of one band: with its tables if it is the first, else behind a restart marker."""
        tables, scan = _split(picture)
        if self._restarts < 0:
            self._file.write(_with_height(tables, self._order.layout.size.height))
        else:
            self._file.write(bytes((0xFF, FIRST_RESTART + self._restarts % 8)))
        self._restarts += 1
        found = np.flatnonzero((scan[:-1] == 0xFF) & (scan[1:] & 0xF8 == FIRST_RESTART))
        scan[found + 1] = FIRST_RESTART + (self._restarts + np.arange(len(found))) % 8
        self._restarts += len(found)
        self._file.write(scan.data)

    def finish(self) -> None:
        for band in self._bands.rest():
            self._encode(band)
        for picture in self._workers.rest():
            self._take(picture)
        self._workers.close()
        self._file.write(b"\xff\xd9")
        self._file.close()

    def abandon(self) -> None:
        self._workers.close()
        with contextlib.suppress(OSError):
            self._file.close()

    def _packed_metadata(self) -> bytes:
        """JFIF, EXIF, XMP and ICC segments, in the order that readers expect."""
        metadata = self._order.metadata
        dots = metadata.dpi or (1, 1)
        unit = 0 if metadata.dpi is None else 1
        density = (min(max(round(value), 1), 0xFFFF) for value in dots)
        packed = _segment(0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", unit, *density, 0, 0))
        for name, mark, body in (("EXIF", EXIF_MARK, metadata.exif), ("XMP", XMP_MARK, metadata.xmp)):
            if body is not None and len(mark + body) > MOST_SEGMENT:
                self._order.warn(f"{name} of {len(body)} bytes does not fit into a JPEG and is left out")
            elif body is not None:
                packed += _segment(0xE1, mark + body)
        if metadata.icc is not None:
            room = MOST_SEGMENT - len(ICC_MARK) - 2
            pieces = [metadata.icc[at : at + room] for at in range(0, len(metadata.icc), room)]
            if len(pieces) > 255:
                self._order.warn(f"an ICC profile of {len(metadata.icc)} bytes does not fit into a JPEG")
                pieces = []
            for number, piece in enumerate(pieces, 1):
                packed += _segment(0xE2, ICC_MARK + bytes((number, len(pieces))) + piece)
        return packed


def _encoded(band: NDArray[np.uint8], quality: int) -> bytes:
    """One band as a JPEG of its own."""
    from PIL import Image

    stream = BytesIO()
    flat = band[:, :, 0] if band.shape[2] == 1 else band
    chroma = "4:4:4" if quality >= 90 else "4:2:0"
    Image.fromarray(flat).save(stream, "JPEG", quality=quality, subsampling=chroma, restart_marker_rows=1)
    return stream.getvalue()


def _split(picture: bytes) -> tuple[bytes, NDArray[np.uint8]]:
    """Tables and headers of a JPEG without its application segments, and its scan."""
    at, tables = 2, b""
    while True:
        marker, length = picture[at + 1], int.from_bytes(picture[at + 2 : at + 4], "big")
        if not 0xE0 <= marker <= 0xEF:
            tables += picture[at : at + 2 + length]
        at += 2 + length
        if marker == SCAN:
            return tables, np.frombuffer(picture[at:-2], np.uint8).copy()


def _with_height(tables: bytes, height: int) -> bytes:
    """The tables of a band with the height of the whole picture in its frame header."""
    at = 0
    while tables[at + 1] not in FRAMES:
        at += 2 + int.from_bytes(tables[at + 2 : at + 4], "big")
    return tables[: at + 5] + struct.pack(">H", height) + tables[at + 7 :]


def _segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
