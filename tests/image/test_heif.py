"""HEIC and AVIF: turned once, straight alpha, and the missing extra."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from anyzoom.errors import MissingExtra
from anyzoom.grid import Size
from anyzoom.image.reading import probe_image, read_image

DATA = Path(__file__).parent / "data"


def test_a_turn_of_the_container_is_applied_once() -> None:
    pytest.importorskip("pi_heif")
    photo = read_image(DATA / "turned.heic")
    assert photo.size == Size(64, 48)
    assert probe_image(DATA / "turned.heic") == photo.layout
    # the red corner of the stored picture, upper left, comes to the upper right
    assert np.abs(photo.pixels[:14, 38:].astype(int) - (255, 0, 0)).max() <= 6
    assert photo.metadata.exif is not None
    read = Image.Exif()
    read.load(photo.metadata.exif)
    assert (read[271], read[274]) == ("Maker", 1)


def test_alpha_and_grey_of_heic() -> None:
    pytest.importorskip("pi_heif")
    alpha = read_image(DATA / "alpha.heic").pixels
    assert alpha.shape == (48, 64, 4)
    assert np.abs(alpha[:, :, 3].astype(int) - 4 * np.arange(64)).max() <= 12
    assert read_image(DATA / "grey.heic").pixels.shape == (48, 64, 1)


def test_ten_bits_are_spread_over_sixteen() -> None:
    pytest.importorskip("pi_heif")
    pixels = read_image(DATA / "ten-bits.heic").pixels
    assert pixels.dtype == np.uint16
    assert np.abs(pixels[2, 2].astype(int) - (65535, 0, 0)).max() <= 600


def test_heic_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(MissingExtra, match=r"pip install 'anyzoom\[raw\]'"):
        read_image(DATA / "turned.heic")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_avif_comes_upright(tmp_path: Path, orientation: int) -> None:
    """Pillow stores the orientation as turns of the container, and no EXIF orientation."""
    from PIL import ImageOps

    y, x = np.mgrid[:24, :40]
    exif = Image.Exif()
    exif[274] = orientation
    image = Image.fromarray(np.stack((x * 5, y * 9, x + y), axis=-1).astype(np.uint8))
    image.save(tmp_path / "a.avif", exif=exif, quality=100, subsampling="4:4:4")
    with Image.open(tmp_path / "a.avif") as seen:
        expected = np.asarray(ImageOps.exif_transpose(seen))
    photo = read_image(tmp_path / "a.avif")
    np.testing.assert_array_equal(photo.pixels, expected)
    assert photo.size == (Size(40, 24) if orientation >= 5 else Size(24, 40))
