"""Metadata stays true while the pixels are turned or magnified."""

from __future__ import annotations

from collections.abc import Callable

from anyzoom.grid import Size
from anyzoom.image.metadata import dpi_from_metres, resized, upright, with_xmp_number
from anyzoom.image.photo import Metadata


def test_xmp_numbers_change_as_attribute_and_as_element() -> None:
    packet = b"<a tiff:Orientation='6'/><tiff:Orientation>8</tiff:Orientation><b tiff:OrientationX=\"6\"/>"
    expected = b"<a tiff:Orientation='1'/><tiff:Orientation>1</tiff:Orientation><b tiff:OrientationX=\"6\"/>"
    assert with_xmp_number(packet, "tiff:Orientation", 1) == expected


def test_a_quarter_turn_swaps_the_resolutions(camera_exif: Callable[[str, int], bytes], warnings: list[str]) -> None:
    metadata = Metadata(exif=camera_exif("<", 6), dpi=(300.0, 240.0))
    assert upright(metadata, 6, warnings.append).dpi == (240.0, 300.0)
    assert upright(metadata, 3, warnings.append).dpi == (300.0, 240.0)
    assert warnings == []


def test_damaged_exif_is_dropped_with_one_warning(warnings: list[str]) -> None:
    assert upright(Metadata(exif=b"II*\0\xff\xff\xff\xff"), 1, warnings.append).exif is None
    assert len(warnings) == 1
    assert "EXIF" in warnings[0]


def test_resized_tells_xmp_too() -> None:
    packet = b'<x exif:PixelXDimension="64" exif:PixelYDimension="48" tiff:ImageWidth="64"/>'
    expected = b'<x exif:PixelXDimension="6400" exif:PixelYDimension="480" tiff:ImageWidth="6400"/>'
    assert resized(Metadata(xmp=packet), Size(480, 6400)).xmp == expected


def test_whole_dpi_survive_whole_dots_per_metre() -> None:
    assert dpi_from_metres(11811, 2835) == (300.0, 72.0)
    assert dpi_from_metres(11800, 11800) == (299.71999999999997, 299.71999999999997)
