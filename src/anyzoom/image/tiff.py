"""Reading TIFF and BigTIFF: what the first directory says, checked against the file before decoding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size
from anyzoom.image import exif, ifd
from anyzoom.image.alpha import straight
from anyzoom.image.decoding import decoded
from anyzoom.image.ifd import DamagedTiff, Directory, Form
from anyzoom.image.photo import Metadata, Samples, SampleType
from anyzoom.image.profiles import srgb_from_cmyk, srgb_profile
from anyzoom.image.source import Header, Source

WIDTH, HEIGHT, BITS, PHOTOMETRIC, ORIENTATION, SAMPLES = 256, 257, 258, 262, 274, 277
STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS = 273, 279, 324, 325
SUB_IFDS, EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC, DNG_VERSION = 330, 338, 339, 700, 34675, 50706
CFA, LINEAR_RAW = 32803, 34892
GREY, COLOUR, PALETTE, INK, LAB = (0, 1), (2, 3, 6), 3, 5, (8, 9, 10)
ASSOCIATED = 1  # premultiplied alpha
MOST_PAGES = 1000


def is_camera_raw(source: Source) -> bool:
    """Whether a TIFF structure is a camera's raw file: DNG says so, others hold a colour mosaic."""
    try:
        form, top = exif.opened(source.data)
    except DamagedTiff:
        return False
    if DNG_VERSION in top.tags:
        return True
    directories = [top]
    for offset in ifd.integers(source.data, form, top.tags.get(SUB_IFDS))[:16]:
        try:
            directories.append(ifd.read_directory(source.data, form, offset))
        except DamagedTiff:
            continue
    kinds = {ifd.integer(source.data, form, below.tags.get(PHOTOMETRIC), -1) for below in directories}
    return bool(kinds & {CFA, LINEAR_RAW})


def read_header(source: Source) -> Header:
    """The layout and metadata of a TIFF's first page."""
    try:
        form, top = exif.opened(source.data)
        return _read_header(source, form, top)
    except DamagedTiff as error:
        raise source.damaged(f"truncated or damaged TIFF: {error}") from error


def _read_header(source: Source, form: Form, top: Directory) -> Header:
    data = source.data

    def number(tag: int, default: int) -> int:
        return ifd.integer(data, form, top.tags.get(tag), default)

    _check_extent(source, form, top)
    size = Size(number(HEIGHT, 0), number(WIDTH, 0))
    count, photometric = number(SAMPLES, 1), number(PHOTOMETRIC, 1)
    dtype = _dtype(source, number(BITS, 1), number(SAMPLE_FORMAT, 1))
    if photometric in LAB:
        raise source.refusal("a TIFF in Lab colour. Convert it to RGB first.")
    stored = {INK: 4, PALETTE: 1}.get(photometric, 1 if photometric in GREY else 3)
    if photometric not in (*GREY, *COLOUR, INK) or count < stored:
        raise source.refusal(f"a TIFF of kind {photometric} with {count} channels; grey, RGB or CMYK was expected")
    extra = ifd.integers(data, form, top.tags.get(EXTRA_SAMPLES))
    alpha = None if photometric == PALETTE else _alpha_place(source, count - stored, extra)
    base = 1 if photometric in GREY else 3
    _mention_pages(source, form, top)
    icc = top.tags.get(ICC)
    xmp = top.tags.get(XMP)
    metadata = Metadata(
        icc=None if icc is None else ifd.raw_value(data, icc),
        exif=exif.from_tiff(data, form, top),
        xmp=None if xmp is None else ifd.raw_value(data, xmp),
        dpi=exif.resolution(data, form, top),
    )
    shown = metadata
    if photometric == INK:
        if str(dtype) == "uint16":
            source.warn("CMYK of 16 bits; it is read at 8 bits")
        dtype = np.dtype(np.uint8)
        shown = Metadata(srgb_profile(), metadata.exif, metadata.xmp, metadata.dpi)
    associated = alpha is not None and alpha < len(extra) and extra[alpha] == ASSOCIATED

    def decode() -> Samples:
        if photometric == PALETTE:
            return _through_palette(source)
        samples = decoded(source, dtype, raw_colour=photometric == INK)
        inks = 4 if photometric == INK else base
        if photometric == INK:
            ink = samples[:, :, :4].astype(np.uint8, copy=False)
            colour: Samples = srgb_from_cmyk(ink, metadata.icc, source.warn)
        else:
            colour = samples[:, :, :inks]
        if alpha is None:
            return colour
        together: NDArray[Any] = np.concatenate((colour, samples[:, :, inks + alpha : inks + alpha + 1]), axis=2)
        return straight(together) if associated else together

    orientation = number(ORIENTATION, 1)
    channels = base + (alpha is not None)
    return Header(size, channels, dtype, decode, shown, orientation if 1 <= orientation <= 8 else 1)


