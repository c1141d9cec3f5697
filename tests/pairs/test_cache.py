"""The memory for decoded pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anyzoom.grid import Size
from anyzoom.pairs import Frame, PictureCache


def test_what_fits_is_decoded_once_and_the_rest_whenever_asked_for() -> None:
    decoded: list[str] = []

    def load(frame: Frame) -> NDArray[np.uint8]:
        decoded.append(frame.path.name)
        return np.full((*frame.size, 3), len(frame.path.name), np.uint8)

    frames = [Frame(Path(name), Size(4, 5)) for name in ("a", "bb", "ccc")]
    cache = PictureCache([*frames, frames[0]], 2 * 60, load)
    assert sorted(decoded) == ["a", "bb"]
    assert cache.bytes == 120
    for _ in range(3):
        for frame in frames:
            assert (cache[frame] == len(frame.path.name)).all()
    assert decoded[2:] == ["ccc"] * 3


def test_a_small_picture_after_a_large_one_still_finds_room() -> None:
    def load(frame: Frame) -> NDArray[np.uint8]:
        return np.zeros((*frame.size, 3), np.uint8)

    large, small = Frame(Path("large"), Size(9, 9)), Frame(Path("small"), Size(2, 2))
    assert list(PictureCache([large, small], 100, load).kept) == [small]
