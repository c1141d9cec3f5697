"""Every refusal, every orientation, and what becomes of unusual samples."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from tests.image.conftest import Picture

from anyzoom.errors import CannotRead
from anyzoom.grid import Size
from anyzoom.image.photo import Metadata, Photo
from anyzoom.image.profiles import srgb_profile
from anyzoom.image.reading import probe_image, read_image, turned
from anyzoom.image.writing import write_image

CameraExif = Callable[[str, int], bytes]
ENDINGS = ["png", "jpg", "webp", "tif", "bmp", "ppm", "avif", "exr"]


def refusal(path: Path, **options: Any) -> str:
    with pytest.raises(CannotRead) as caught:
        read_image(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    return text


def written(path: Path, picture: Picture, height: int = 64, width: int = 48) -> Path:
    linear = path.suffix == ".exr"
    pixels = picture(height, width, 3, "float32" if linear else "uint8")
    write_image(Photo(pixels, linear=linear), path)
    return path


def test_refuses_what_is_not_a_picture(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.png").write_bytes(b"Hello, this is no picture at all")
    (tmp_path / "noise.png").write_bytes(b"\x00\x01\x02\x03" * 20)
    Image.new("L", (3, 3)).save(tmp_path / "a.gif")
    assert "no such file" in refusal(tmp_path / "missing.png")
    assert "a folder. Name a picture in it" in refusal(tmp_path)
    assert "the file is empty" in refusal(tmp_path / "empty.png")
    assert "a text that starts with 'Hello, this is n', not a picture" in refusal(tmp_path / "text.png")
    assert "unknown data that starts with 00 01 02 03" in refusal(tmp_path / "noise.png")
    assert "a GIF" in refusal(tmp_path / "a.gif")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_refuses_without_permission(tmp_path: Path, picture: Picture) -> None:
    path = written(tmp_path / "a.png", picture)
    path.chmod(0)
    assert "no permission" in refusal(path)


def test_the_kind_is_told_by_content(tmp_path: Path, picture: Picture) -> None:
    path = written(tmp_path / "a.png", picture).rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(path).pixels, picture(64, 48, 3, "uint8"))


@pytest.mark.parametrize("name", ["a b?x=1#2%04d.{}", "föß-写真.{}"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_any_name_will_do(tmp_path: Path, picture: Picture, ending: str, name: str) -> None:
    path = written(tmp_path / name.format(ending), picture)
    assert read_image(path).size == Size(64, 48)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("ending", ENDINGS)
def test_refuses_truncated_files(tmp_path: Path, picture: Picture, ending: str, part: float) -> None:
    path = written(tmp_path / f"a.{ending}", picture, 200, 300)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert "damaged or incomplete" in refusal(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 30}])
def test_refuses_a_truncated_jpeg_of_other_writers(tmp_path: Path, picture: Picture, options: dict[str, Any]) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(picture(200, 300, 3, "uint8")).save(path, **options)
    data = path.read_bytes()
    for part in (len(data) // 2, len(data) - 40):
        path.write_bytes(data[:part])
        assert "truncated" in refusal(path)


@pytest.mark.parametrize("kind", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_refuses_a_truncated_tiff_of_other_writers(tmp_path: Path, picture: Picture, kind: str) -> None:
    """Its directory in front, its strips cut off: the case that libtiff may fill with black."""
    path = tmp_path / "a.tif"
    Image.fromarray(picture(200, 300, 3, "uint8")).save(path, compression=kind)
    tifffile.imwrite(path, picture(200, 300, 3, "uint8"), photometric="rgb")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 200])
    assert "truncated TIFF" in refusal(path)


def test_refuses_a_png_with_a_wrong_checksum(tmp_path: Path, picture: Picture) -> None:
    path = written(tmp_path / "a.png", picture)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"IDAT") + 6] ^= 1
    path.write_bytes(data)
    assert "wrong checksum in its IDAT chunk" in refusal(path)


def test_refuses_a_jpeg_damaged_in_the_middle(tmp_path: Path, picture: Picture) -> None:
    path = written(tmp_path / "a.jpg", picture, 400, 400)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200] = bytes(range(200))
    path.write_bytes(data)
    assert "damaged" in refusal(path)


def test_a_bomb_is_refused_by_its_header(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    path = tmp_path / "bomb.png"
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 50000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    text = refusal(path)
    assert "60000x50000 is 3000 megapixels, and the limit is 512" in text
    assert "--max-input-megapixels 3000" in text
    with pytest.raises(CannotRead, match="limit is 512"):
        probe_image(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_limit_holds_for_every_format(tmp_path: Path, picture: Picture, ending: str) -> None:
    path = written(tmp_path / f"a.{ending}", picture)
    assert "--max-input-megapixels 1" in refusal(path, limit_pixels=64 * 48 - 1)
    assert read_image(path, limit_pixels=64 * 48).size == Size(64, 48)


def test_zero_size_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pgm").write_bytes(b"P5\n0 4\n255\n")
    assert "0x4 has no pixels" in refusal(tmp_path / "a.pgm")


@pytest.mark.parametrize("ending", ["tif", "exr"])
def test_refuses_what_is_not_a_number(tmp_path: Path, picture: Picture, ending: str) -> None:
    pixels = picture(8, 8, 3, "float32")
    pixels[0, 0, 0], pixels[1, 1, 1] = np.nan, np.inf
    write_image(Photo(pixels, linear=ending == "exr"), tmp_path / f"a.{ending}")
    assert "2 of 192 samples are NaN or infinite" in refusal(tmp_path / f"a.{ending}")


# the letters of a 2x3 picture as they are stored when the upright picture is ABC over DEF
STORED = {
    1: "ABC/DEF",
    2: "CBA/FED",
    3: "FED/CBA",
    4: "DEF/ABC",
    5: "AD/BE/CF",
    6: "CF/BE/AD",
    7: "FC/EB/DA",
    8: "DA/EB/FC",
}


@pytest.mark.parametrize("orientation", STORED)
def test_each_orientation_comes_upright(orientation: int) -> None:
    rows = STORED[orientation].split("/")
    stored = np.array([[ord(letter) for letter in row] for row in rows], np.uint8)[:, :, None]
    upright = turned(stored, orientation)[:, :, 0]
    assert ["".join(map(chr, row)) for row in upright] == ["ABC", "DEF"]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "webp"])
def test_files_come_upright(
    *, tmp_path: Path, picture: Picture, camera_exif: CameraExif, ending: str, orientation: int, order: str
) -> None:
    """As Pillow's own exif_transpose turns them, with the orientation reset everywhere."""
    from PIL import ImageOps

    path = tmp_path / f"a.{ending}"
    image = Image.fromarray(picture(24, 40, 3, "uint8"))
    xmp = f'<x tiff:Orientation="{orientation}"/>'.encode()
    known: dict[str, dict[str, Any]] = {"webp": {"lossless": True, "xmp": xmp}, "jpg": {"xmp": xmp}}
    options = known.get(ending, {})
    if ending == "tif":
        options = {"tiffinfo": {274: orientation}}
    else:
        options["exif"] = b"Exif\0\0" + camera_exif(order, orientation)
    image.save(path, dpi=(300, 200), **options)
    with Image.open(path) as seen:
        expected = np.asarray(ImageOps.exif_transpose(seen))
    photo = read_image(path)
    np.testing.assert_array_equal(photo.pixels, expected)
    assert probe_image(path) == photo.layout
    if ending in ("png", "jpg", "tif"):
        assert photo.metadata.dpi == ((200.0, 300.0) if orientation >= 5 else (300.0, 200.0))
    if ending in ("webp", "jpg"):
        assert photo.metadata.xmp == b'<x tiff:Orientation="1"/>'
    if ending != "tif":
        read = Image.Exif()
        assert photo.metadata.exif is not None
        read.load(photo.metadata.exif)
        assert read[274] == 1
        assert photo.metadata.exif[200:] == camera_exif(order, orientation)[200:]


