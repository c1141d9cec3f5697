"""Pictures and metadata that the tests of this room share, made in code."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from anyzoom.image.photo import Metadata
from anyzoom.image.profiles import srgb_profile

Picture: TypeAlias = Callable[..., NDArray[Any]]


def a_picture(height: int, width: int, channels: int, dtype: str) -> NDArray[Any]:
    """Smooth waves that reach both ends of the range; every channel differs, and no symmetry hides a turn."""
    y, x = np.mgrid[:height, :width]
    waves = [((x * (2 * k + 3) + y * (k + 1)) % 97) / 96 for k in range(channels)]
    if dtype == "float32":
        return np.stack(waves, axis=-1).astype(np.float32)
    return np.floor(np.stack(waves, axis=-1) * np.iinfo(dtype).max + 0.5).astype(dtype)


def a_camera_exif(order: str, orientation: int) -> bytes:
    """An EXIF blob laid out by hand: a maker note with an absolute offset, GPS, and a thumbnail."""
    blob = bytearray(400)

    def entry(number: int, kind: int, count: int, value: bytes | int) -> bytes:
        packed = struct.pack(order + "I", value) if isinstance(value, int) else value.ljust(4, b"\0")
        return struct.pack(order + "HHI", number, kind, count) + packed

    def place(at: int, *entries: bytes, following: int = 0) -> None:
        text = struct.pack(order + "H", len(entries)) + b"".join(entries) + struct.pack(order + "I", following)
        blob[at : at + len(text)] = text

    def short(value: int) -> bytes:
        return struct.pack(order + "H", value)

    blob[:8] = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    place(
        8,
        entry(271, 2, 6, 80),
        entry(274, 3, 1, short(orientation)),
        entry(34665, 4, 1, 100),
        entry(34853, 4, 1, 160),
        following=280,
    )
    blob[80:86] = b"Maker\0"
    place(
        100,
        entry(36867, 2, 20, 200),
        entry(37500, 7, 16, 220),
        entry(40962, 3, 1, short(64)),
        entry(40963, 4, 1, 48),
    )
    place(160, entry(1, 2, 2, b"N\0"), entry(2, 5, 3, 250))
    blob[200:220] = b"2024:05:06 07:08:09\0"
    blob[220:236] = b"NOTE" + struct.pack(order + "I", 240) + b"12345678"
    blob[240:246] = b"secret"
    blob[250:274] = struct.pack(order + "6I", 48, 1, 51, 1, 24, 1)
    place(280, entry(513, 4, 1, 320), entry(514, 4, 1, 16))
    blob[320:336] = b"\xff\xd8thumbnail...\xff\xd9"
    return bytes(blob)


@pytest.fixture
def picture() -> Picture:
    return a_picture


@pytest.fixture
def camera_exif() -> Callable[[str, int], bytes]:
    return a_camera_exif


XMP = b'<x:x><rdf:Description tiff:Orientation="1" exif:PixelXDimension="64"/><dc:title>zoom</dc:title></x:x>'


@pytest.fixture(params=["<", ">"], ids=["little-endian", "big-endian"])
def camera(request: pytest.FixtureRequest) -> Metadata:
    """All that a photograph can carry, with EXIF in either byte order."""
    return Metadata(srgb_profile(), a_camera_exif(request.param, 1), XMP, (300.0, 240.0))


@pytest.fixture
def warnings() -> list[str]:
    """Give its append to `warn`."""
    return []
