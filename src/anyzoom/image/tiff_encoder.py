"""Writing TIFF and BigTIFF in one pass: deflated tiles first, the directory last.

Own code: the libraries at hand either pull tiles from a generator, or compress on one thread, or re-encode
EXIF. A classic TIFF starts with the EXIF blob itself, at its own offsets and in its own byte order, and its
directory points into it: so even the absolute offsets inside maker notes stay right. A BigTIFF needs the
directories re-written, and maker notes that point outside themselves lose their way there.
"""

from __future__ import annotations

import contextlib
import struct
import sys
import zlib
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.image import exif, ifd
from anyzoom.image.encoder import Bands, Order, OrderedWorkers, deflate_level
from anyzoom.image.ifd import LONG, LONG8, RATIONAL, SHORT, UNDEFINED, DamagedTiff, Entry, Form
from anyzoom.image.photo import Samples

TILE = 256  # pixels along each side
# Above this many raw bytes a file might pass the 4 GiB that 32-bit offsets reach: deflate can grow noise.
CLASSIC_BYTES = 4_000_000_000
DEFLATE, HORIZONTAL, FLOATING_POINT = 8, 2, 3
NATIVE = "<" if sys.byteorder == "little" else ">"


class TiffEncoder:
    """Streams a tiled TIFF; holds one row of tiles, and the tiles that are being compressed."""

    def __init__(self, order: Order) -> None:
        self._layout, self._metadata = order.layout, order.metadata
        self._file = order.part.open("wb")
        self._workers: OrderedWorkers[bytes] = OrderedWorkers()
        self._offsets: list[int] = []
        self._counts: list[int] = []
        self._bands = Bands(TILE)
        blob = self._readable_exif(order)
        raw_bytes = self._layout.row_bytes * self._layout.size.height + len(blob or b"")
        endian = NATIVE if blob is None else ifd.read_form(blob)[0].order
        self._form = Form(endian, big=raw_bytes > CLASSIC_BYTES)
        self._exif_entries: list[Entry] = []
        mark = b"II" if endian == "<" else b"MM"
        version = struct.pack(endian + "HHHQ", 43, 8, 0, 0) if self._form.big else struct.pack(endian + "HI", 42, 0)
        self._file.write(mark + version)
        if blob is not None:
            self._place_exif(blob)
        self._end = self._file.tell()

    def _readable_exif(self, order: Order) -> bytes | None:
        blob = order.metadata.exif
        if blob is not None:
            try:
                exif.opened(blob)
            except DamagedTiff as error:
                order.warn(f"its EXIF is damaged and left out: {error}")
                return None
        return blob

    def _place_exif(self, blob: bytes) -> None:
        """Write what the EXIF blob holds, and keep the entries that will lead to it."""
        form, top = exif.opened(blob)
        tree = ifd.read_tree(blob, form, top)
        self._exif_entries = [entry for entry in tree.entries if entry.number in exif.DESCRIPTIVE]
        if not self._form.big:
            self._file.write(blob[8:] + b"\0" * (len(blob) % 2))
            for number in tree.children:
                place = ifd.integer(blob, form, top.tags[number], 0)
                self._exif_entries.append(ifd.pointer(self._form, number, place))
            return
        for number, child in tree.children.items():
            packed, place = ifd.pack_tree(child, self._form, self._file.tell())
            self._file.write(packed)
            self._exif_entries.append(ifd.pointer(self._form, number, place))

    def write(self, rows: Samples) -> None:
        for band in self._bands.give(rows):
            self._write_tiles(band)

    def _write_tiles(self, band: NDArray[Any]) -> None:
        """One row of tiles; the last ones repeat the picture's border, which costs fewer bytes than black."""
        for left in range(0, band.shape[1], TILE):
            tile: NDArray[Any] = band[:, left : left + TILE]
            missing = TILE - tile.shape[0], TILE - tile.shape[1]
            if any(missing):
                tile = np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
            for packed in self._workers.give(partial(_packed, tile, self._form.order)):
                self._take(packed)

    def _take(self, packed: bytes) -> None:
        self._offsets.append(self._end)
        self._counts.append(len(packed))
        self._end += self._file.write(packed)

    def finish(self) -> None:
        for band in self._bands.rest():
            self._write_tiles(band)
        for packed in self._workers.rest():
            self._take(packed)
        self._workers.close()
        place = self._end + self._end % 2
        directory = ifd.pack_directory(self._entries(), self._form, place)
        self._file.write(b"\0" * (self._end % 2) + directory)
        self._file.seek(8 if self._form.big else 4)
        self._file.write(struct.pack(self._form.offset_code, place))
        self._file.close()

    def abandon(self) -> None:
        self._workers.close()
        with contextlib.suppress(OSError):
            self._file.close()

    def _entries(self) -> list[Entry]:
        layout, metadata = self._layout, self._metadata
        order, count = self._form.order, layout.channels
        real = layout.dtype.kind == "f"

        def short(number: int, *values: int) -> Entry:
            return Entry(number, SHORT, len(values), struct.pack(f"{order}{len(values)}H", *values))

        def long(number: int, *values: int) -> Entry:
            return Entry(number, LONG, len(values), struct.pack(f"{order}{len(values)}I", *values))

        def fraction(number: int, value: float) -> Entry:
            exact = Fraction(value).limit_denominator(10_000)
            return Entry(number, RATIONAL, 1, struct.pack(order + "II", exact.numerator, exact.denominator))

        entries = [
            long(254, 0),
            long(256, layout.size.width),
            long(257, layout.size.height),
            short(258, *[8 * layout.dtype.itemsize] * count),
            short(259, DEFLATE),
            short(262, 2 if count >= 3 else 1),
            short(274, 1),
            short(277, count),
            fraction(282, (metadata.dpi or (1.0, 1.0))[0]),
            fraction(283, (metadata.dpi or (1.0, 1.0))[1]),
            short(284, 1),
            short(296, 1 if metadata.dpi is None else 2),
            short(317, FLOATING_POINT if real else HORIZONTAL),
            short(322, TILE),
            short(323, TILE),
            self._places(324, self._offsets),
            long(325, *self._counts),
            short(339, *[3 if real else 1] * count),
        ]
        if layout.alpha:
            entries.append(short(338, 2))
        if metadata.xmp is not None:
            entries.append(Entry(700, ifd.BYTE, len(metadata.xmp), metadata.xmp))
        if metadata.icc is not None:
            entries.append(Entry(34675, UNDEFINED, len(metadata.icc), metadata.icc))
        return entries + self._exif_entries

    def _places(self, number: int, offsets: list[int]) -> Entry:
        code, kind = ("Q", LONG8) if self._form.big else ("I", LONG)
        return Entry(number, kind, len(offsets), struct.pack(f"{self._form.order}{len(offsets)}{code}", *offsets))


def _packed(tile: Samples, order: str) -> bytes:
    """One tile, predicted and deflated."""
    text = differences_of_bytes(tile) if tile.dtype.kind == "f" else differences(tile, order)
    return zlib.compress(text, deflate_level(tile.dtype))


def differences(tile: Samples, order: str) -> bytes:
    """Predictor 2 (TIFF 6.0, section 14): each sample minus the one at its left, in the file's byte order."""
    changed = tile.copy()
    changed[:, 1:] -= tile[:, :-1]
    return (changed if order == NATIVE else changed.byteswap()).tobytes()


def differences_of_bytes(tile: Samples) -> bytes:
    """Predictor 3 (Adobe, TIFF technical note 3): a row's most significant bytes first, differenced."""
    rows, columns, channels = tile.shape
    planes = tile.astype(">f4").view(np.uint8).reshape(rows, columns * channels, 4).transpose(0, 2, 1)
    text: NDArray[np.uint8] = np.ascontiguousarray(planes).reshape(rows, -1)
    changed = text.copy()
    changed[:, channels:] -= text[:, :-channels]
    return changed.tobytes()
