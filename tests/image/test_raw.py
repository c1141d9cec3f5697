"""Camera raw files: a mosaic of one colour, developed; and the missing extra."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from anyzoom.errors import CannotRead, MissingExtra
from anyzoom.grid import Size
from anyzoom.image.profiles import srgb_profile
from anyzoom.image.reading import probe_image, read_image


def write_dng(path: Path, orientation: int = 1) -> None:
    """The smallest DNG: an RGGB mosaic of one orange, 96x64, whose camera colours are sRGB."""
    mosaic = np.zeros((64, 96), np.uint16)
    mosaic[0::2, 0::2], mosaic[0::2, 1::2], mosaic[1::2, 0::2], mosaic[1::2, 1::2] = (
        40000,
        20000,
        20000,
        10000,
    )
    matrix = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)

    def fractions(*values: float) -> tuple[int, ...]:
        return tuple(part for value in values for part in (round(value * 10000), 10000))

    tags: list[Any] = [
        (271, 2, 0, "Maker", True),
        (274, 3, 1, orientation, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, (0, 1, 1, 2), True),
        (50706, 1, 4, (1, 4, 0, 0), True),
        (50708, 2, 0, "Test Camera", True),
        (50717, 4, 1, 65535, True),
        (50721, 10, 9, fractions(*matrix), True),
        (50728, 5, 3, fractions(1, 1, 1), True),
        (50778, 3, 1, 21, True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, metadata=None)


@pytest.mark.parametrize(("orientation", "size"), [(1, Size(64, 96)), (6, Size(96, 64)), (3, Size(64, 96))])
def test_a_dng_is_developed_upright(tmp_path: Path, orientation: int, size: Size) -> None:
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "a.dng", orientation)
    photo = read_image(tmp_path / "a.dng")
    assert photo.size == size
    assert probe_image(tmp_path / "a.dng") == photo.layout
    assert photo.pixels.dtype == np.uint16
    red, green, blue = (int(value) for value in photo.pixels[30, 30])
    assert red > green > blue
    assert photo.metadata.icc == srgb_profile()
    assert photo.metadata.exif is not None
    read = Image.Exif()
    read.load(photo.metadata.exif)
    assert read[271] == "Maker"


def test_the_kind_of_a_dng_is_told_by_content(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    write_dng(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif").layout.channels == 3


def test_refuses_a_damaged_raw_file(tmp_path: Path) -> None:
    pytest.importorskip("rawpy")
    (tmp_path / "a.nef").write_bytes(b"II*\0\x08\0\0\0" + bytes(100))
    with pytest.raises(CannotRead, match=r"a\.nef: damaged data"):
        read_image(tmp_path / "a.nef")


def test_raw_without_the_extra_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dng(tmp_path / "a.dng")
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(MissingExtra, match=r"pip install 'anyzoom\[raw\]'"):
        read_image(tmp_path / "a.dng")
