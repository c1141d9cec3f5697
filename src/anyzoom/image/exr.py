"""OpenEXR through OpenImageIO: linear light, half and float as 32-bit float, alpha straight in memory."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size
from anyzoom.image.alpha import premultiplied, straight
from anyzoom.image.decoding import decoded, refused
from anyzoom.image.encoder import Order
from anyzoom.image.photo import Samples
from anyzoom.image.source import Header, Source

NAMES = {1: ("Y",), 2: ("Y", "A"), 3: ("R", "G", "B"), 4: ("R", "G", "B", "A")}


def read_header(source: Source) -> Header:
    """The layout of an EXR's first part. Its channels R, G, B and A (or Y and A) are the picture."""
    import OpenImageIO as oiio

    image = oiio.ImageInput.open(str(source.path))
    if image is None:
        raise refused(source, oiio.geterror())
    try:
        spec = image.spec()
        if spec.deep:
            raise source.refusal("a deep EXR, which has no single colour per pixel. Flatten it first.")
        found = list(spec.channelnames)
        size, more = Size(spec.height, spec.width), image.seek_subimage(1, 0)
    finally:
        image.close()
    names = ("R", "G", "B") if set("RGB") <= set(found) else ("Y",) if "Y" in found else tuple(found[:1])
    if names == ("Y",) and {"RY", "BY"} & set(found):
        raise source.refusal("an EXR in luminance and chroma. Convert it to RGB first.")
    if len(names) == 1 and names != ("Y",) and len(found) > 1:
        raise source.refusal(f"an EXR with the channels {', '.join(found[:8])}; R, G, B or Y was expected")
    alpha = "A" in found and names != ("A",)
    picked = [found.index(name) for name in (*names, *(("A",) if alpha else ()))]
    left_out = len(found) - len(picked)
    if left_out or more:
        source.warn(
            f"an EXR with {left_out} more channel(s)" + (" and more parts" if more else "") + "; they are left out"
        )

    def decode() -> Samples:
        samples = decoded(source, np.dtype(np.float32))
        kept: NDArray[np.float32] = np.ascontiguousarray(samples[:, :, picked])
        return straight(kept) if alpha else kept

    return Header(size, len(picked), np.dtype(np.float32), decode, linear=True)


class ExrEncoder:
    """Streams an EXR of 32-bit float, deflated. ICC, EXIF, XMP and DPI have no place in it."""

    def __init__(self, order: Order) -> None:
        import OpenImageIO as oiio

        layout = order.layout
        self._alpha = layout.alpha
        spec = oiio.ImageSpec(layout.size.width, layout.size.height, layout.channels, "float")
        spec.channelnames = NAMES[layout.channels]
        spec.alpha_channel = layout.channels - 1 if layout.alpha else -1
        spec.attribute("compression", "zip")
        self._row = 0
        self._image: Any = oiio.ImageOutput.create("openexr")
        if self._image is None or not self._image.open(str(order.part), spec):
            raise OSError(one_line(oiio.geterror() if self._image is None else self._image.geterror()))

    def write(self, rows: Samples) -> None:
        stored: Samples = premultiplied(rows) if self._alpha else rows
        if not self._image.write_scanlines(self._row, self._row + len(rows), 0, stored):
            raise OSError(one_line(self._image.geterror()))
        self._row += len(rows)

    def finish(self) -> None:
        if not self._image.close():
            raise OSError(one_line(self._image.geterror()))

    def abandon(self) -> None:
        with contextlib.suppress(RuntimeError, OSError):
            self._image.close()


def one_line(complaint: str) -> str:
    return " ".join(complaint.split())[:200] or "the encoder gave no reason"
