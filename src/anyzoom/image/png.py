"""PNG, third edition (W3C 2025): the chunks that belong to a photograph, and a writer that streams.

Pixels are decoded by libpng through OpenImageIO, which keeps 16 bits. Before that every chunk's checksum is
verified, because decoders differ in what damage they let pass. Writing is our own: a file in one pass, with
its metadata in front of the pixels, filtered and compressed on all cores in blocks of rows. OpenImageIO's
writer uses one core and re-encodes EXIF.
"""

from __future__ import annotations

import contextlib
import re
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size
from anyzoom.image import exif
from anyzoom.image.decoding import decoded
from anyzoom.image.encoder import Order, OrderedWorkers, deflate_level
from anyzoom.image.metadata import METRES_PER_INCH, Warn, dpi_from_metres
from anyzoom.image.photo import Metadata, Samples, SampleType
from anyzoom.image.source import Header, Source

SIGNATURE = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD = b"XML:com.adobe.xmp"
MOST_METADATA = 64 * 2**20  # bytes that compressed metadata may unfold to
BLOCK_BYTES = 2**20  # of filtered rows that are compressed at once
ADLER_BASE = 65521  # RFC 1950
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> PNG's colour type


class Chunk(NamedTuple):
    kind: bytes
    start: int  # of the data
    length: int


def chunks(source: Source) -> Iterator[Chunk]:
    """The chunks up to and with IEND. Raises CannotRead where the file ends before it."""
    at, data = len(SIGNATURE), source.data
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            break
        yield Chunk(kind, at + 8, length)
        if kind == b"IEND":
            return
        at += 12 + length
    raise source.damaged("truncated PNG: it ends before its IEND chunk")


def read_header(source: Source) -> Header:
    """The layout and metadata of a PNG."""
    parts = list(chunks(source))
    if not parts or parts[0].kind != b"IHDR" or parts[0].length != 13:
        raise source.damaged("a PNG without its header")
    width, height, depth, colour = struct.unpack_from(">IIBB", source.data, parts[0].start)
    kinds = {part.kind for part in parts}
    if b"acTL" in kinds:
        source.warn("an animated PNG; only its first picture is read")
    channels = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour)
    if channels is None or depth not in (1, 2, 4, 8, 16):
        raise source.damaged(f"a PNG of unknown colour type {colour} with {depth} bits")
    if b"tRNS" in kinds and colour in (0, 2, 3):
        channels += 1
    metadata = _metadata(source, parts)
    orientation = exif.orientation(metadata.exif)
    dtype: SampleType = np.dtype(np.uint16) if depth == 16 else np.dtype(np.uint8)

    def decode() -> Samples:
        _verify(source, parts)
        return decoded(source, dtype)

    return Header(Size(height, width), channels, dtype, decode, metadata, orientation)


def _verify(source: Source, parts: list[Chunk]) -> None:
    """Refuse damage in chunks that matter (capital first letter), and mention it in others."""
    view = memoryview(source.data)
    try:
        for kind, start, length in parts:
            with view[start - 4 : start + length] as covered:
                right = zlib.crc32(covered) == struct.unpack_from(">I", source.data, start + length)[0]
            if not right and kind[:1].isupper():
                raise source.damaged(f"damaged PNG: wrong checksum in its {kind.decode('latin-1')} chunk")
            if not right:
                source.warn(f"wrong checksum in its {kind.decode('latin-1')} chunk")
    finally:
        view.release()


def _metadata(source: Source, parts: list[Chunk]) -> Metadata:
    icc: bytes | None = None
    blob: bytes | None = None
    packet: bytes | None = None
    legacy: bytes | None = None
    dpi = None
    for kind, start, length in parts:
        if kind not in (b"iCCP", b"eXIf", b"pHYs", b"iTXt", b"tEXt", b"zTXt"):
            continue
        body = bytes(source.data[start : start + length])
        keyword, _, rest = body.partition(b"\0")
        if kind == b"iCCP":
            icc = _inflated(rest[1:], source.warn, "ICC profile")
        elif kind == b"eXIf":
            blob = exif.without_prefix(body)
        elif kind == b"pHYs" and length == 9:
            horizontal, vertical, unit = struct.unpack(">IIB", body)
            if unit == 1 and horizontal and vertical:
                dpi = dpi_from_metres(horizontal, vertical)
        elif kind == b"iTXt" and keyword == XMP_KEYWORD and len(rest) > 2:
            words = rest[2:].split(b"\0", 2)[-1]
            packet = _inflated(words, source.warn, "XMP") if rest[0] else words
        elif kind in (b"tEXt", b"zTXt") and keyword in (b"Raw profile type exif", b"Raw profile type APP1"):
            text = _inflated(rest[1:], source.warn, "EXIF") if kind == b"zTXt" else rest
            legacy = _raw_profile(text) if text else None
    return Metadata(icc, blob or legacy, packet, dpi)


def _inflated(body: bytes, warn: Warn, name: str) -> bytes | None:
    try:
        unfolding = zlib.decompressobj()
        text = unfolding.decompress(body, MOST_METADATA)
    except zlib.error:
        warn(f"its {name} is damaged and left out")
        return None
    if unfolding.unconsumed_tail:
        warn(f"its {name} unfolds to more than {MOST_METADATA >> 20} MiB and is left out")
        return None
    return text


