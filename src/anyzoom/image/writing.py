"""Writing photographs, intact, band by band, and never half.

A file grows under a temporary name in its own folder (`.name.pid.part`) and appears under its final name in
one step, complete and on the disk. After any failure, Ctrl-C included, nothing stays; a part that a killed
process left behind is removed by the next writer of the same file.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.errors import CannotWrite, MemoryBudgetError
from anyzoom.image.collected import COPIES, AvifEncoder, BmpEncoder, WebpEncoder
from anyzoom.image.encoder import Encoder, Order
from anyzoom.image.exr import ExrEncoder
from anyzoom.image.formats import Format, check_layout, output_format, stored_dtype
from anyzoom.image.jpeg import JpegEncoder
from anyzoom.image.metadata import Warn, resized
from anyzoom.image.netpbm import NetpbmEncoder
from anyzoom.image.part import check_target, new_part, publish, refused_by_system
from anyzoom.image.photo import Layout, Metadata, Photo, Samples
from anyzoom.image.png import PngEncoder
from anyzoom.image.tiff_encoder import TiffEncoder

DEFAULT_QUALITY = 95
ENCODERS: dict[str, Callable[[Order], Encoder]] = {
    "png": PngEncoder,
    "jpeg": JpegEncoder,
    "tiff": TiffEncoder,
    "webp": WebpEncoder,
    "avif": AvifEncoder,
    "bmp": BmpEncoder,
    "ppm": NetpbmEncoder,
    "exr": ExrEncoder,
}
log = logging.getLogger(__name__)


class ImageWriter:
    """Takes a picture in bands of full-width rows, from top to bottom. Made by image_writer."""

    def __init__(self, path: Path, layout: Layout, encoder: Encoder, stored: str) -> None:
        self.rows_written = 0
        self._path, self._layout, self._encoder, self._stored = path, layout, encoder, stored

    def write(self, rows: Samples) -> None:
        """The next rows, `r w c` of the layout's dtype; any number of them."""
        layout = self._layout
        width, channels = layout.size.width, layout.channels
        if rows.ndim != 3 or rows.shape[1:] != (width, channels) or rows.dtype != layout.dtype:
            raise ValueError(
                f"rows are {rows.shape} {rows.dtype}; (r, {width}, {channels}) {layout.dtype} was expected"
            )
        if self.rows_written + len(rows) > layout.size.height:
            raise ValueError(f"{self.rows_written + len(rows)} rows were given for {layout.size.height}")
        if len(rows):
            eight = self._stored == "uint8" and rows.dtype == np.uint16
            with refused_by_system(self._path):
                stored: NDArray[Any] = np.ascontiguousarray(eight_bits(rows) if eight else rows)
                self._encoder.write(stored)
        self.rows_written += len(rows)


def eight_bits(samples: Samples) -> Samples:
    """16 bits -> 8 bits, rounded: value / 257, which is never halfway."""
    return ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)


@contextmanager
def image_writer(
    path: Path | str,
    layout: Layout,
    metadata: Metadata | None = None,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    memory: int | None = None,
    warn: Warn | None = None,
) -> Iterator[ImageWriter]:
    """A writer for one picture; on leaving the block without an error the file is complete.

    format: a name of FORMATS, else the path's extension decides. quality: 1 to 100 for lossy formats, 95 by
    default. memory: bytes that formats which cannot stream may use. warn takes one sentence for each thing
    that is lost; without it they are logged.
    The metadata is told the new size. Raises CannotWrite, or MemoryBudgetError.
    """
    path = Path(path)
    wanted = output_format(path, format)
    check_layout(path, wanted, layout)
    if quality is not None and not 1 <= quality <= 100:
        raise CannotWrite(f"quality {quality} is out of range. Ask for 1 to 100.")
    if not wanted.streams:
        _check_memory(path, wanted, layout, memory)

    def pass_on(found: str) -> None:
        (warn or log.warning)(f"{path}: {found}")

    stored = stored_dtype(wanted, layout)
    if stored != str(layout.dtype):
        pass_on(f"{wanted.name.upper()} holds 8 bits; the 16-bit samples are rounded")
    kept = _kept(wanted, resized(metadata or Metadata(), layout.size), pass_on)
    with refused_by_system(path):
        target = path.resolve()  # through links, so that a link is not replaced by a file
        check_target(path, target, overwrite=overwrite)
        part = new_part(target)
    try:
        order = Order(part, replace(layout, dtype=np.dtype(stored)), kept, quality or DEFAULT_QUALITY, pass_on)
        with refused_by_system(path):
            encoder = ENCODERS[wanted.name](order)
        try:
            writer = ImageWriter(path, layout, encoder, stored)
            yield writer
            if writer.rows_written != layout.size.height:
                raise CannotWrite(
                    f"{path}: {writer.rows_written} of {layout.size.height} rows came. Nothing was written."
                )
            with refused_by_system(path):
                encoder.finish()
        except BaseException:
            encoder.abandon()
            raise
        with refused_by_system(path):
            publish(path, part, target, overwrite=overwrite)
    finally:
        with suppress(OSError):
            part.unlink()


def write_image(
    photo: Photo,
    path: Path | str,
    *,
    format: str | None = None,
    quality: int | None = None,
    overwrite: bool = False,
    memory: int | None = None,
    warn: Warn | None = None,
) -> None:
    """Write a whole photograph, with the options of image_writer."""
    with image_writer(
        path,
        photo.layout,
        photo.metadata,
        format=format,
        quality=quality,
        overwrite=overwrite,
        memory=memory,
        warn=warn,
    ) as writer:
        writer.write(photo.pixels)


def _kept(wanted: Format, metadata: Metadata, warn: Warn) -> Metadata:
    """The metadata that the format has a place for."""
    lost = [name for name in ("icc", "exif", "xmp") if getattr(metadata, name) and name not in wanted.keeps]
    if lost:
        warn(f"{wanted.name.upper()} has no place for {', '.join(map(str.upper, lost))}; left out")
    names = ("icc", "exif", "xmp", "dpi")
    return Metadata(**{name: getattr(metadata, name) if name in wanted.keeps else None for name in names})


def _check_memory(path: Path, wanted: Format, layout: Layout, memory: int | None) -> None:
    needed = layout.size.pixels * layout.channels * COPIES
    if memory is not None and needed > memory:
        raise MemoryBudgetError(
            f"{path}: {wanted.name.upper()} is written from memory; {layout.size} needs "
            f"{math.ceil(needed / 2**20)} MiB of {memory // 2**20}. Write a TIFF, or allow more memory."
        )
