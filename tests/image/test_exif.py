"""EXIF blobs change in place, and only where they must."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from anyzoom.grid import Size
from anyzoom.image import exif, ifd
from anyzoom.image.ifd import DamagedTiff

CameraExif = Callable[[str, int], bytes]
ORDERS = ["<", ">"]


def by_pillow(blob: bytes) -> Image.Exif:
    read = Image.Exif()
    read.load(blob)
    return read


@pytest.mark.parametrize("order", ORDERS)
def test_reads_the_orientation(camera_exif: CameraExif, order: str) -> None:
    assert exif.orientation(camera_exif(order, 6)) == 6
    assert exif.orientation(camera_exif(order, 99)) == 1


@pytest.mark.parametrize("kind", [5, 10, 12], ids=["fraction", "signed fraction", "double"])
def test_how_a_photograph_was_taken(kind: int) -> None:
    """Some writers sign the fraction, or store a double instead."""
    blob = Image.Exif()
    blob[271] = "maker"
    told = {37386: 35.5, 33434: 0.008, 33437: 5.6}
    stated = {tag: value if kind == 12 else IFDRational(round(value * 1000), 1000) for tag, value in told.items()}
    blob.get_ifd(34665).update({**stated, 34855: 200})
    data = exif.without_prefix(blob.tobytes())
    for tag in told:
        data = data.replace(struct.pack(">HH", tag, 5), struct.pack(">HH", tag, kind))
    assert exif.taken(data) == pytest.approx((35.5, 0.008, 5.6, 200), rel=1e-4)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_what_cannot_be_is_not_told(value: float) -> None:
    blob = Image.Exif()
    blob[271] = "maker"
    blob.get_ifd(34665)[37386] = value
    assert exif.taken(exif.without_prefix(blob.tobytes())) == exif.Taken()


@pytest.mark.parametrize("blob", [None, b"", b"MM\0*", b"MM\0*\0\0\0\x08\0\0\0\0\0\0"])
def test_nothing_is_told_of_nothing(blob: bytes | None) -> None:
    assert exif.taken(blob) == exif.Taken()


@pytest.mark.parametrize("order", ORDERS)
def test_upright_changes_two_values_and_no_other_byte(camera_exif: CameraExif, order: str) -> None:
    before = camera_exif(order, 6)
    after = exif.upright(before, turned=True)
    changed = [i for i in range(len(before)) if before[i] != after[i]]
    # the value of tag 274 (second entry of the directory at 8), and the link behind the four entries
    value, link = 8 + 2 + 12 + 8, 8 + 2 + 4 * 12
    assert set(changed) <= {*range(value, value + 2), *range(link, link + 4)}
    assert by_pillow(after)[274] == 1
    assert by_pillow(after).get_ifd(ExifTags.IFD.IFD1) == {}
    assert by_pillow(before).get_ifd(ExifTags.IFD.IFD1) != {}


def test_a_picture_that_was_not_turned_keeps_its_thumbnail(camera_exif: CameraExif) -> None:
    blob = camera_exif("<", 1)
    assert exif.upright(blob, turned=False) == blob


@pytest.mark.parametrize("order", ORDERS)
def test_resized_grows_a_short_into_a_long(camera_exif: CameraExif, order: str) -> None:
    blob = exif.resized(camera_exif(order, 1), Size(40000, 100000))
    read = by_pillow(blob).get_ifd(34665)
    assert (read[40962], read[40963]) == (100000, 40000)
    assert blob[240:246] == b"secret"
    small = by_pillow(exif.resized(blob, Size(3, 5))).get_ifd(34665)
    assert (small[40962], small[40963]) == (5, 3)


@pytest.mark.parametrize("order", ORDERS)
def test_orientation_can_be_taken_out_without_moving_anything_else(camera_exif: CameraExif, order: str) -> None:
    blob = exif.without_orientation(camera_exif(order, 6))
    read = by_pillow(blob)
    assert 274 not in read
    assert read[271] == "Maker"
    assert read.get_ifd(34853)[2] == (48.0, 51.0, 24.0)
    assert blob[70:] == camera_exif(order, 6)[70:]


def test_resolution_in_inches_and_centimetres() -> None:
    form = ifd.Form("<", big=False)

    def blob(unit: int) -> bytes:
        entries = [
            ifd.Entry(282, ifd.RATIONAL, 1, struct.pack("<II", 300, 1)),
            ifd.Entry(283, ifd.RATIONAL, 1, struct.pack("<II", 150, 1)),
            ifd.Entry(296, ifd.SHORT, 1, struct.pack("<H", unit)),
        ]
        return b"II*\0\x08\0\0\0" + ifd.pack_directory(entries, form, 8)

    assert exif.resolution(blob(2), *exif.opened(blob(2))) == (300.0, 150.0)
    assert exif.resolution(blob(3), *exif.opened(blob(3))) == (762.0, 381.0)
    assert exif.resolution(blob(1), *exif.opened(blob(1))) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_called_damaged(data: bytes) -> None:
    for blob in (data, b"II*\0" + data, b"MM\0*" + data, b"II+\0\x08\0\0\0" + data):
        try:
            exif.upright(blob, turned=True)
            exif.resized(blob, Size(70000, 70000))
            form, top = exif.opened(blob)
            exif.from_tiff(blob, form, top)
        except DamagedTiff:
            continue


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 399), noise=st.binary(min_size=1, max_size=4))
def test_a_damaged_blob_keeps_its_length(camera_exif: CameraExif, at: int, noise: bytes) -> None:
    whole = camera_exif("<", 6)
    blob = (whole[:at] + noise + whole[at + len(noise) :])[:400]
    try:
        assert len(exif.resized(exif.upright(blob, turned=True), Size(9, 9))) == len(blob)
        form, top = exif.opened(blob)
        exif.from_tiff(blob, form, top)
    except DamagedTiff:
        pass
