"""EXIF blobs: read what concerns the pixels, and change it in place.

A blob is a TIFF structure that starts with II or MM. It stays byte for byte what the camera wrote, apart from
the values changed here: maker notes hold absolute offsets, so moving or re-writing the blob would break them.
Where a TIFF file is read, its EXIF directories are collected into a blob; there re-writing cannot be avoided.
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple

from anyzoom.grid import Size
from anyzoom.image import ifd
from anyzoom.image.ifd import Buffer, DamagedTiff, Directory, Form, Tree

ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 282, 283, 296
EXPOSURE_TIME, F_NUMBER, ISO, FOCAL_LENGTH = 33434, 33437, 34855, 37386
IMAGE_WIDTH, IMAGE_LENGTH, PIXEL_X_DIMENSION, PIXEL_Y_DIMENSION = 256, 257, 40962, 40963
# The tags of a TIFF file's first directory that describe the photograph, not the layout of its samples:
# description, make, model, software, date, artist, host, copyright, rating, and Windows' title to subject
DESCRIPTIVE = frozenset((270, 271, 272, 305, 306, 315, 316, 18246, 18249, 33432, 40091, 40092, 40093, 40094, 40095))
CM_PER_INCH = 2.54


def without_prefix(blob: bytes) -> bytes:
    """A blob without the `Exif` marker that JPEG puts before it, and that some other writers copy."""
    return blob[6:] if blob[:6] in (b"Exif\0\0", b"Exif\0\xff") else blob


def opened(blob: Buffer) -> tuple[Form, Directory]:
    """The form and first directory of a blob. Raises DamagedTiff."""
    form, first = ifd.read_form(blob)
    return form, ifd.read_directory(blob, form, first)


def orientation(blob: bytes | None) -> int:
    """How the picture is stored, 1 to 8; 1 is upright, also where nothing readable says so.

    Damage is reported when the metadata is set upright.
    """
    if blob is None:
        return 1
    try:
        form, top = opened(blob)
    except DamagedTiff:
        return 1
    value = ifd.integer(blob, form, top.tags.get(ORIENTATION), 1)
    return value if 1 <= value <= 8 else 1


class Taken(NamedTuple):
    """How a photograph was taken, where its EXIF says so."""

    focal_mm: float | None = None  # lenses unknown to a camera state 0, which is None here
    exposure_s: float | None = None
    f_number: float | None = None
    iso: int | None = None


def taken(blob: bytes | None) -> Taken:
    """What a photograph's EXIF says of it; nothing where nothing is readable."""
    if blob is None:
        return Taken()
    try:
        form, top = opened(blob)
        tags = ifd.read_directory(blob, form, ifd.integer(blob, form, top.tags.get(ifd.EXIF_IFD), 0)).tags
    except DamagedTiff:
        return Taken()
    focal, exposure, aperture = (
        ifd.rational(blob, form, tags.get(tag)) for tag in (FOCAL_LENGTH, EXPOSURE_TIME, F_NUMBER)
    )
    iso = ifd.integer(blob, form, tags.get(ISO), 0) or None
    return Taken(_positive(focal), _positive(exposure), _positive(aperture), iso)


def _positive(value: float | None) -> float | None:
    return value if value is not None and 0 < value < math.inf else None


def upright(blob: bytes, *, turned: bool) -> bytes:
    """The blob of the upright picture: orientation 1; a turned picture also loses its embedded thumbnail."""
    form, top = opened(blob)
    changed = bytearray(blob)
    ifd.set_integer(changed, form, top.tags.get(ORIENTATION), 1)
    if turned:
        ifd.set_link(changed, form, top, 0)
    return bytes(changed)


def without_orientation(blob: bytes) -> bytes:
    """The blob with no orientation at all, for formats that state it elsewhere (AVIF)."""
    form, top = opened(blob)
    changed = bytearray(blob)
    ifd.remove_tag(changed, form, top, ORIENTATION)
    return bytes(changed)


def resized(blob: bytes, size: Size) -> bytes:
    """The blob of a picture of that size, wherever the blob states one."""
    form, top = opened(blob)
    changed = bytearray(blob)
    ifd.set_integer(changed, form, top.tags.get(IMAGE_WIDTH), size.width)
    ifd.set_integer(changed, form, top.tags.get(IMAGE_LENGTH), size.height)
    place = ifd.integer(blob, form, top.tags.get(ifd.EXIF_IFD), 0)
    if place:
        below = ifd.read_directory(blob, form, place)
        ifd.set_integer(changed, form, below.tags.get(PIXEL_X_DIMENSION), size.width)
        ifd.set_integer(changed, form, below.tags.get(PIXEL_Y_DIMENSION), size.height)
    return bytes(changed)


def resolution(data: Buffer, form: Form, directory: Directory) -> tuple[float, float] | None:
    """Dots per inch, horizontal and vertical, where a directory states them."""
    horizontal = ifd.rational(data, form, directory.tags.get(X_RESOLUTION))
    vertical = ifd.rational(data, form, directory.tags.get(Y_RESOLUTION))
    unit = ifd.integer(data, form, directory.tags.get(RESOLUTION_UNIT), 2)
    factor = {2: 1.0, 3: CM_PER_INCH}.get(unit)
    if not horizontal or not vertical or factor is None:
        return None
    return horizontal * factor, vertical * factor


def from_tiff(data: Buffer, form: Form, top: Directory) -> bytes | None:
    """The EXIF of a TIFF file, or of a camera's raw file built like one, as a blob of its own.

    None where the file says nothing about the photograph.
    """
    tree = ifd.read_tree(data, form, top)
    kept = [entry for entry in tree.entries if entry.number in DESCRIPTIVE]
    if not kept and not tree.children:
        return None
    small = Form(form.order, big=False)
    packed, place = ifd.pack_tree(Tree(kept, tree.children), small, 8)
    mark = b"II*\0" if form.order == "<" else b"MM\0*"
    return mark + struct.pack(small.offset_code, place) + packed
