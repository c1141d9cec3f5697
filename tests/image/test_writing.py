"""Round trips of every format, depth and channel count; what survives; and nothing half-written."""

from __future__ import annotations

import errno
import logging
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.image.conftest import Picture

from anyzoom.errors import CannotWrite, MemoryBudgetError
from anyzoom.grid import Size
from anyzoom.image.formats import FORMATS
from anyzoom.image.photo import Layout, Metadata, Photo
from anyzoom.image.reading import probe_image, read_image
from anyzoom.image.writing import eight_bits, image_writer, write_image

LOSSLESS = [
    (name, dtype, channels)
    for name, known in FORMATS.items()
    if name not in ("jpeg", "avif", "webp")
    for dtype in known.dtypes
    for channels in known.channels
]


@pytest.mark.parametrize(("name", "dtype", "channels"), LOSSLESS)
def test_samples_survive(tmp_path: Path, picture: Picture, name: str, dtype: str, channels: int) -> None:
    pixels = picture(270, 301, channels, dtype)
    linear = FORMATS[name].linear
    path = tmp_path / f"photo{FORMATS[name].extensions[0]}"
    write_image(Photo(pixels, linear=linear), path)
    read = read_image(path)
    assert read.layout == probe_image(path) == Layout(Size(270, 301), channels, np.dtype(dtype), linear)
    if name == "exr" and channels in (
        2,
        4,
    ):  # alpha is multiplied in the file: one rounding there and one back
        np.testing.assert_allclose(read.pixels, pixels, rtol=3e-7, atol=1e-7)
    else:
        np.testing.assert_array_equal(read.pixels, pixels)
    assert read.pixels.flags.c_contiguous
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("channels", [3, 4])
def test_webp_is_lossless_at_quality_100(tmp_path: Path, picture: Picture, channels: int) -> None:
    pixels = picture(64, 48, channels, "uint8")
    write_image(Photo(pixels), tmp_path / "photo.webp", quality=100)
    np.testing.assert_array_equal(read_image(tmp_path / "photo.webp").pixels, pixels)


@pytest.mark.parametrize(("name", "channels"), [("jpeg", 1), ("jpeg", 3), ("webp", 3), ("avif", 1), ("avif", 3)])
def test_lossy_formats_stay_close(tmp_path: Path, name: str, channels: int) -> None:
    y, x = np.mgrid[:64, :48]
    pixels = np.stack([x * 2 + y + 30 * k for k in range(channels)], axis=-1).astype(np.uint8)
    path = tmp_path / f"photo.{name}"
    write_image(Photo(pixels), path)
    read = read_image(path)
    assert read.pixels.shape == pixels.shape
    assert np.abs(read.pixels.astype(int) - pixels).max() <= 8


@pytest.mark.parametrize("name", ["webp", "avif"])
def test_grey_becomes_rgb_where_the_format_has_no_grey_with_alpha(tmp_path: Path, picture: Picture, name: str) -> None:
    pixels = picture(32, 32, 2, "uint8")
    write_image(Photo(pixels), tmp_path / f"photo.{name}", quality=100)
    read = read_image(tmp_path / f"photo.{name}").pixels
    assert read.shape == (32, 32, 4)
    np.testing.assert_array_equal(read[:, :, 3], pixels[:, :, 1])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bands_of_any_heights_make_the_same_picture(tmp_path: Path, picture: Picture, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["png", "tiff", "jpeg", "ppm"]))
    dtype = "uint8" if name == "jpeg" else data.draw(st.sampled_from(["uint8", "uint16"]))
    height, width = data.draw(st.integers(1, 600)), data.draw(st.integers(1, 40))
    pixels = picture(height, width, 3, dtype)
    whole, banded = tmp_path / "whole", tmp_path / "banded"
    write_image(Photo(pixels), whole, format=name, overwrite=True)
    with image_writer(banded, Photo(pixels).layout, format=name, overwrite=True) as writer:
        row = 0
        while row < height:
            taken = data.draw(st.integers(1, 300))
            band = pixels[row : row + taken].copy()
            writer.write(band)
            band[:] = 0  # what was given may be reused at once
            row += taken
    np.testing.assert_array_equal(read_image(banded).pixels, read_image(whole).pixels)


