"""From file to file: what belongs to the photo comes along, and a refusal leaves nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms

from anyzoom.errors import AnyzoomError, CannotRead, CannotWrite, MemoryBudgetError, ScaleError
from anyzoom.grid import Size
from anyzoom.image import Photo, read_image, write_image
from anyzoom.image.colour import encode_srgb
from anyzoom.image.resample import resample
from anyzoom.models import ContinuousSR
from anyzoom.zoom import Request, Settings, Zoomed, Zoomer, zoom_file

MakePhoto = Callable[..., Photo]
TWICE = Settings(request=Request(scale=2))


def everything_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.fixture
def source(tmp_path: Path, make_photo: MakePhoto) -> Path:
    path = tmp_path / "in" / "a.png"
    path.parent.mkdir()
    write_image(make_photo(9, 12), path)
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize(
    ("extension", "dtype", "channels", "linear"),
    [
        ("png", "uint8", 3, False),
        ("png", "uint16", 4, False),
        ("png", "uint8", 1, False),
        ("tif", "uint16", 2, False),
        ("tif", "float32", 3, False),
        ("ppm", "uint16", 3, False),
        ("exr", "float32", 4, True),
        ("exr", "float32", 1, True),
    ],
)
def test_the_file_holds_what_the_zoomer_renders(
    tiny: ContinuousSR,
    make_photo: MakePhoto,
    tmp_path: Path,
    extension: str,
    dtype: str,
    channels: int,
    linear: bool,
) -> None:
    photo = make_photo(9, 12, channels, dtype, linear=linear)
    source, target = tmp_path / f"a.{extension}", tmp_path / f"b.{extension}"
    write_image(photo, source)
    settings = Settings(request=Request(scale=(2.5, 1.5)), tile=4)
    zoomed = zoom_file(source, target, tiny, settings)
    assert (zoomed.source, zoomed.target, zoomed.before, zoomed.after) == (source, target, Size(9, 12), Size(23, 18))
    found = read_image(target)
    assert found.layout == Zoomer(photo, tiny).layout_at(Size(23, 18))
    expected = Zoomer(read_image(source), tiny, tile=Size(4, 4)).render(size=Size(23, 18))
    if dtype == "float32":
        np.testing.assert_allclose(found.pixels, expected, rtol=1e-5, atol=1e-6)
    else:
        np.testing.assert_array_equal(found.pixels, expected)


def test_linear_light_makes_the_round_trip(bicubic: ContinuousSR, tmp_path: Path) -> None:
    """EXR to EXR, values beyond white and below black included, equals bicubic on what people see."""
    pixels = np.random.default_rng(4).uniform(-0.5, 20, (8, 9, 3)).astype(np.float32)
    pixels[:4, :4] = -0.5
    write_image(Photo(pixels, linear=True), tmp_path / "a.exr")
    zoom_file(tmp_path / "a.exr", tmp_path / "b.exr", bicubic, TWICE)
    found = read_image(tmp_path / "b.exr")
    assert found.linear
    coded = resample(encode_srgb(pixels), size=Size(16, 18))
    light = np.asarray(found.pixels, np.float32)
    np.testing.assert_allclose(encode_srgb(light), coded, rtol=0, atol=2e-5)
    assert found.pixels.max() > 15
    assert found.pixels.min() < -0.2


def test_what_a_camera_wrote_comes_along(bicubic: ContinuousSR, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Maker"
    exif[ExifTags.Base.Orientation] = 6  # a quarter turn
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.ExifImageWidth: 16, ExifTags.Base.ExifImageHeight: 10, ExifTags.Base.ISOSpeedRatings: 400}
    )
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({ExifTags.GPS.GPSLatitudeRef: "N"})
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    stored = np.zeros((10, 16, 3), np.uint8)
    stored[:, :8] = 200  # what is stored on the left is shown at the top
    Image.fromarray(stored).save(tmp_path / "a.jpg", exif=exif, icc_profile=icc, dpi=(300, 300), quality=98)

    zoomed = zoom_file(tmp_path / "a.jpg", tmp_path / "b.jpg", bicubic, Settings(request=Request(scale=(2, 3))))
    assert (zoomed.before, zoomed.after) == (Size(16, 10), Size(32, 30))
    with Image.open(tmp_path / "b.jpg") as found:
        assert found.size == (30, 32)
        assert found.info["icc_profile"] == icc
        assert [round(value) for value in found.info["dpi"]] == [300, 300]
        tags = found.getexif()
        assert tags[ExifTags.Base.Make] == "Maker"
        assert tags[ExifTags.Base.Orientation] == 1
        detail = tags.get_ifd(ExifTags.IFD.Exif)
        assert (detail[ExifTags.Base.ExifImageWidth], detail[ExifTags.Base.ExifImageHeight]) == (30, 32)
        assert detail[ExifTags.Base.ISOSpeedRatings] == 400
        assert tags.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        pixels = np.asarray(found)
    assert pixels[:14].min() > 190
    assert pixels[18:].max() < 10


def test_the_photo_itself_is_never_the_target(bicubic: ContinuousSR, source: Path, out: Path) -> None:
    before = source.read_bytes()
    link, hard = out / "link.png", out / "hard.png"
    link.symlink_to(source)
    hard.hardlink_to(source)
    for target in (source, source.parent / ".." / "in" / "a.png", link, hard):
        for overwrite in (False, True):
            with pytest.raises(CannotWrite, match=r"is the photo itself. Choose another name"):
                zoom_file(source, target, bicubic, Settings(overwrite=overwrite))
    assert source.read_bytes() == before
    assert everything_in(out) == ["hard.png", "link.png"]


def test_what_exists_stays_unless_asked_otherwise(bicubic: ContinuousSR, source: Path, out: Path) -> None:
    target = out / "b.png"
    target.write_bytes(b"precious")
    with pytest.raises(CannotWrite, match=r"exists already. Choose another name or add --overwrite"):
        zoom_file(source, target, bicubic, TWICE)
    assert target.read_bytes() == b"precious"
    zoom_file(source, target, bicubic, Settings(request=Request(scale=2), overwrite=True))
    assert read_image(target).size == Size(18, 24)
    assert everything_in(out) == ["b.png"]


REFUSED: dict[str, tuple[type[AnyzoomError], Settings, str]] = {
    "scale": (ScaleError, Settings(request=Request(width=11)), "b.png"),
    "limit of the result": (ScaleError, Settings(request=Request(scale=2, limit_pixels=100)), "b.png"),
    "limit of the input": (CannotRead, Settings(limit_pixels=107), "b.png"),
    "extension": (CannotWrite, TWICE, "b.gif"),
    "no extension": (CannotWrite, TWICE, "b"),
    "format": (CannotWrite, Settings(format="gif"), "b.png"),
    "quality": (CannotWrite, Settings(quality=101), "b.jpg"),
    "linear": (CannotWrite, TWICE, "b.exr"),
    "memory": (MemoryBudgetError, Settings(memory=1 << 20), "b.png"),
    "memory of the format": (MemoryBudgetError, Settings(memory=1000), "b.webp"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refusal_leaves_nothing_not_even_a_folder(
    bicubic: ContinuousSR, source: Path, out: Path, reason: str
) -> None:
    kind, settings, name = REFUSED[reason]
    for target in (out / name, out / "new" / "deep" / name):
        with pytest.raises(kind):
            zoom_file(source, target, bicubic, settings)
        assert everything_in(out) == []


def test_folders_are_made_where_they_lack(bicubic: ContinuousSR, source: Path, out: Path) -> None:
    zoom_file(source, out / "new" / "deep" / "b.png", bicubic, TWICE)
    assert everything_in(out) == ["new", "new/deep", "new/deep/b.png"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_interrupted_in_the_middle_nothing_stays(
    bicubic: ContinuousSR, source: Path, out: Path, failure: type[BaseException]
) -> None:
    def stop(done: int, total: int) -> None:
        assert [path for path in out.rglob("*.part") if path.is_file()]  # it was under way
        if done > total // 2:
            raise failure

    with pytest.raises(failure):
        zoom_file(source, out / "new" / "b.png", bicubic, Settings(tile=2), progress=stop)
    assert everything_in(out) == []


def test_a_folder_that_holds_something_is_not_removed(bicubic: ContinuousSR, source: Path, out: Path) -> None:
    (out / "kept").mkdir()

    def stop(_done: int, _total: int) -> None:
        (out / "new" / "other.txt").write_bytes(b"")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        zoom_file(source, out / "new" / "b.png", bicubic, TWICE, progress=stop)
    with pytest.raises(CannotRead):
        zoom_file(out / "missing.png", out / "kept" / "b.png", bicubic, TWICE)
    assert everything_in(out) == ["kept", "new", "new/other.txt"]


def test_a_target_below_a_file_or_with_an_endless_name_is_refused(
    bicubic: ContinuousSR, source: Path, out: Path
) -> None:
    for target, words in (
        (source / "b.png", "its folder is a file"),
        (source / "deep" / "b.png", "its folder is a file"),
        (out / (300 * "x" + ".png"), "the name is too long"),
        (out / (300 * "x") / "b.png", "the name is too long"),
    ):
        with pytest.raises(CannotWrite, match=words):
            zoom_file(source, target, bicubic, TWICE)
    assert everything_in(out) == []


def test_progress_ends_with_everything(bicubic: ContinuousSR, source: Path, out: Path) -> None:
    told: list[tuple[int, int]] = []
    zoom_file(source, out / "b.png", bicubic, Settings(tile=5), progress=lambda *found: told.append(found))
    assert told[-1] == (432, 432)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert len(told) == 6


def test_formats_other_than_the_extension_says(bicubic: ContinuousSR, source: Path, out: Path) -> None:
    zoom_file(source, out / "b.dat", bicubic, Settings(format="webp", quality=100))
    assert (out / "b.dat").read_bytes()[8:12] == b"WEBP"
    assert read_image(out / "b.dat").size == Size(18, 24)


def test_what_cannot_be_kept_is_told(bicubic: ContinuousSR, make_photo: MakePhoto, out: Path) -> None:
    write_image(make_photo(9, 12, 3, "uint16"), out / "a.png")
    told: list[str] = []
    zoom_file(out / "a.png", out / "b.jpg", bicubic, TWICE, warn=told.append)
    assert told == [f"{out / 'b.jpg'}: JPEG holds 8 bits; the 16-bit samples are rounded"]


def test_defaults_are_twice_the_size(bicubic: ContinuousSR, source: Path, out: Path) -> None:
    zoomed: Zoomed = zoom_file(source, out / "b.png", bicubic)
    assert zoomed.after == Size(18, 24)
