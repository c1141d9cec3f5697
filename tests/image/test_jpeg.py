"""JPEG: bands that join into one scan, and segments with their limits."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.image.conftest import Picture

from anyzoom.errors import CannotRead
from anyzoom.image import jpeg
from anyzoom.image.photo import Metadata, Photo
from anyzoom.image.reading import read_image
from anyzoom.image.writing import write_image


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("height", [1, 16, 17, 333])
def test_joined_bands_equal_one_picture(
    *,
    tmp_path: Path,
    picture: Picture,
    monkeypatch: pytest.MonkeyPatch,
    quality: int,
    channels: int,
    height: int,
) -> None:
    monkeypatch.setattr(jpeg, "BAND_BYTES", 1)  # the smallest bands: 16 rows
    pixels = picture(height, 77, channels, "uint8")
    write_image(Photo(pixels), tmp_path / "a.jpg", quality=quality)
    stream = io.BytesIO()
    flat = pixels[:, :, 0] if channels == 1 else pixels
    Image.fromarray(flat).save(stream, "JPEG", quality=quality, subsampling=0 if quality == 95 else 2)
    with Image.open(tmp_path / "a.jpg") as ours, Image.open(stream) as whole:
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(whole))


def test_what_does_not_fit_into_a_segment_is_left_out_and_said(
    tmp_path: Path, picture: Picture, warnings: list[str]
) -> None:
    metadata = Metadata(xmp=b"<x>" + b" " * 70_000 + b"</x>")
    write_image(Photo(picture(8, 8, 3, "uint8"), metadata), tmp_path / "a.jpg", warn=warnings.append)
    assert warnings == [f"{tmp_path / 'a.jpg'}: XMP of 70007 bytes does not fit into a JPEG and is left out"]
    assert read_image(tmp_path / "a.jpg").metadata.xmp is None


def test_the_second_part_of_long_xmp_is_not_promised(tmp_path: Path, picture: Picture, warnings: list[str]) -> None:
    packet = b'<x xmpNote:HasExtendedXMP="0123456789ABCDEF" dc:a="b"/>'
    Image.fromarray(picture(8, 8, 3, "uint8")).save(tmp_path / "a.jpg", xmp=packet)
    assert read_image(tmp_path / "a.jpg", warn=warnings.append).metadata.xmp == b'<x dc:a="b"/>'
    assert len(warnings) == 1


def test_several_pictures_in_one_file_count_as_the_first(tmp_path: Path, picture: Picture, warnings: list[str]) -> None:
    first, second = Image.fromarray(picture(24, 40, 3, "uint8")), Image.fromarray(picture(12, 20, 3, "uint8"))
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[second])
    assert read_image(tmp_path / "a.jpg", warn=warnings.append).size == (24, 40)
    assert warnings == []


def test_twelve_bits_are_refused(tmp_path: Path) -> None:
    frame = bytes((0xFF, 0xC1, 0, 11, 12, 0, 8, 0, 8, 1, 1, 0x11, 0))
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8" + frame + bytes((0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0)))
    with pytest.raises(CannotRead, match=r"12 bits per sample. Convert it to a 16-bit PNG or TIFF"):
        read_image(tmp_path / "a.jpg")