def _raw_profile(text: bytes) -> bytes | None:
    """EXIF as ImageMagick stored it before eXIf existed: a name, a length, and hexadecimal digits."""
    match = re.match(rb"\s*(?:exif|APP1)\s+\d+\s+([0-9a-fA-F\s]+)", text)
    if match is None:
        return None
    digits = b"".join(match[1].split())
    blob = exif.without_prefix(bytes.fromhex(digits[: len(digits) // 2 * 2].decode("ascii")))
    return blob if blob[:2] in (b"II", b"MM") else None


class PackedRows(NamedTuple):
    """A block of rows, filtered and deflated."""

    body: bytes
    checksum: int  # Adler-32 of the filtered bytes
    length: int  # how many those were


class PngEncoder:
    """Streams a PNG: rows are filtered with Paeth's predictor and compressed block by block."""

    def __init__(self, order: Order) -> None:
        self._file = order.part.open("wb")
        self._workers: OrderedWorkers[PackedRows] = OrderedWorkers()
        layout = self._layout = order.layout
        self._above = np.zeros(layout.row_bytes, np.uint8)
        self._checksum = 1  # Adler-32 of nothing
        size, depth = layout.size, 8 * layout.dtype.itemsize
        head = struct.pack(">IIBBBBB", size.width, size.height, depth, COLOUR_TYPES[layout.channels], 0, 0, 0)
        self._file.write(SIGNATURE)
        self._chunk(b"IHDR", head)
        self._write_metadata(order.metadata)
        self._chunk(b"IDAT", b"\x78\x5e")  # zlib's header; the blocks follow as raw deflate

    def _chunk(self, kind: bytes, body: bytes) -> None:
        self._file.write(struct.pack(">I4s", len(body), kind))
        self._file.write(body)
        self._file.write(struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))

    def _write_metadata(self, metadata: Metadata) -> None:
        if metadata.icc is not None:
            self._chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.icc))
        if metadata.dpi is not None:
            dots = [round(value / METRES_PER_INCH) for value in metadata.dpi]
            self._chunk(b"pHYs", struct.pack(">IIB", *dots, 1))
        if metadata.exif is not None:
            self._chunk(b"eXIf", metadata.exif)
        if metadata.xmp is not None:
            self._chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp)

    def write(self, rows: Samples) -> None:
        step = self._layout.channels * self._layout.dtype.itemsize
        level = deflate_level(self._layout.dtype)
        at_once = max(1, BLOCK_BYTES // self._layout.row_bytes)
        for top in range(0, len(rows), at_once):
            samples: NDArray[Any] = rows[top : top + at_once]
            # a copy: the caller may reuse its rows while we compress
            stored = samples.astype(">u2" if samples.dtype.itemsize == 2 else np.uint8)
            band = stored.view(np.uint8).reshape(len(samples), -1)
            above, self._above = self._above, band[-1]
            for packed in self._workers.give(partial(_packed, band, above, step, level)):
                self._take(packed)

    def _take(self, packed: PackedRows) -> None:
        self._chunk(b"IDAT", packed.body)
        self._checksum = joined_checksum(self._checksum, packed.checksum, packed.length)

    def finish(self) -> None:
        for packed in self._workers.rest():
            self._take(packed)
        # an empty last block of deflate, then zlib's checksum
        self._chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", self._checksum))
        self._chunk(b"IEND", b"")
        self._workers.close()
        self._file.close()

    def abandon(self) -> None:
        self._workers.close()
        with contextlib.suppress(OSError):  # what could not be flushed is thrown away with the file
            self._file.close()


def paeth(band: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Paeth's predictor (PNG, section 9.4) for all bytes `r n` at once: left, up or upper left."""
    left, corner = np.zeros_like(band), np.zeros_like(band)
    left[:, step:] = band[:, :-step]
    corner[:, step:] = above[:, :-step]
    to_left = np.abs(np.subtract(above, corner, dtype=np.int16))
    to_up = np.abs(np.subtract(left, corner, dtype=np.int16))
    to_corner = np.add(left, above, dtype=np.int16)
    to_corner -= corner
    to_corner -= corner
    np.abs(to_corner, out=to_corner)
    predicted = np.where(to_up <= to_corner, above, corner)
    use_left = (to_left <= to_up) & (to_left <= to_corner)
    np.copyto(predicted, left, where=use_left)
    return predicted


def _packed(band: NDArray[np.uint8], above: NDArray[np.uint8], step: int, level: int) -> PackedRows:
    """Bytes `r n` and the row above them -> raw deflate that ends at a byte border: blocks can be joined."""
    text = np.empty((len(band), band.shape[1] + 1), np.uint8)
    text[:, 0] = 4  # the filter's number
    text[:, 1:] = band - paeth(band, np.concatenate((above[None], band[:-1])), step)
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 9)
    body = packer.compress(text.data) + packer.flush(zlib.Z_SYNC_FLUSH)
    return PackedRows(body, zlib.adler32(text.data), text.size)


def joined_checksum(first: int, second: int, length: int) -> int:
    """Adler-32 of two texts in a row, from their own checksums and the second one's length (RFC 1950)."""
    low = ((first & 0xFFFF) + (second & 0xFFFF) - 1) % ADLER_BASE
    high = ((first >> 16) + (second >> 16) + length * ((first & 0xFFFF) - 1)) % ADLER_BASE
    return high << 16 | low
