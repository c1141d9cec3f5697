"""PNG: the stream that our blocks make, and metadata in its older forms."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from tests.image.conftest import Picture

from anyzoom.image import png
from anyzoom.image.photo import Photo
from anyzoom.image.png import joined_checksum, paeth
from anyzoom.image.reading import read_image
from anyzoom.image.writing import write_image


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_checksums_join(first: bytes, second: bytes) -> None:
    joined = joined_checksum(zlib.adler32(first), zlib.adler32(second), len(second))
    assert joined == zlib.adler32(first + second)


def plain_paeth(left: int, above: int, corner: int) -> int:
    """As section 9.4 of the specification writes it."""
    estimate = left + above - corner
    to_left, to_above, to_corner = abs(estimate - left), abs(estimate - above), abs(estimate - corner)
    if to_left <= to_above and to_left <= to_corner:
        return left
    return above if to_above <= to_corner else corner


def test_the_predictor_equals_the_specification() -> None:
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (9, 60), dtype=np.uint8)
    fast = paeth(rows[1:], rows[:-1], 3)
    for y in range(8):
        for x in range(60):
            left, corner = (int(rows[y + 1, x - 3]), int(rows[y, x - 3])) if x >= 3 else (0, 0)
            assert fast[y, x] == plain_paeth(left, int(rows[y, x]), corner)


def test_the_stream_is_one_valid_zlib_stream(tmp_path: Path, picture: Picture) -> None:
    pixels = picture(500, 900, 3, "uint16")  # several blocks
    assert pixels.nbytes > 2 * png.BLOCK_BYTES
    write_image(Photo(pixels), tmp_path / "a.png")
    data, at, stream = (tmp_path / "a.png").read_bytes(), 8, b""
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        stream += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += 12 + length
    assert len(zlib.decompress(stream)) == 500 * (900 * 6 + 1)  # raises where the checksum is wrong


def test_exif_of_before_exif_chunks(tmp_path: Path, picture: Picture, camera_exif: Callable[[str, int], bytes]) -> None:
    blob = camera_exif(">", 1)
    text = f"\nexif\n{len(blob) + 6:8d}\n" + (b"Exif\0\0" + blob).hex() + "\n"
    info = PngImagePlugin.PngInfo()
    info.add_text("Raw profile type exif", text, zip=True)
    Image.fromarray(picture(8, 8, 3, "uint8")).save(tmp_path / "a.png", pnginfo=info)
    assert read_image(tmp_path / "a.png").metadata.exif == blob


def test_metadata_that_unfolds_without_end_is_left_out(tmp_path: Path, picture: Picture, warnings: list[str]) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", " " * 70 * 2**20, zip=True)
    Image.fromarray(picture(8, 8, 3, "uint8")).save(tmp_path / "a.png", pnginfo=info)
    assert read_image(tmp_path / "a.png", warn=warnings.append).metadata.xmp is None
    assert "more than 64 MiB" in warnings[0]