@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "avif", "tif"])
def test_metadata_survives_for_other_readers(
    tmp_path: Path, picture: Picture, camera: Metadata, extension: str
) -> None:
    path = tmp_path / f"photo.{extension}"
    write_image(Photo(picture(100, 90, 3, "uint8"), camera), path)
    with Image.open(path) as seen:
        assert seen.info["icc_profile"] == camera.icc
        exif = seen.getexif()
        assert exif[271] == "Maker"
        assert exif.get(274, 1) == 1
        below = exif.get_ifd(34665)
        assert below[36867] == "2024:05:06 07:08:09"
        assert (below[40962], below[40963]) == (90, 100)
        assert exif.get_ifd(34853)[2] == (48.0, 51.0, 24.0)
        if extension in ("png", "jpg", "tif"):
            assert seen.info["dpi"] == pytest.approx((300.0, 240.0), abs=0.01)
    read = read_image(path).metadata
    assert read.icc == camera.icc
    assert read.xmp is not None
    assert b'exif:PixelXDimension="90"' in read.xmp
    assert b"<dc:title>zoom</dc:title>" in read.xmp
    if extension in ("png", "jpg", "tif"):
        assert read.dpi == (300.0, 240.0)
    if extension in ("png", "jpg", "webp"):
        assert camera.exif is not None
        assert read.exif is not None
        assert read.exif[200:] == camera.exif[200:]


def test_sixteen_bits_are_rounded_with_one_warning(tmp_path: Path, warnings: list[str]) -> None:
    pixels = np.array([[[0], [128], [129], [65406], [65407], [65535]]], np.uint16)
    assert eight_bits(pixels).ravel().tolist() == [0, 0, 1, 254, 255, 255]
    photo = Photo(np.repeat(pixels, 40, axis=0))
    with image_writer(tmp_path / "a.bmp", photo.layout, warn=warnings.append) as writer:
        for row in photo.pixels:
            writer.write(row[None])
    assert warnings == [f"{tmp_path / 'a.bmp'}: BMP holds 8 bits; the 16-bit samples are rounded"]
    assert read_image(tmp_path / "a.bmp").pixels[0].ravel().tolist() == [0, 0, 1, 254, 255, 255]


def test_every_value_of_16_bits_rounds_to_the_nearest_of_8() -> None:
    values = np.arange(65536, dtype=np.uint16)
    np.testing.assert_array_equal(eight_bits(values), np.rint(values / 257))


def test_what_a_format_has_no_place_for_is_said(
    tmp_path: Path, picture: Picture, camera: Metadata, warnings: list[str]
) -> None:
    write_image(Photo(picture(8, 8, 3, "uint8"), camera), tmp_path / "a.ppm", warn=warnings.append)
    assert warnings == [f"{tmp_path / 'a.ppm'}: PPM has no place for ICC, EXIF, XMP; left out"]


