"""Reading photographs, intact: one door for all formats, and one place for what every format must pass.

The kind is told by content. The size is checked against the limit before any pixel is decoded; afterwards the
pixels are turned upright, and the metadata with them.
"""

from __future__ import annotations

import logging
import math
import mmap
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.errors import CannotRead
from anyzoom.grid import Size
from anyzoom.image import bmp, exif, exr, heif, jpeg, netpbm, png, raw, tiff, webp
from anyzoom.image.decoding import refused
from anyzoom.image.formats import RAW_EXTENSIONS, READABLE, described, kind_of
from anyzoom.image.ifd import DamagedTiff
from anyzoom.image.metadata import Warn, upright
from anyzoom.image.photo import Layout, Metadata, Photo, Samples
from anyzoom.image.source import Header, Source

LIMIT_PIXELS = 512_000_000
READERS: dict[str, Callable[[Source], Header]] = {
    "png": png.read_header,
    "jpeg": jpeg.read_header,
    "tiff": tiff.read_header,
    "webp": webp.read_header,
    "avif": heif.read_avif,
    "heif": heif.read_heif,
    "bmp": bmp.read_header,
    "ppm": netpbm.read_header,
    "exr": exr.read_header,
    "raw": raw.read_header,
}
DECODER_ERRORS = (
    OSError,
    ValueError,
    RuntimeError,
    SyntaxError,
    EOFError,
    LookupError,
    struct.error,
    zlib.error,
)
log = logging.getLogger(__name__)


def read_image(path: Path | str, *, limit_pixels: int = LIMIT_PIXELS, warn: Warn | None = None) -> Photo:
    """The photograph in a file: upright, samples as they were stored, with its metadata.

    warn takes one sentence, path included, for each thing that could not be kept; without it they are logged.
    Raises CannotRead, or MissingExtra for HEIC and camera raw files.
    """
    path = Path(path)
    with _opened(path, warn) as source:
        header = _header(source, limit_pixels)
        with _refused_by_decoder(source):
            pixels = header.decode()
        expected = (*header.size, header.channels)
        if pixels.shape != expected or pixels.dtype != header.dtype:
            shape = "x".join(map(str, pixels.shape))
            raise source.damaged(f"it decodes to {shape} {pixels.dtype}, which its header did not promise")
        _check_finite(source, pixels)
        metadata = upright(_with_exif_dpi(header.metadata), header.orientation, source.warn)
        upright_pixels: NDArray[Any] = np.ascontiguousarray(turned(pixels, header.orientation))
        return Photo(upright_pixels, metadata, header.linear)


def probe_image(path: Path | str, *, limit_pixels: int = LIMIT_PIXELS) -> Layout:
    """Size (upright), channels and dtype of a file, without decoding pixels. Raises as read_image does."""
    with _opened(Path(path), _unsaid) as source:
        header = _header(source, limit_pixels)
    size = Size(header.size.width, header.size.height) if header.orientation >= 5 else header.size
    return Layout(size, header.channels, header.dtype, header.linear)


def _unsaid(_found: str) -> None:
    """For probes: what is lost is said when the file is read."""


def turned(pixels: Samples, orientation: int) -> Samples:
    """Stored `h w c` -> upright, by EXIF's orientation 1 to 8 (CIPA DC-008, tag 274)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)  # 5: rows are columns
    down = orientation in (3, 4, 7, 8)
    across = orientation in (2, 3, 6, 7)
    return pixels[:: -1 if down else 1, :: -1 if across else 1]


@contextmanager
def _opened(path: Path, warn: Warn | None) -> Iterator[Source]:
    """The file, mapped into memory. Everything that the system refuses becomes CannotRead."""
    told: set[str] = set()

    def pass_on(found: str) -> None:
        if found not in told:
            told.add(found)
            (warn or log.warning)(f"{path}: {found}")

    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise CannotRead(f"{path}: a folder. Name a picture in it.")
        if not stat.S_ISREG(status.st_mode):
            raise CannotRead(f"{path}: not a regular file. Save the picture to a file first.")
        if status.st_size == 0:
            raise CannotRead(f"{path}: the file is empty. Copy it again from its source.")
        with path.open("rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError as error:
        raise CannotRead(f"{path}: no such file.") from error
    except PermissionError as error:
        raise CannotRead(f"{path}: no permission to read it. Change its permissions, or ask its owner.") from error
    except (OSError, ValueError) as error:
        raise CannotRead(f"{path}: cannot be opened ({error}).") from error
    try:
        yield Source(path, data, pass_on)
    finally:
        data.close()


@contextmanager
def _refused_by_decoder(source: Source) -> Iterator[None]:
    """What the libraries raise for damaged files, each in its own way, becomes CannotRead."""
    try:
        yield
    except DECODER_ERRORS as error:
        raise refused(source, str(error)) from error
    except MemoryError as error:
        raise source.refusal("its pixels do not fit into this machine's memory.") from error


def _header(source: Source, limit_pixels: int) -> Header:
    head = bytes(source.data[:64])
    kind = kind_of(head)
    suffix = source.path.suffix.lower()
    if kind == "tiff" and (suffix in RAW_EXTENSIONS or tiff.is_camera_raw(source)):
        kind = "raw"
    if kind is None and suffix in RAW_EXTENSIONS:
        kind = "raw"  # makers invent kinds faster than we list them; LibRaw will say
    if kind is None:
        raise source.refusal(f"{described(head)}, not a picture that can be read. Known are {READABLE}.")
    with _refused_by_decoder(source):
        header = READERS[kind](source)
    size = header.size
    if min(size) < 1:
        raise source.damaged(f"a picture of {size} has no pixels")
    if size.pixels > limit_pixels:
        needed = math.ceil(size.pixels / 1e6)
        raise source.refusal(
            f"{size} is {needed} megapixels, and the limit is {limit_pixels / 1e6:g}. "
            f"If you trust the file, add --max-input-megapixels {needed}."
        )
    return header


def _check_finite(source: Source, pixels: Samples) -> None:
    if pixels.dtype.kind != "f":
        return
    bad = sum(int(np.count_nonzero(~np.isfinite(row))) for row in pixels)
    if bad:
        raise source.refusal(f"{bad} of {pixels.size} samples are NaN or infinite. Replace them first.")


def _with_exif_dpi(metadata: Metadata) -> Metadata:
    """The EXIF's resolution where the container has none of its own."""
    if metadata.dpi is not None or metadata.exif is None:
        return metadata
    try:
        dpi = exif.resolution(metadata.exif, *exif.opened(metadata.exif))
    except DamagedTiff:
        return metadata
    return Metadata(metadata.icc, metadata.exif, metadata.xmp, dpi)
