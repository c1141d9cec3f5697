"""The sensor: its noise obeys the model, its colours come back."""

from __future__ import annotations

import numpy as np
import pytest

from anyzoom.degrade.sensor import Phase, demosaic, exposed, mosaic

PHASES = [(0, 0), (0, 1), (1, 0), (1, 1)]

# Malvar, He and Cutler 2004, figure 2, times 8
GREEN = np.array([[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]])
BESIDE = np.array([[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]])
OPPOSITE = np.array([[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]])


@pytest.mark.parametrize("level", [0.02, 0.2, 0.7])
def test_variance_follows_the_model(level: float) -> None:
    measured = exposed(np.full((400, 500), level, np.float32), 2500, 6.0, np.random.default_rng(4))
    assert measured.mean() == pytest.approx(level, abs=5 * np.sqrt(level / 2500 / measured.size))
    assert measured.var() == pytest.approx(level / 2500 + (6 / 2500) ** 2, rel=0.015)


def test_the_dark_is_noise_about_zero_and_white_is_full() -> None:
    rng = np.random.default_rng(4)
    dark = exposed(np.zeros((100, 100), np.float32), 2500, 6.0, rng)
    assert dark.min() < 0
    assert abs(dark.mean()) < 1e-4
    assert exposed(np.full((100, 100), 1.2, np.float32), 2500, 6.0, rng).min() == 1


@pytest.mark.parametrize("red", PHASES)
def test_each_pixel_measures_one_colour(red: Phase) -> None:
    light = np.random.default_rng(0).random((3, 7, 6))
    raw = mosaic(light, red)
    for row in range(7):
        for column in range(6):
            on_red_row, on_red_column = row % 2 == red[0], column % 2 == red[1]
            channel = 1 if on_red_row != on_red_column else 0 if on_red_row else 2
            assert raw[row, column] == light[channel, row, column]


@pytest.mark.parametrize("red", PHASES)
def test_the_filters_are_those_of_the_paper(red: Phase) -> None:
    raw = np.random.default_rng(0).random((9, 8))
    made = demosaic(raw, red)
    padded = np.pad(raw, 2, mode="reflect")
    for row in range(9):
        for column in range(8):
            around = padded[row : row + 5, column : column + 5]
            beside, above = ((table * around).sum() / 8 for table in (BESIDE, BESIDE.T))
            green, opposite = ((table * around).sum() / 8 for table in (GREEN, OPPOSITE))
            on_red_row, on_red_column = row % 2 == red[0], column % 2 == red[1]
            if on_red_row and on_red_column:
                expected = [raw[row, column], green, opposite]
            elif on_red_row:
                expected = [beside, raw[row, column], above]
            elif on_red_column:
                expected = [above, raw[row, column], beside]
            else:
                expected = [opposite, green, raw[row, column]]
            np.testing.assert_allclose(made[:, row, column], expected, atol=1e-12)


@pytest.mark.parametrize("red", PHASES)
def test_flat_colours_come_back(red: Phase) -> None:
    light = np.broadcast_to(np.array([0.2, 0.5, 0.8])[:, None, None], (3, 6, 9))
    np.testing.assert_allclose(demosaic(mosaic(light, red), red), light, atol=1e-12)


@pytest.mark.parametrize("red", PHASES)
def test_grey_slopes_come_back_unshifted(red: Phase) -> None:
    rows, columns = np.indices((12, 13)).astype(float)
    grey = np.stack([0.03 * rows - 0.02 * columns] * 3)
    made = demosaic(mosaic(grey, red), red)
    np.testing.assert_allclose(made[:, 2:-2, 2:-2], grey[:, 2:-2, 2:-2], atol=1e-12)
