from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anyzoom.align.luminance import adjusted, chosen, code_of, colours_over, gain_at, gain_over, light_of, reduced
from anyzoom.align.records import ColourMatrix, Gain, Matches, Registered, ZoomFrame
from anyzoom.geometry import FrameMap, Lens, similarity
from anyzoom.grid import Size

EVERYWHERE = np.ones((120, 160), bool)


@pytest.fixture(scope="module")
def picture() -> NDArray[np.float32]:
    """Colourful patches of 2 to 40 pixels, the larger the stronger, between 30 and 220."""
    rng = np.random.default_rng(3)
    picture = np.zeros((120, 160, 3), np.float32)
    for side in (2, 5, 10, 20, 40):
        patches = rng.uniform(0, side**0.5, (120 // side, 160 // side, 3)).astype(np.float32)
        picture += patches.repeat(side, axis=0).repeat(side, axis=1)
    return np.asarray(30 + 190 * (picture - picture.min()) / np.ptp(picture), np.float32)


def test_light_and_back() -> None:
    codes = np.arange(256, dtype=np.uint8)
    assert light_of(codes)[[0, 128, 255]] == pytest.approx([0, 0.2158605, 1], abs=1e-6)
    assert np.abs(code_of(light_of(codes)) - codes).max() < 1e-3


def test_areas_are_averaged_in_linear_light() -> None:
    board = np.indices((8, 12)).sum(axis=0) % 2 * np.uint8(255)
    small = reduced(np.repeat(board[..., None], 3, axis=2).astype(np.uint8), Size(4, 6))
    assert small.shape == (4, 6, 3)
    assert small == pytest.approx(187.516, abs=1e-2)  # half the light; half the code would be 127.5


def test_a_picture_of_that_size_stays() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert (reduced(pixels, Size(4, 5)) == pixels).all()


def test_adjusting() -> None:
    values = np.array([[10.0, 20, 30]], np.float32)
    assert adjusted(values, None) is values
    assert adjusted(values, Gain((2, 1, 0.5), (1, 0, -20))).tolist() == [[21, 20, -5]]
    assert adjusted(values, ColourMatrix(((0, 1, 0), (0, 0, 1), (1, 0, 0)), (0, 0, 5))).tolist() == [[20, 30, 15]]


GAIN = Gain((0.9, 1.0, 1.15), (4.0, -3.0, 2.0))
UNDONE = Gain((1 / 0.9, 1.0, 1 / 1.15), (-4 / 0.9, 3.0, -2 / 1.15))


def test_the_gain_of_a_softer_frame(picture: NDArray[np.float32]) -> None:
    """The same light through a worse lens: the standard deviations as they are tell another gain."""
    light = cv2.GaussianBlur(light_of(np.rint(picture).astype(np.uint8)), (0, 0), 1.2)
    soft = code_of(np.asarray(light, np.float32))
    frame = adjusted(soft, GAIN)
    found = gain_over(picture, frame, EVERYWHERE)
    literal = picture.std(axis=(0, 1)) / frame.std(axis=(0, 1))
    assert found.gain == pytest.approx(UNDONE.gain, rel=0.02)
    assert literal != pytest.approx(UNDONE.gain, rel=0.04)
    assert adjusted(frame, found).mean(axis=(0, 1)) == pytest.approx(soft.mean(axis=(0, 1)), abs=0.5)


def test_the_gain_at_points(picture: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(12, 108, (400, 2))
    moved = np.roll(adjusted(picture, GAIN), (2, 3), axis=(0, 1))
    found = gain_at(picture, points, moved, points + np.array((3, 2)))
    assert found.gain == pytest.approx(UNDONE.gain, rel=0.01)
    assert found.offset == pytest.approx(UNDONE.offset, abs=1)


def test_clipped_pixels_do_not_count(picture: NDArray[np.float32]) -> None:
    lamps = picture.copy()
    lamps[:, :40] = 255
    frame = adjusted(lamps, GAIN).clip(0, 255)
    assert gain_over(lamps, frame, EVERYWHERE).gain == pytest.approx(UNDONE.gain, rel=0.005)


def test_what_lies_outside_does_not_count(picture: NDArray[np.float32]) -> None:
    frame = adjusted(picture, GAIN)
    frame[:, :40] = 100
    inside = EVERYWHERE.copy()
    inside[:, :40] = False
    assert gain_over(picture, frame, inside).gain == pytest.approx(UNDONE.gain, rel=0.005)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_without_contrast_only_the_level_is_told(level: int) -> None:
    flat = np.full((120, 160, 3), level, np.float32)
    found = gain_over(np.full_like(flat, 90), flat, EVERYWHERE)
    assert found.gain == pytest.approx((1, 1, 1), abs=0.01)
    assert adjusted(flat, found) == pytest.approx(90, abs=0.1)
    colours = colours_over(np.full_like(flat, 90), flat, EVERYWHERE, found)
    assert adjusted(flat, colours) == pytest.approx(90, abs=0.1)


def test_colours_get_the_means_and_covariances_of_the_reference(picture: NDArray[np.float32]) -> None:
    """Of smooth pictures exactly, since smoothing then changes nothing."""
    smooth = np.asarray(cv2.resize(picture[::40, ::40], (160, 120), interpolation=cv2.INTER_CUBIC), np.float32)
    smooth = 60 + (smooth - smooth.min()) * np.float32(120 / np.ptp(smooth))
    mixed = ColourMatrix(((0.9, 0.1, 0), (0.05, 0.9, 0), (0, 0.1, 0.85)), (5, 0, -3))
    frame = adjusted(smooth, mixed)
    found = adjusted(frame, colours_over(smooth, frame, EVERYWHERE, gain_over(smooth, frame, EVERYWHERE)))
    wanted, had = smooth.reshape(-1, 3), found.reshape(-1, 3)
    assert had.mean(axis=0) == pytest.approx(wanted.mean(axis=0), abs=0.5)
    assert np.cov(had.T) == pytest.approx(np.cov(wanted.T), rel=0.05, abs=0.01 * float(wanted.var()))


def test_what_to_adjust_by() -> None:
    lens = Lens((1.0, 1.0), 0.0, math.sqrt(2))
    matches = Matches(np.zeros((0, 2)), np.zeros((0, 2)), 0, 0, 0, GAIN)
    found = FrameMap(reference=lens, frame=lens, matrix=similarity(1, 0, (0, 0)))
    colours = ColourMatrix(((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0, 0, 1))
    one = Registered(ZoomFrame(Path("a"), Size(3, 3), 2), found, matches, 0, (1, 1), UNDONE, colours)
    assert chosen(one, "gain") is UNDONE
    assert chosen(one, "colour-matrix") is colours
    assert chosen(one, "none") is None