def _through_palette(source: Source) -> Samples:
    """Palette -> RGB through Pillow: OpenImageIO makes 254 of the 65280 that many writers mean by white."""
    from PIL.TiffImagePlugin import TiffImageFile

    with source.path.open("rb") as file, TiffImageFile(file) as picture:
        return np.asarray(picture.convert("RGB"))


def _check_extent(source: Source, form: Form, top: Directory) -> None:
    """Refuse a file whose strips or tiles reach beyond its end, which libtiff may take for black."""
    for places, lengths in ((STRIP_OFFSETS, STRIP_COUNTS), (TILE_OFFSETS, TILE_COUNTS)):
        starts = np.array(ifd.integers(source.data, form, top.tags.get(places)), np.uint64)
        counts = np.array(ifd.integers(source.data, form, top.tags.get(lengths)), np.uint64)
        if len(starts) and len(starts) == len(counts):
            end = int((starts + counts).max())
            if end > len(source.data):
                raise source.damaged(f"truncated TIFF: it has {len(source.data)} bytes of {end}")
    if STRIP_OFFSETS not in top.tags and TILE_OFFSETS not in top.tags:
        raise DamagedTiff("it says nowhere where its pixels are")


def _dtype(source: Source, bits: int, meaning: int) -> SampleType:
    if meaning in (1, 4) and 1 <= bits <= 16:
        return np.dtype(np.uint8) if bits <= 8 else np.dtype(np.uint16)
    if meaning == 3 and bits in (16, 24, 32):  # 64: OpenImageIO 3.2 returns zeros for pictures of one row
        return np.dtype(np.float32)
    name = {2: "signed integer", 3: "float"}.get(meaning, "integer" if meaning == 1 else "complex")
    raise source.refusal(
        f"a TIFF of {bits}-bit {name} samples. Convert it to unsigned 8 or 16 bits or to 32-bit float first."
    )


def _alpha_place(source: Source, count: int, extra: tuple[int, ...]) -> int | None:
    """Which of the extra channels is alpha: one that says so, or a single one that says nothing."""
    if count == 0:
        return None
    place = next((i for i, kind in enumerate(extra[:count]) if kind in (1, 2)), None)
    if place is None and count == 1:
        place = 0
    left_out = count - (place is not None)
    if left_out:
        source.warn(f"{left_out} extra channel(s) besides colour and alpha; they are left out")
    return place


def _mention_pages(source: Source, form: Form, top: Directory) -> None:
    """One warning where more pages follow; smaller copies of the first (thumbnails, pyramids) are none."""
    following, pages, seen = top.next, 1, {top.offset}
    while following and following not in seen and pages < MOST_PAGES:
        seen.add(following)
        try:
            page = ifd.read_directory(source.data, form, following)
        except DamagedTiff:
            break
        reduced = ifd.integer(source.data, form, page.tags.get(254), 0) & 1
        pages += not reduced
        following = page.next
    if pages > 1:
        source.warn(f"a TIFF of {pages} pages; only the first is read")
