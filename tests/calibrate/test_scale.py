"""Magnification and distortion from corners whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from anyzoom.calibrate.detect import Corners
from anyzoom.calibrate.scale import view_of
from anyzoom.geometry import Lens, Points
from anyzoom.grid import Size

SIZE = Size(600, 900)
CENTRE = np.array([449.5, 299.5])
RADIUS = float(np.hypot(600, 900) / 2)
BOARD = np.stack(np.meshgrid(np.arange(0, 180, 10.0), np.arange(0, 120, 10.0)), axis=-1).reshape(-1, 2)


def seen(board: Points, px_per_mm: float, k1: float, tilt: float = 1e-4) -> Points:
    """The board's place 92, 61 lies at the image centre, where a mm is that many pixels."""
    mm = (board - (92, 61)) @ np.array([[np.cos(0.02), np.sin(0.02)], [-np.sin(0.02), np.cos(0.02)]])
    mm = mm / (1 + mm @ np.array([[tilt], [-2 * tilt]]))
    return Lens((449.5, 299.5), k1, RADIUS).distorted(CENTRE + mm * px_per_mm)


@pytest.mark.parametrize("px_per_mm", [4.5, 17.0])
@pytest.mark.parametrize("k1", [-0.03, 0.0, 0.004])
def test_exact_corners_give_exact_numbers(px_per_mm: float, k1: float) -> None:
    image = seen(BOARD, px_per_mm, k1)
    inside = np.all((image > 0) & (image < (900, 600)), axis=1)
    view = view_of(Corners(image[inside], BOARD[inside]), SIZE)
    assert view.px_per_mm == pytest.approx(px_per_mm, rel=1e-7)
    assert view.lens.k1 == pytest.approx(k1, abs=1e-7)
    assert (view.lens.centre, view.lens.radius) == ((449.5, 299.5), RADIUS)
    assert view.rmse_px < 1e-5
    np.testing.assert_allclose(view.seen(BOARD[inside]), image[inside], atol=1e-4)


def test_error_bars_are_as_wide_as_the_errors() -> None:
    """Over 60 draws the errors' spread is what each fit says of itself, within a third."""
    rng = np.random.default_rng(1)
    image = seen(BOARD, 4.5, -0.02)
    views = [view_of(Corners(image + rng.normal(0, 0.2, image.shape), BOARD), SIZE) for _ in range(60)]
    spread = np.std([view.px_per_mm / 4.5 for view in views])
    assert spread == pytest.approx(np.mean([view.error for view in views]), rel=1 / 3)
    assert np.std([view.lens.k1 for view in views]) == pytest.approx(
        np.mean([view.k1_error for view in views]), rel=1 / 3
    )
    assert np.mean([view.rmse_px for view in views]) == pytest.approx(0.2 * np.sqrt(2), rel=0.05)


def test_a_wrong_corner_hardly_counts() -> None:
    image = seen(BOARD, 4.5, -0.02)
    image[17] += (9, -7)
    view = view_of(Corners(image, BOARD), SIZE)
    assert view.px_per_mm == pytest.approx(4.5, rel=2e-4)
