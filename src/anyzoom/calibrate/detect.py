"""The corners of a board in a photograph.

A ChArUco board is recognised wherever any of it is in view; a plain checkerboard (Duda and Frese, Accurate Detection
and Localization of Checkerboard Corners for Calibration, BMVC 2018) needs few, large squares. Pixel centres lie at
integers.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.calibrate.opencv import cv2
from anyzoom.calibrate.target import Target, board
from anyzoom.errors import CalibrationError
from anyzoom.geometry import Points

Channel = Literal["red", "grey"]
LARGEST_SIDE = 2400  # pixels: larger photographs are reduced; corners are found to a fraction of a pixel anyway
FEWEST_CORNERS = 12
WINDOWS = (5, 21)  # pixels, of the adaptive thresholds: for small and for large squares
PLANE = 0.01  # of the diagonal: corners further from where a plane would show them are mistakes, lenses bend less


class Checkerboard(NamedTuple):
    """A board without markers. Where on it a corner lies is not known, only how far from the others."""

    square_mm: float


class Corners(NamedTuple):
    """Where corners of the board are seen."""

    image: Points  # n xy, pixels
    board: Points  # n xy, mm from the board's first corner; of a checkerboard from the first that is seen


def find_corners(pixels: NDArray[Any], sought: Target | Checkerboard, channel: Channel = "red") -> Corners:
    """The corners of the board in a photograph `h w c`, uint8; red is where a target's rectangles do not show.

    Raises CalibrationError when fewer than 12 are found.
    """
    grey = _channel(pixels, channel)
    factor = max(1.0, max(grey.shape) / LARGEST_SIDE)
    if factor > 1:
        size = (round(grey.shape[1] / factor), round(grey.shape[0] / factor))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    found = _on_a_plane(_charuco(grey, sought) if isinstance(sought, Target) else _checkerboard(grey, sought), grey)
    if len(found.image) < FEWEST_CORNERS:
        kind = "the target" if isinstance(sought, Target) else "a checkerboard of few, large squares"
        raise CalibrationError(
            f"{len(found.image)} corners of the board found, {FEWEST_CORNERS} are needed. Let {kind} fill "
            f"the frame, sharp and evenly lit."
        )
    across, down = pixels.shape[1] / grey.shape[1], pixels.shape[0] / grey.shape[0]
    return found._replace(image=(found.image + 0.5) * (across, down) - 0.5)


def _channel(pixels: NDArray[Any], channel: Channel) -> NDArray[np.uint8]:
    if pixels.shape[2] < 3 or channel == "red":
        return np.ascontiguousarray(pixels[..., 0])
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels[..., :3]), cv2.COLOR_RGB2GRAY), np.uint8)


def _charuco(grey: NDArray[np.uint8], target: Target) -> Corners:
    parameters = cv2.aruco.DetectorParameters()
    parameters.adaptiveThreshWinSizeMin, parameters.adaptiveThreshWinSizeMax = WINDOWS
    parameters.adaptiveThreshWinSizeStep = WINDOWS[1] - WINDOWS[0]
    parameters.minMarkerPerimeterRate = 0.02  # of the longest side: also many small markers
    charuco = board(target)
    lenient = cv2.aruco.CharucoParameters()
    lenient.checkMarkers = False  # else one false marker costs the whole board
    detector = cv2.aruco.CharucoDetector(charuco, lenient, parameters)
    image, numbers, _, _ = detector.detectBoard(grey)
    if image is None or numbers is None or not len(image):
        return _none()
    places = charuco.getChessboardCorners()[np.asarray(numbers).ravel(), :2]
    return Corners(np.asarray(image, np.float64).reshape(-1, 2), np.asarray(places, np.float64))


def _checkerboard(grey: NDArray[np.uint8], sought: Checkerboard) -> Corners:
    flags = cv2.CALIB_CB_LARGER | cv2.CALIB_CB_EXHAUSTIVE | cv2.CALIB_CB_ACCURACY
    done, image, grid = cv2.findChessboardCornersSBWithMeta(grey, (3, 3), flags)
    if not done:
        return _none()
    rows, columns = grid.shape[:2]
    places = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2)
    return Corners(np.asarray(image, np.float64).reshape(-1, 2), places * float(sought.square_mm))


def _on_a_plane(found: Corners, grey: NDArray[np.uint8]) -> Corners:
    if len(found.image) < FEWEST_CORNERS:
        return found
    threshold = PLANE * float(np.hypot(*grey.shape))
    _, kept = cv2.findHomography(found.board, found.image, cv2.USAC_MAGSAC, threshold)
    near = np.asarray(kept).ravel() > 0
    return Corners(found.image[near], found.board[near])


def _none() -> Corners:
    return Corners(np.empty((0, 2)), np.empty((0, 2)))