def test_a_turned_photo_is_not_turned_again(tmp_path: Path, picture: Picture, camera_exif: CameraExif) -> None:
    Image.fromarray(picture(24, 40, 3, "uint8")).save(tmp_path / "a.png", exif=camera_exif("<", 6))
    once = read_image(tmp_path / "a.png")
    for ending in ("png", "tif", "webp", "avif", "jpg"):
        write_image(once, tmp_path / f"b.{ending}", quality=100)
        assert read_image(tmp_path / f"b.{ending}").size == Size(40, 24)


def test_malformed_exif_never_fails_the_read(tmp_path: Path, picture: Picture, warnings: list[str]) -> None:
    Image.fromarray(picture(24, 40, 3, "uint8")).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    photo = read_image(tmp_path / "a.jpg", warn=warnings.append)
    assert photo.size == Size(24, 40)
    assert photo.metadata.exif is None
    assert warnings == [
        f"{tmp_path / 'a.jpg'}: its EXIF is damaged and left out: a directory lies at byte 2147483647 of 8"
    ]


def test_exif_lends_its_resolution_where_the_container_has_none(tmp_path: Path, picture: Picture) -> None:
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 300.0, 300.0, 2
    Image.fromarray(picture(8, 8, 3, "uint8")).save(tmp_path / "a.webp", exif=exif.tobytes())
    assert read_image(tmp_path / "a.webp").metadata.dpi == (300.0, 300.0)


