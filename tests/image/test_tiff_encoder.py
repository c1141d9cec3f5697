"""What we write as TIFF is what other libraries read."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from PIL import Image
from tests.image.conftest import Picture

from anyzoom.image import tiff_encoder
from anyzoom.image.photo import Metadata, Photo
from anyzoom.image.reading import read_image
from anyzoom.image.tiff_encoder import differences, differences_of_bytes
from anyzoom.image.writing import write_image


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_libtiff_reads_it(
    *,
    tmp_path: Path,
    picture: Picture,
    camera: Metadata,
    monkeypatch: pytest.MonkeyPatch,
    big: bool,
    channels: int,
    dtype: str,
) -> None:
    if big:
        monkeypatch.setattr(tiff_encoder, "CLASSIC_BYTES", 0)
    pixels = picture(300, 270, channels, dtype)
    write_image(Photo(pixels, camera), tmp_path / "a.tif")
    wish = oiio.ImageSpec()
    wish.attribute("oiio:UnassociatedAlpha", 1)
    seen = oiio.ImageInput.open(str(tmp_path / "a.tif"), wish)
    assert seen is not None
    np.testing.assert_array_equal(seen.read_image(0, 0, 0, channels, dtype), pixels)
    spec = seen.spec()
    assert (spec.tile_width, spec.tile_height) == (256, 256)
    assert spec.getattribute("Make") == "Maker"
    assert spec.getattribute("Exif:DateTimeOriginal") == "2024:05:06 07:08:09"
    assert spec.getattribute("Exif:PixelXDimension") == 270
    assert spec.getattribute("GPS:LatitudeRef") == "N"
    assert spec.getattribute("XResolution") == 300
    assert spec.alpha_channel == (channels - 1 if channels in (2, 4) else -1)
    seen.close()
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff == big
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        tags = page.tags
        assert tags[34675].value == camera.icc
        assert tags[34665].value["PixelYDimension"] == 300
        assert tags[34853].value["GPSLatitude"] == (48, 1, 51, 1, 24, 1)
        if dtype != "float32":
            np.testing.assert_array_equal(page.asarray().reshape(pixels.shape), pixels)


def test_a_classic_tiff_keeps_the_offsets_of_maker_notes(tmp_path: Path, picture: Picture, camera: Metadata) -> None:
    write_image(Photo(picture(10, 10, 3, "uint8"), camera), tmp_path / "a.tif")
    data = (tmp_path / "a.tif").read_bytes()
    note = data.index(b"NOTE")
    order = "<" if data[:2] == b"II" else ">"
    place = struct.unpack_from(order + "I", data, note + 4)[0]
    assert data[place : place + 6] == b"secret"


def test_pillow_reads_it_too(tmp_path: Path, picture: Picture) -> None:
    pixels = picture(300, 270, 4, "uint8")
    write_image(Photo(pixels), tmp_path / "a.tif")
    with Image.open(tmp_path / "a.tif") as seen:
        np.testing.assert_array_equal(np.asarray(seen), pixels)


def test_a_picture_beyond_4_gigabytes_becomes_a_bigtiff(
    tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = picture(10, 10, 3, "uint8")
    monkeypatch.setattr(tiff_encoder, "CLASSIC_BYTES", 299)
    write_image(Photo(pixels), tmp_path / "a.tif")
    assert (tmp_path / "a.tif").read_bytes()[:4] == b"II+\0"
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").pixels, pixels)


def test_predictors_have_literal_values() -> None:
    assert differences(np.array([[[5], [7], [4]]], np.uint8), "<") == bytes((5, 2, 253))
    assert differences(np.array([[[256], [258]]], np.uint16), ">") == b"\1\0\0\2"
    one_and_two = np.array([[[1.0], [2.0]]], np.float32)  # 3F800000, 40000000
    assert differences_of_bytes(one_and_two) == bytes((0x3F, 0x01, 0x40, 0x80, 0, 0, 0, 0))
