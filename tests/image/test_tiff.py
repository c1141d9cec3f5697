"""TIFF files of other writers: their depths, alpha, pages and metadata."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from PIL import Image
from tests.image.conftest import Picture

from anyzoom.errors import CannotRead
from anyzoom.image.reading import probe_image, read_image


def one_row(bits: int, values: list[int]) -> bytes:
    """A grey TIFF of one row whose samples are packed to that many bits."""
    digits = "".join(format(value, f"0{bits}b") for value in values)
    digits += "0" * (-len(digits) % 8)
    data = bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8))
    start = 8 + 2 + 9 * 12 + 4
    entries = [
        (256, len(values)),
        (257, 1),
        (258, bits),
        (259, 1),
        (262, 1),
        (273, start),
        (277, 1),
        (278, 1),
        (279, len(data)),
    ]
    packed = b"".join(struct.pack("<HHII", number, 4, 1, value) for number, value in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + packed + bytes(4) + data


@pytest.mark.parametrize(
    ("bits", "dtype", "values"),
    [
        (2, "uint8", [0, 85, 255]),
        (4, "uint8", [0, 17, 255]),
        (10, "uint16", [0, 64, 65535]),
        (12, "uint16", [0, 16, 65535]),
        (14, "uint16", [0, 4, 65535]),
    ],
)
def test_odd_depths_are_spread_over_the_next_one(tmp_path: Path, bits: int, dtype: str, values: list[int]) -> None:
    (tmp_path / "a.tif").write_bytes(one_row(bits, [0, 1, 2**bits - 1]))
    pixels = read_image(tmp_path / "a.tif").pixels
    assert pixels.dtype == dtype
    assert pixels.ravel().tolist() == values


@pytest.mark.parametrize("dtype", ["uint32", "int16", "int8", "float64", "complex64"])
def test_depths_without_a_meaning_are_refused(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 8), dtype))
    with pytest.raises(CannotRead, match="Convert it to unsigned 8 or 16 bits or to 32-bit float first"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_floats_become_32_bits(tmp_path: Path, dtype: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0.25, 1.5]], dtype))
    pixels = read_image(tmp_path / "a.tif").pixels
    assert pixels.dtype == np.float32
    assert pixels.ravel().tolist() == [0.25, 1.5]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("unassalpha", [10, 20, 30, 128]),
        ("assocalpha", [20, 40, 60, 128]),
        ("unspecified", [10, 20, 30, 128]),
    ],
)
def test_alpha_is_straight_whatever_the_file_says(tmp_path: Path, kind: str, expected: list[int]) -> None:
    pixels = np.full((4, 4, 4), (10, 20, 30, 128), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=[kind])
    assert read_image(tmp_path / "a.tif").pixels[0, 0].tolist() == expected


def test_channels_besides_colour_and_alpha_are_left_out_and_said(tmp_path: Path, warnings: list[str]) -> None:
    pixels = np.full((4, 4, 5), (10, 20, 30, 40, 128), np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif",
        pixels,
        photometric="rgb",
        extrasamples=["unspecified", "unassalpha"],
        planarconfig="contig",
    )
    assert read_image(tmp_path / "a.tif", warn=warnings.append).pixels[0, 0].tolist() == [10, 20, 30, 128]
    assert "1 extra channel(s)" in warnings[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"planarconfig": "separate"},
        {"tile": (32, 32)},
        {"compression": "zlib"},
        {"bigtiff": True, "byteorder": ">", "compression": "zlib"},
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_layouts_of_other_writers(tmp_path: Path, picture: Picture, options: dict[str, Any], dtype: str) -> None:
    pixels = picture(40, 56, 3, dtype)
    stored = np.moveaxis(pixels, 2, 0).copy() if options.get("planarconfig") else pixels
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", **options)
    photo = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(photo.pixels, pixels)
    assert probe_image(tmp_path / "a.tif") == photo.layout


def test_white_is_zero_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 255]], np.uint8), photometric="miniswhite")
    assert read_image(tmp_path / "a.tif").pixels.ravel().tolist() == [255, 0]


def test_thumbnails_and_pyramids_are_no_pages(tmp_path: Path, picture: Picture, warnings: list[str]) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(picture(40, 56, 3, "uint8"), photometric="rgb")
        writer.write(picture(20, 28, 3, "uint8"), photometric="rgb", subfiletype=1)
    assert read_image(tmp_path / "a.tif", warn=warnings.append).size == (40, 56)
    assert warnings == []


def test_exif_and_gps_become_a_blob_of_their_own(tmp_path: Path, picture: Picture) -> None:
    spec = oiio.ImageSpec(8, 8, 3, "uint8")
    spec.attribute("Make", "Maker")
    spec.attribute("Copyright", "(c) someone")
    spec.attribute("ExposureTime", 0.005)
    spec.attribute("GPS:LatitudeRef", "N")
    output = oiio.ImageOutput.create("tiff")
    assert output is not None
    output.open(str(tmp_path / "a.tif"), spec)
    output.write_image(picture(8, 8, 3, "uint8"))
    output.close()
    blob = read_image(tmp_path / "a.tif").metadata.exif
    assert blob is not None
    read = Image.Exif()
    read.load(blob)
    assert (read[271], read[33432]) == ("Maker", "(c) someone")
    assert float(read.get_ifd(34665)[33434]) == pytest.approx(0.005)
    assert read.get_ifd(34853)[1] == "N"
    assert 256 not in read


def test_lab_is_refused(tmp_path: Path) -> None:
    Image.new("LAB", (4, 4)).save(tmp_path / "a.tif")
    with pytest.raises(CannotRead, match=r"Lab colour. Convert it to RGB first"):
        read_image(tmp_path / "a.tif")
