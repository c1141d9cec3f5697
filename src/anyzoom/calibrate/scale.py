"""How large, and how distorted, a photograph shows the board.

The model is a plane seen through a homography and radial distortion about the image centre, fitted to the corners with
a soft-L1 loss; then the magnification is that of the undistorted plane at the image centre, the square root of the
Jacobian's determinant. Hartley and Zisserman, Multiple View Geometry, sections 2.4 and 7.4.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.calibrate.detect import Corners
from anyzoom.calibrate.opencv import cv2
from anyzoom.errors import MissingExtra
from anyzoom.geometry import Lens, Points
from anyzoom.grid import Size

TYPICAL_PX = 0.5  # residuals beyond this count less
STEP = 1e-6  # of the derivative of the magnification


class View(NamedTuple):
    """How a photograph shows the board."""

    px_per_mm: float  # at the image centre
    error: float  # of px_per_mm, relative, one standard deviation
    lens: Lens  # about the image centre, in units of half the diagonal
    k1_error: float  # one standard deviation
    rmse_px: float
    homography: NDArray[np.float64]  # 3 3, board in mm -> undistorted pixels

    def seen(self, places: Points) -> Points:
        """Places on the board `n xy`, mm -> pixels `n xy`."""
        mapped = places @ self.homography[:, :2].T + self.homography[:, 2]
        return self.lens.distorted(mapped[:, :2] / mapped[:, 2:])


def view_of(corners: Corners, size: Size) -> View:
    """The view that explains the corners in a photograph of that size best. Raises MissingExtra."""
    try:
        from scipy.optimize import least_squares
    except ImportError as error:
        raise MissingExtra("calibrating", "calibrate") from error

    centre = ((size.width - 1) / 2, (size.height - 1) / 2)
    radius = float(np.hypot(*size) / 2)
    middle, spread = corners.board.mean(axis=0), float(corners.board.std())
    places = (corners.board - middle) / spread
    seen = (corners.image - centre) / radius

    def residuals(parameters: NDArray[np.float64]) -> NDArray[np.float64]:
        mapped = np.column_stack((places, np.ones(len(places)))) @ np.append(parameters[:8], 1).reshape(3, 3).T
        plane = mapped[:, :2] / mapped[:, 2:]
        error: NDArray[np.float64] = plane * (1 + parameters[8] * np.sum(plane**2, axis=1, keepdims=True)) - seen
        return error.ravel() * radius

    start, _ = cv2.findHomography(places, seen, cv2.USAC_MAGSAC, 0.02)
    fit = least_squares(
        residuals, np.append((start / start[2, 2]).ravel()[:8], 0.0), loss="soft_l1", f_scale=TYPICAL_PX, x_scale="jac"
    )
    left = residuals(fit.x)
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * np.mean(left**2)
    slope = [
        (_log_magnification(fit.x + step) - _log_magnification(fit.x - step)) / (2 * STEP)
        for step in STEP * np.eye(len(fit.x))
    ]
    plane = np.append(fit.x[:8], 1).reshape(3, 3)
    normalised = np.array([[1, 0, -middle[0]], [0, 1, -middle[1]], [0, 0, spread]])
    pixels = np.array([[radius, 0, centre[0]], [0, radius, centre[1]], [0, 0, 1]])
    return View(
        px_per_mm=float(np.exp(_log_magnification(fit.x)) * radius / spread),
        error=float(np.sqrt(slope @ covariance @ slope)),
        lens=Lens(centre, float(fit.x[8]), radius),
        k1_error=float(np.sqrt(covariance[8, 8])),
        rmse_px=float(np.sqrt(2 * np.mean(left**2))),
        homography=pixels @ plane @ normalised,
    )


def _log_magnification(parameters: NDArray[np.float64]) -> float:
    """At the image centre, in the fit's units. A homography H has the Jacobian det(H) / w^3, w the third coordinate."""
    plane = np.append(parameters[:8], 1).reshape(3, 3)
    place = np.linalg.solve(plane, [0.0, 0.0, 1.0])  # of the board, at the image centre; its w is 1 / place[2]
    return float(0.5 * (np.log(abs(np.linalg.det(plane))) + 3 * np.log(abs(place[2]))))
