"""PBM, PGM and PPM (Netpbm), plain and binary; samples of any maximum are spread over 8 or 16 bits."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size
from anyzoom.image.encoder import Order
from anyzoom.image.photo import Samples, SampleType
from anyzoom.image.source import Header, Source

SPACE = rb"(?:\s|#[^\n]*\n)+"
BITMAP = re.compile(rb"P[14]" + SPACE + rb"(\d+)" + SPACE + rb"(\d+)\s")
GRADED = re.compile(rb"P[2356]" + SPACE + rb"(\d+)" + SPACE + rb"(\d+)" + SPACE + rb"(\d+)\s")


def read_header(source: Source) -> Header:
    """The layout of a Netpbm picture."""
    kind = source.data[1:2]
    match = (BITMAP if kind in b"14" else GRADED).match(source.data)
    if match is None or max(map(len, match.groups())) > 10:
        raise source.damaged("a Netpbm picture without a readable header")
    numbers = [int(text) for text in match.groups()]
    size, most = Size(numbers[1], numbers[0]), numbers[2] if len(numbers) == 3 else 1
    if not 1 <= most <= 65535:
        raise source.damaged(f"a Netpbm picture whose largest sample is {most}; 1 to 65535 was expected")
    channels = 3 if kind in b"36" else 1
    dtype: SampleType = np.dtype(np.uint8) if most < 256 else np.dtype(np.uint16)
    start = match.end()

    def decode() -> Samples:
        shape = (size.height, size.width, channels)
        if kind == b"4":
            return _unpacked_bits(source, start, size)
        if kind in b"56":
            stored = np.dtype(np.uint8 if most < 256 else ">u2")
            samples = _binary(source, start, stored, size.pixels * channels)
        else:
            samples = _plain(source, start, size.pixels * channels, bits=kind == b"1")
        if kind in b"1":
            return ((1 - samples) * 255).astype(np.uint8).reshape(shape)
        return _spread(source, samples, most, dtype).reshape(shape)

    return Header(size, channels, dtype, decode)


def _binary(source: Source, start: int, stored: np.dtype[np.generic], count: int) -> NDArray[Any]:
    there = len(source.data) - start
    if there < count * stored.itemsize:
        raise source.damaged(f"truncated Netpbm picture: {there} bytes of {count * stored.itemsize}")
    return np.frombuffer(bytes(source.data[start : start + count * stored.itemsize]), stored)


def _unpacked_bits(source: Source, start: int, size: Size) -> NDArray[np.uint8]:
    stride = (size.width + 7) // 8
    rows = _binary(source, start, np.dtype(np.uint8), stride * size.height).reshape(size.height, stride)
    ink = np.unpackbits(rows.astype(np.uint8, copy=False), axis=1)[:, : size.width]
    return ((1 - ink) * 255).astype(np.uint8)[:, :, None]


def _plain(source: Source, start: int, count: int, *, bits: bool) -> NDArray[np.int64]:
    text = re.sub(rb"#[^\n]*", b"", bytes(source.data[start:]))
    if bits:
        digits = np.frombuffer(re.sub(rb"\s", b"", text), np.uint8)[:count].astype(np.int64) - ord("0")
    else:
        words = text.split(None, count)[:count]
        if not all(word.isdigit() and len(word) < 8 for word in words):
            raise source.damaged("a plain Netpbm picture with something other than numbers")
        digits = np.array(words, np.int64)
    if len(digits) < count:
        raise source.damaged(f"truncated Netpbm picture: {len(digits)} samples of {count}")
    return digits


def _spread(source: Source, samples: NDArray[Any], most: int, dtype: SampleType) -> Samples:
    """0 to `most` -> the full range of the dtype, rounded."""
    if len(samples) and int(samples.max()) > most:
        raise source.damaged(f"a Netpbm picture with samples above its own maximum of {most}")
    full = 255 if dtype == np.uint8 else 65535
    if most == full:
        stored: NDArray[Any] = samples.astype(dtype)
        return stored
    spread: NDArray[Any] = ((samples.astype(np.int64) * full * 2 + most) // (2 * most)).astype(dtype)
    return spread


class NetpbmEncoder:
    """Streams a binary PGM or PPM. The format has no place for metadata."""

    def __init__(self, order: Order) -> None:
        self._file = order.part.open("wb")
        layout = order.layout
        kind = "P5" if layout.channels == 1 else "P6"
        most = 255 if layout.dtype.itemsize == 1 else 65535
        self._file.write(f"{kind}\n{layout.size.width} {layout.size.height}\n{most}\n".encode("ascii"))

    def write(self, rows: Samples) -> None:
        self._file.write(rows.astype(rows.dtype.newbyteorder(">"), copy=False).tobytes())

    def finish(self) -> None:
        self._file.close()

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
