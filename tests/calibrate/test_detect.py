"""The board is found in photographs from the shortest to the longest focal length."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from tests.calibrate.conftest import LENS, SIZE, TargetCamera, px_per_mm

from anyzoom.calibrate.detect import Checkerboard, find_corners
from anyzoom.calibrate.scale import view_of
from anyzoom.calibrate.target import Target
from anyzoom.errors import CalibrationError


@pytest.mark.parametrize(("magnification", "fewest"), [(1, 500), (2, 100), (3, 40), (4, 25)])
def test_the_target_is_found_at_every_zoom(
    target: Target, camera: TargetCamera, magnification: float, fewest: int
) -> None:
    ring = LENS.ring_at(magnification)
    corners = find_corners(camera(px_per_mm(ring), LENS.k1(ring)), target)
    view = view_of(corners, SIZE)
    assert len(corners.image) >= fewest
    assert view.px_per_mm == pytest.approx(px_per_mm(ring), rel=1e-4)  # 1.2e-3 is asked for
    assert view.lens.k1 == pytest.approx(LENS.k1(ring), abs=5e-4)
    assert view.rmse_px < 0.15


def test_large_photographs_are_reduced(target: Target, camera: TargetCamera) -> None:
    """Five times as wide, what is found lies five times as far."""
    small = camera(px_per_mm(80))
    large = cv2.resize(small, None, fx=5, fy=5, interpolation=cv2.INTER_NEAREST)
    one, other = find_corners(small, target), find_corners(np.asarray(large, np.uint8), target)
    assert view_of(other, SIZE._replace(height=3200, width=4800)).px_per_mm == pytest.approx(
        5 * view_of(one, SIZE).px_per_mm, rel=3e-4
    )


def test_without_colour_grey_is_read(target: Target, camera: TargetCamera) -> None:
    photo = camera(px_per_mm(80))
    for pixels in (photo, cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[..., None]):
        view = view_of(find_corners(np.asarray(pixels, np.uint8), target, "grey"), SIZE)
        assert view.px_per_mm == pytest.approx(px_per_mm(80), rel=1.2e-3)


def a_checkerboard() -> TargetCamera:
    squares = np.indices((9, 14)).sum(axis=0) % 2 * 255
    return TargetCamera(
        np.pad(np.kron(squares, np.ones((100, 100))), 100, constant_values=255)
        .astype(np.uint8)[..., None]
        .repeat(3, -1),
        5.0,
    )


@pytest.mark.parametrize("magnification", [1.0, 1.5])
def test_a_plain_checkerboard_is_accepted(magnification: float) -> None:
    """Squares of 20 mm, 100 pixels of the sheet: from x1.5 on its ends leave the frame."""
    camera = a_checkerboard()
    view = view_of(find_corners(camera(2.6 * magnification, -0.01), Checkerboard(20)), SIZE)
    assert view.px_per_mm == pytest.approx(2.6 * magnification, rel=1.2e-3)
    assert view.lens.k1 == pytest.approx(-0.01, abs=2e-3)


@pytest.mark.parametrize("sought", ["target", "checkerboard"])
def test_no_board_is_no_corners(target: Target, sought: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (150, 200, 3), np.uint8)
    with pytest.raises(CalibrationError, match=r"^\d+ corners of the board found, 12 are needed\. Let "):
        find_corners(noise, target if sought == "target" else Checkerboard(20))
