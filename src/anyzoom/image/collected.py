"""Formats that Pillow writes from the whole picture: WebP, AVIF and BMP. The picture is collected first."""

from __future__ import annotations

from typing import Any

import numpy as np

from anyzoom.image import exif
from anyzoom.image.encoder import Order
from anyzoom.image.ifd import DamagedTiff
from anyzoom.image.photo import Samples

COPIES = 3  # of the samples: ours, Pillow's, and the encoder's planes


class _CollectedEncoder:
    """Collects the rows, and has the picture written at the end."""

    def __init__(self, order: Order) -> None:
        self._order = order
        size = order.layout.size
        self._pixels = np.empty((size.height, size.width, order.layout.channels), np.uint8)
        self._row = 0

    def write(self, rows: Samples) -> None:
        self._pixels[self._row : self._row + len(rows)] = rows
        self._row += len(rows)

    def _save(self, name: str, **options: Any) -> None:
        from PIL import Image

        pixels = self._pixels
        flat = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
        metadata = self._order.metadata
        if metadata.icc is not None:
            options["icc_profile"] = metadata.icc
        if metadata.xmp is not None:
            options["xmp"] = metadata.xmp
        with self._order.part.open("wb") as file:
            Image.fromarray(flat).save(file, name, **options)

    def abandon(self) -> None:
        self._pixels = np.empty((0, 0, 0), np.uint8)


class WebpEncoder(_CollectedEncoder):
    """WebP; lossless at quality 100, colours under alpha 0 included."""

    def finish(self) -> None:
        blob = self._order.metadata.exif or b""
        if self._order.quality == 100:
            self._save("WEBP", lossless=True, exact=True, method=4, exif=blob)
        else:
            self._save("WEBP", quality=self._order.quality, exact=True, method=4, exif=blob)


class AvifEncoder(_CollectedEncoder):
    """AVIF, with full chroma from quality 90 on. Its EXIF has no orientation: AVIF keeps that elsewhere."""

    def finish(self) -> None:
        blob = self._order.metadata.exif
        if blob is not None:
            try:
                blob = exif.without_orientation(blob)
            except DamagedTiff:
                blob = None
        chroma = {1: "4:0:0", 2: "4:0:0"}.get(self._order.layout.channels)
        if chroma is None:
            chroma = "4:4:4" if self._order.quality >= 90 else "4:2:0"
        self._save("AVIF", quality=self._order.quality, subsampling=chroma, exif=blob or b"")


class BmpEncoder(_CollectedEncoder):
    """BMP of 8 or 24 bits."""

    def finish(self) -> None:
        self._save("BMP", dpi=self._order.metadata.dpi or (0, 0))  # without it Pillow claims 96