def saved(image: Image.Image, path: Path, **options: Any) -> NDArray[Any]:
    image.save(path, **options)
    return read_image(path).pixels


def test_one_bit_becomes_8_bit_grey(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1")
    for name, options in (("a.png", {}), ("a.tif", {"compression": "group4"}), ("a.bmp", {})):
        pixels = saved(image, tmp_path / name, **options)
        assert pixels.dtype == np.uint8
        assert pixels[:, :, 0].tolist() == [[0, 255], [255, 0]]
        assert pixels.shape == (2, 2, 1)


def test_palettes_become_rgb_with_alpha_where_they_have_it(tmp_path: Path) -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([255, 0, 0, 0, 255, 0, 1, 2, 3])
    red, green, dark = [255, 0, 0], [0, 255, 0], [1, 2, 3]
    for name in ("a.png", "a.tif", "a.bmp"):
        assert saved(image, tmp_path / name).tolist() == [[red, green], [dark, green]]
    clear = saved(image, tmp_path / "b.png", transparency=1).tolist()
    assert clear == [[[*red, 255], [*green, 0]], [[*dark, 255], [*green, 0]]]


def test_a_transparent_colour_becomes_alpha(tmp_path: Path) -> None:
    pixels = saved(Image.fromarray(np.array([[3, 4]], np.uint8)), tmp_path / "a.png", transparency=4)
    assert pixels.tolist() == [[[3, 255], [4, 0]]]


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_ink_becomes_srgb(tmp_path: Path, warnings: list[str], name: str) -> None:
    ink = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    ink.save(tmp_path / name)
    photo = read_image(tmp_path / name, warn=warnings.append)
    assert photo.pixels.shape == (16, 16, 3)
    red, green, blue = photo.pixels[8, 8]
    assert red > 200
    assert max(green, blue) < 60
    assert photo.metadata.icc == srgb_profile()
    assert any("CMYK without a profile" in text for text in warnings)


def test_animations_and_pages_give_their_first_picture_and_say_so(tmp_path: Path, picture: Picture) -> None:
    first, second = (Image.fromarray(picture(24, 40, 3, "uint8")[:, ::step].copy()) for step in (1, -1))
    for name, options in (
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
        ("a.tif", {}),
        ("a.avif", {"quality": 100, "subsampling": "4:4:4"}),
    ):
        first.save(tmp_path / name, save_all=True, append_images=[second], **options)
        said: list[str] = []
        photo = read_image(tmp_path / name, warn=said.append)
        assert len(said) == 1, name
        assert "only" in said[0]
        assert np.abs(photo.pixels.astype(int) - np.asarray(first)).max() <= (8 if name == "a.avif" else 0)


def test_the_icc_profile_of_many_jpeg_segments_is_joined(tmp_path: Path, picture: Picture) -> None:
    profile = np.random.default_rng(0).bytes(200_000)
    Image.fromarray(picture(8, 8, 3, "uint8")).save(tmp_path / "a.jpg", icc_profile=profile)
    photo = read_image(tmp_path / "a.jpg")
    assert photo.metadata.icc == profile
    write_image(photo, tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as seen:
        assert seen.info["icc_profile"] == profile


def test_no_data_beyond_the_file_is_needed_for_a_probe(tmp_path: Path, picture: Picture) -> None:
    stream = io.BytesIO()
    Image.fromarray(picture(30, 20, 3, "uint8")).save(stream, "JPEG")
    (tmp_path / "a.jpg").write_bytes(stream.getvalue()[:-100])
    assert probe_image(tmp_path / "a.jpg").size == Size(30, 20)


def test_metadata_has_no_surprises_when_there_is_none(tmp_path: Path, picture: Picture) -> None:
    for ending in ENDINGS:
        assert read_image(written(tmp_path / f"a.{ending}", picture)).metadata == Metadata(), ending
