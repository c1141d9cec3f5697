"""Netpbm with literal samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from anyzoom.errors import CannotRead
from anyzoom.image.reading import read_image


@pytest.mark.parametrize(
    ("data", "dtype", "samples"),
    [
        (b"P1\n# note\n2 2\n1 0\n01", "uint8", [[[0], [255]], [[255], [0]]]),
        (b"P4\n2 2\n\x80\x40", "uint8", [[[0], [255]], [[255], [0]]]),
        (b"P2\n2 1\n255\n7 255 ", "uint8", [[[7], [255]]]),
        (b"P5 2 1 255\n\x07\xff", "uint8", [[[7], [255]]]),
        (b"P5 2 1 100\n\x00\x64", "uint8", [[[0], [255]]]),
        (b"P5 2 1 1023\n\x00\x01\x03\xff", "uint16", [[[64], [65535]]]),
        (b"P6 1 1 65535\n\x01\x02\x03\x04\x05\x06", "uint16", [[[258, 772, 1286]]]),
        (b"P3 1 1 255\n1 2 3", "uint8", [[[1, 2, 3]]]),
    ],
)
def test_samples(tmp_path: Path, data: bytes, dtype: str, samples: list[list[list[int]]]) -> None:
    (tmp_path / "a.pnm").write_bytes(data)
    pixels = read_image(tmp_path / "a.pnm").pixels
    assert pixels.dtype == dtype
    assert pixels.tolist() == samples


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P5 2 1 255\n\x07", "truncated Netpbm picture: 1 bytes of 2"),
        (b"P2 2 1 255\n7", "truncated Netpbm picture: 1 samples of 2"),
        (b"P2 2 1 255\n7 x", "something other than numbers"),
        (b"P5 2 1 100\n\x07\xff", "above its own maximum of 100"),
        (b"P5 2 1 70000\n\x07\xff", "largest sample is 70000"),
        (b"P5 2", "without a readable header"),
    ],
)
def test_refusals(tmp_path: Path, data: bytes, words: str) -> None:
    (tmp_path / "a.pgm").write_bytes(data)
    with pytest.raises(CannotRead, match=words):
        read_image(tmp_path / "a.pgm")
