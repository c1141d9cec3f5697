"""Kinds by their first bytes, formats by name and extension."""

from __future__ import annotations

import pytest

from anyzoom.errors import CannotWrite
from anyzoom.image.formats import FORMATS, described, kind_of, output_format


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"II*\0\x10\0\0\0CR\x02\0", "raw"),
        (b"IIRO\x08\0\0\0", "raw"),
        (b"FUJIFILMCCD-RAW 0201", "raw"),
        (b"MM\0+\0\x08\0\0", "tiff"),
        (b"RIFF\x0a\n\0\0WEBPVP8 ", "webp"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "avif"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "heif"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "raw"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isommp41", None),
        (b"P6\n1 1", "ppm"),
        (b"P7\nWIDTH", None),
        (b"v/1\x01\x02", "exr"),
        (b"GIF89a", None),
    ],
)
def test_kinds(head: bytes, kind: str | None) -> None:
    assert kind_of(head) == kind


def test_unknown_files_are_described() -> None:
    assert described(b"GIF89a") == "a GIF"
    assert described(b"  <svg xmlns") == "an SVG drawing"


def test_output_formats() -> None:
    assert output_format("a/b.JPEG") is FORMATS["jpeg"]
    assert output_format("a.tif", "png") is FORMATS["png"]
    assert output_format("a", "TIF") is FORMATS["tiff"]
    with pytest.raises(CannotWrite, match=r"format 'tifff' is unknown.*Did you mean tiff\?"):
        output_format("a", "tifff")
