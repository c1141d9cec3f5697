"""A zoom run that is quickly drawn: a lens that only blurs before a picture that is full of corners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anyzoom.image.colour import decode_srgb, encode_srgb

FACTORS = (2.02, 1.6, 1.25, 1.0)
FRAME = (480, 320)  # width, height
BLUR = 0.5  # pixels of the frame
DRIFT = 3  # pixels of the picture, from frame to frame

MakeRun: TypeAlias = Callable[..., Path]


def drawn(seed: int, factor: float) -> NDArray[np.uint8]:
    """Rectangles over each other, many small ones and few large ones; for frames as wide as that factor."""
    rng = np.random.default_rng(seed)
    width, height = (round(factor * side) + 40 for side in FRAME)
    picture = np.full((height, width, 3), 128, np.uint8)
    for _ in range(round(2200 * factor**2)):
        size = np.minimum(rng.pareto(1.5, 2) * 6 + 3, 160)
        (x, y), (w, h) = rng.uniform(0, (width, height)).astype(int), size.astype(int)
        picture[y : y + h, x : x + w] = rng.integers(20, 235, 3)
    return picture


def drawn_run(folder: Path, seed: int = 0, factors: Sequence[float] = FACTORS, moved: int | None = None) -> Path:
    """Writes the frames of one scene, from the widest: 480x320, EXIF focal lengths, tele 100 mm."""
    folder.mkdir(parents=True)
    picture = drawn(seed, max(factors))
    for i, factor in enumerate(factors):
        seen = drawn(seed + 1000, max(factors)) if i == moved else picture
        width, height = (round(factor * side) for side in FRAME)
        left = (picture.shape[1] - width) // 2 - DRIFT * (i % 3)
        top = (picture.shape[0] - height) // 2 + DRIFT * (i % 2)
        light = decode_srgb(seen[top : top + height, left : left + width].astype(np.float32) / 255)
        blurred = cv2.GaussianBlur(light, (0, 0), BLUR * factor)
        small: NDArray[np.float32] = np.asarray(cv2.resize(blurred, FRAME, interpolation=cv2.INTER_AREA), np.float32)
        frame = encode_srgb(small) * 255 * (0.9 if i else 1)
        exif = Image.Exif()
        exif[271] = "drawn"
        exif.get_ifd(0x8769)[37386] = 100 / factor
        Image.fromarray(np.rint(frame).astype(np.uint8)).save(folder / f"{i}.png", exif=exif)
    return folder


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    return drawn_run
