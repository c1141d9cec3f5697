"""Pixels through OpenImageIO, which keeps every depth; its leniency is taken away here."""

from __future__ import annotations

import re

from anyzoom.errors import CannotRead
from anyzoom.image.photo import Samples, SampleType
from anyzoom.image.source import Source

# OpenImageIO's names; it takes an unknown one, such as float32, for the file's own depth
DEPTHS = {"uint8": "uint8", "uint16": "uint16", "float32": "float"}
# libjpeg skips bytes between segments, and the picture is whole; before a restart marker they were pixels
HARMLESS = re.compile(r"extraneous bytes before marker 0x(?!d[0-7])")


def decoded(
    source: Source,
    dtype: SampleType,
    *,
    raw_colour: bool = False,
) -> Samples:
    """All channels `h w c` of the first picture, alpha as it is stored, in that dtype.

    raw_colour: ink stays ink. Raises CannotRead for any complaint of the decoder, which returns
    pixels even for files that end early.
    """
    import OpenImageIO as oiio

    wish = oiio.ImageSpec()
    wish.attribute("oiio:UnassociatedAlpha", 1)
    wish.attribute("oiio:RawColor", int(raw_colour))
    try:
        str(source.path).encode()
    except UnicodeEncodeError as error:
        raise source.refusal(
            "a file name that is not text (UTF-8), which the decoder cannot take. Rename it."
        ) from error
    image = oiio.ImageInput.open(str(source.path), wish)
    if image is None:
        raise refused(source, oiio.geterror())
    try:
        if image.spec().deep:
            raise source.refusal("a deep picture, which has no single colour per pixel. Flatten it first.")
        pixels = image.read_image(0, 0, 0, image.spec().nchannels, DEPTHS[str(dtype)])
        complaint = image.geterror() if image.has_error else ""
    finally:
        image.close()
    if pixels is None or (complaint and not HARMLESS.search(complaint)):
        raise refused(source, complaint)
    samples: Samples = pixels
    return samples


def refused(source: Source, complaint: str) -> CannotRead:
    """The decoder's own words on one line."""
    words = " ".join(complaint.split()).removesuffix(".")[:200] or "no reason given"
    early = any(word in words.lower() for word in ("premature end", "end of file", "read error", "truncat"))
    return source.damaged(f"{'truncated' if early else 'damaged'} data ({words})")