def test_warnings_are_logged_by_default(tmp_path: Path, picture: Picture, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        write_image(Photo(picture(8, 8, 3, "uint16")), tmp_path / "a.jpg")
    assert "rounded" in caplog.text


@pytest.mark.parametrize(
    ("name", "dtype", "channels", "linear", "words"),
    [
        ("a.jpg", "uint8", 4, False, "alpha.*PNG, TIFF, WEBP, AVIF"),
        ("a.png", "float32", 3, False, "PNG cannot hold 32-bit float samples. Use TIFF"),
        ("a.png", "float32", 3, True, "linear light"),
        ("a.exr", "uint8", 3, False, "EXR holds linear light"),
        ("a.exr", "float32", 3, False, "EXR holds linear light"),
        ("a.ppm", "uint8", 2, False, "alpha"),
        ("a.gif", "uint8", 3, False, "extension '.gif' is unknown. Use one of .png"),
        ("a", "uint8", 3, False, "no extension"),
    ],
)
def test_refuses_what_a_format_cannot_hold(
    *, tmp_path: Path, picture: Picture, name: str, dtype: str, channels: int, linear: bool, words: str
) -> None:
    with pytest.raises(CannotWrite, match=words) as caught:
        write_image(Photo(picture(4, 4, channels, dtype), linear=linear), tmp_path / name)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_refuses_sides_beyond_the_format(tmp_path: Path) -> None:
    layout = Layout(Size(10, 16384), 3, np.dtype(np.uint8))
    with (
        pytest.raises(CannotWrite, match="16384x10 is too large for WEBP, whose sides end at 16383"),
        image_writer(tmp_path / "a.webp", layout),
    ):
        pass


def test_refuses_to_collect_more_than_its_memory(tmp_path: Path) -> None:
    layout = Layout(Size(1000, 1000), 3, np.dtype(np.uint8))
    with (
        pytest.raises(MemoryBudgetError, match=r"needs 9 MiB of 5. Write a TIFF"),
        image_writer(tmp_path / "a.webp", layout, memory=5 * 2**20),
    ):
        pass


def test_refuses_bad_quality(tmp_path: Path, picture: Picture) -> None:
    with pytest.raises(CannotWrite, match="quality 0"):
        write_image(Photo(picture(4, 4, 3, "uint8")), tmp_path / "a.jpg", quality=0)


def test_rows_that_do_not_fit_are_our_own_mistake(tmp_path: Path, picture: Picture) -> None:
    layout = Layout(Size(10, 10), 3, np.dtype(np.uint8))
    for rows in (picture(4, 9, 3, "uint8"), picture(4, 10, 3, "uint16"), picture(11, 10, 3, "uint8")):
        with pytest.raises(ValueError, match="rows"), image_writer(tmp_path / "a.png", layout) as writer:
            writer.write(rows)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", [known.extensions[0] for known in FORMATS.values()])
@pytest.mark.parametrize("failure", ["missing rows", "error", "interrupt"])
def test_nothing_stays_after_a_failure(tmp_path: Path, picture: Picture, extension: str, failure: str) -> None:
    linear = extension == ".exr"
    rows = picture(300, 300, 3, "float32" if linear else "uint8")
    layout = Layout(Size(600, 300), 3, rows.dtype, linear)
    expected: dict[str, type[BaseException]] = {
        "missing rows": CannotWrite,
        "error": ZeroDivisionError,
        "interrupt": KeyboardInterrupt,
    }

    def fail() -> None:
        with image_writer(tmp_path / f"a{extension}", layout) as writer:
            writer.write(rows)
            if failure != "missing rows":
                raise expected[failure]

    with pytest.raises(expected[failure]):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_stays_untouched_and_is_replaced_on_request(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    photo = Photo(picture(8, 8, 3, "uint8"))
    with pytest.raises(CannotWrite, match=r"exists already. Choose another name or add --overwrite"):
        write_image(photo, path)
    with pytest.raises(CannotWrite, match="0 of 8 rows"), image_writer(path, photo.layout, overwrite=True):
        pass
    assert path.read_bytes() == b"precious"
    write_image(photo, path, overwrite=True)
    np.testing.assert_array_equal(read_image(path).pixels, photo.pixels)


def test_a_file_that_appeared_meanwhile_is_not_replaced(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "a.png"
    photo = Photo(picture(8, 8, 3, "uint8"))

    def be_slow() -> None:
        with image_writer(path, photo.layout) as writer:
            writer.write(photo.pixels)
            path.write_bytes(b"faster")

    with pytest.raises(CannotWrite, match="exists already"):
        be_slow()
    assert path.read_bytes() == b"faster"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_link_is_written_through(tmp_path: Path, picture: Picture) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.png").write_bytes(b"old")
    (tmp_path / "a.png").symlink_to("real/a.png")
    write_image(Photo(picture(8, 8, 3, "uint8")), tmp_path / "a.png", overwrite=True)
    assert (tmp_path / "a.png").is_symlink()
    assert read_image(tmp_path / "real/a.png").size == Size(8, 8)


def test_permissions_are_those_of_any_new_file(tmp_path: Path, picture: Picture) -> None:
    before = os.umask(0o027)
    try:
        write_image(Photo(picture(8, 8, 3, "uint8")), tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/a.png", "its folder does not exist"),
        ("file/a.png", "its folder is a file"),
        ("folder.png", "a folder. Name a file in it"),
        (f"{'n' * 260}.png", "the name is too long"),
    ],
)
def test_refuses_places_that_cannot_be(tmp_path: Path, picture: Picture, name: str, words: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(CannotWrite, match=words):
        write_image(Photo(picture(8, 8, 3, "uint8")), tmp_path / name)


@pytest.mark.skipif(not Path("/dev/shm").exists() or os.name != "posix", reason="needs POSIX limits")
@pytest.mark.parametrize("extension", ["png", "tif", "jpg", "ppm", "webp", "exr"])
def test_a_full_disk_leaves_nothing(tmp_path: Path, extension: str) -> None:
    """A limit on the file's size stands for a full disk: the system refuses in the middle of the picture."""
    code = f"""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        import numpy as np
        from anyzoom.errors import CannotWrite
        from anyzoom.image.photo import Photo
        from anyzoom.image.writing import write_image
        pixels = np.random.default_rng(0).integers(0, 256, (700, 600, 3), dtype=np.uint8)
        linear = {extension == "exr"}
        photo = Photo(pixels.astype(np.float32) if linear else pixels, linear=linear)
        try:
            write_image(photo, {str(tmp_path / f"a.{extension}")!r})
        except CannotWrite as error:
            assert "\\n" not in str(error)
            print("refused:", error)
    """
    done = run(code)
    assert done.stdout.startswith("refused:"), done
    assert list(tmp_path.iterdir()) == []


def test_no_space_is_called_so(tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="no space left on the disk"):
        write_image(Photo(picture(8, 8, 3, "uint8")), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_killed_writer_leaves_no_file_and_its_part_is_removed_later(tmp_path: Path, picture: Picture) -> None:
    path = tmp_path / "a.tif"
    code = f"""
        import os, signal
        import numpy as np
        from anyzoom.grid import Size
        from anyzoom.image.photo import Layout
        from anyzoom.image.writing import image_writer
        with image_writer({str(path)!r}, Layout(Size(2000, 300), 3, np.dtype(np.uint8))) as writer:
            writer.write(np.zeros((900, 300, 3), np.uint8))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run(code).returncode == -signal.SIGKILL
    left = [entry.name for entry in tmp_path.iterdir()]
    assert len(left) == 1
    assert left[0].startswith(".a.tif.")
    assert left[0].endswith(".part")
    other = tmp_path / ".b.tif.999999999.part"  # of another target: not ours to remove
    other.write_bytes(b"")
    write_image(Photo(picture(8, 8, 3, "uint8")), path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [other.name, "a.tif"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to ask for the peak")
@pytest.mark.parametrize("extension", ["tif", "png", "jpg"])
def test_memory_follows_the_band_and_not_the_picture(tmp_path: Path, extension: str) -> None:
    """12000x9000 pixels are 309 MiB; their rows come 256 at a time."""
    code = f"""
        from pathlib import Path
        import numpy as np
        from anyzoom.grid import Size
        from anyzoom.image.photo import Layout
        from anyzoom.image.writing import image_writer
        y, x = np.mgrid[:256, :12000]
        band = np.stack((x // 7 + y, x // 9, y), axis=-1).astype(np.uint8)
        layout = Layout(Size(9000, 12000), 3, band.dtype)
        with image_writer({str(tmp_path / f"a.{extension}")!r}, layout) as writer:
            for top in range(0, 9000, 256):
                writer.write(band[: 9000 - top])
        status = Path("/proc/self/status").read_text()  # getrusage counts the parent too
        print(int(status.split("VmHWM:")[1].split()[0]) // 1024)
    """
    done = run(code)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200  # MiB, of which Python, the libraries and the band itself take about 90
    assert probe_image(tmp_path / f"a.{extension}").size == Size(9000, 12000)


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
