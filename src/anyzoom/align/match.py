"""Where the reference's points are seen in a frame: SIFT in two stages with the luminance between them.

As in Fu et al. (CVPR 2024, section 3.2), the frame is matched, its luminance is brought to that of the reference by
what the matches show, and it is matched again: a dark frame yields few keypoints, and all of them once adjusted.
Ways in which this departs: the reference is first reduced to the frame's scale, so that keypoints of both mean the
same; both are cut to the field that they share and, where that is large, reduced further; the strongest keypoints
are kept per cell of a grid, since one fine pattern can outnumber a whole scene; descriptors are compared by the
square roots of their shares (Arandjelović and Zisserman, CVPR 2012).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.align.luminance import Picture, adjusted, gain_at, reduced
from anyzoom.align.opencv import cv2
from anyzoom.align.records import Gain, Matches
from anyzoom.geometry import Points
from anyzoom.grid import Size, Window

MARGIN = 0.18  # of the shared field, by how much more of the frame is looked at
LARGEST = 2_500_000  # pixels in which keypoints are looked for: SIFT takes 250 bytes for each
CONTRAST = 0.01
CELLS = Size(6, 8)
PER_CELL = 100
RATIO = 0.8  # nearest to second nearest descriptor
TOLERANCE_PX = 1.5  # of a plane
ROUNDS = 10_000
CONFIDENCE = 0.9999
COUNTED = Size(4, 4)  # cells of the reference's field
LEAST = 8  # matches that a plane and a gain can be told from


class View(NamedTuple):
    """A window of a photograph at a smaller size."""

    pixels: Picture  # h w 3, code values
    corner: tuple[int, int]  # x y of the window in the photograph
    factor: tuple[float, float]  # photograph pixels per pixel of the view, x y

    def to_photograph(self, points: Points) -> Points:
        moved: Points = (points + 0.5) * self.factor - 0.5 + self.corner
        return moved

    def from_photograph(self, points: Points) -> Points:
        moved: Points = (points - self.corner + 0.5) / self.factor - 0.5
        return moved


def views(reference: NDArray[np.uint8], frame: NDArray[np.uint8], ratio: float, largest: int) -> tuple[View, View]:
    """The reference and the part of a frame that shows it, at one scale.

    Two photographs `h w 3` of one size, the frame wider by `ratio`; the reference's view has at most `largest` pixels.
    """
    whole = Size(*reference.shape[:2])
    further = max(1.0, math.sqrt(whole.pixels / ratio**2 / largest))
    share = min(1.0, (1 + MARGIN) / ratio)
    margins = Size(*(round(side * (1 - share) / 2) for side in whole))
    part = Window(*margins, whole.height - margins.height, whole.width - margins.width)
    return _view(reference, Window.whole(whole), ratio * further), _view(frame, part, further)


def _view(photograph: NDArray[np.uint8], window: Window, factor: float) -> View:
    size = Size(*(max(1, round(side / factor)) for side in window.size))
    return View(
        reduced(photograph[window.slices], size),
        (window.left, window.top),
        (window.size.width / size.width, window.size.height / size.height),
    )


def matched(reference: NDArray[np.uint8], frame: NDArray[np.uint8], ratio: float) -> Matches:
    """What two photographs `h w 3` of one size both show and fits one plane, the frame wider by about `ratio`."""
    small, seen = views(reference, frame, ratio, LARGEST)
    wanted = _features(small.pixels)
    gain, inliers = Gain((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), []
    for stage in (1, 2):
        found = _features(adjusted(seen.pixels, gain))
        pairs = _paired(wanted.descriptors, found.descriptors)
        points, places = wanted.points[pairs[:, 0]], found.points[pairs[:, 1]]
        fitting = _on_a_plane(points, places)
        points, places = points[fitting], places[fitting]
        inliers.append(len(points))
        if stage == 1 and len(points) >= LEAST:
            gain = gain_at(small.pixels, points, seen.pixels, places)
    return Matches(
        reference=small.to_photograph(points),
        frame=seen.to_photograph(places),
        found=len(pairs),
        inliers_of_stage_1=inliers[0],
        cells=len(np.unique(_cells(points, small.pixels, COUNTED))),
        gain=gain,
        keypoints=(len(wanted.points), len(found.points)),
        pixel=sum(seen.factor) / 2,
    )


class _Features(NamedTuple):
    points: Points  # n xy
    descriptors: NDArray[np.float32]  # n 128, of length 1


def _features(picture: Picture) -> _Features:
    """The strongest keypoints of every cell, in an order that the picture alone decides."""
    grey = np.rint(picture.mean(axis=2).clip(0, 255)).astype(np.uint8)
    # Without the precise upscaling keypoints lie a quarter of a pixel off.
    sift = cv2.SIFT.create(contrastThreshold=CONTRAST, edgeThreshold=10, enable_precise_upscale=True)
    keypoints = sorted(sift.detect(grey), key=lambda k: (-k.response, k.pt, k.size, k.angle))
    if not keypoints:
        return _Features(np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    left = dict.fromkeys(range(CELLS.pixels), PER_CELL)
    kept = []
    for keypoint, cell in zip(keypoints, _cells(np.array([k.pt for k in keypoints]), picture, CELLS), strict=True):
        if left[cell]:
            left[cell] -= 1
            kept.append(keypoint)
    kept, descriptors = sift.compute(grey, kept)
    shares = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-9))
    return _Features(np.array([k.pt for k in kept]), shares)


def _cells(points: Points, picture: Picture, grid: Size) -> NDArray[np.int64]:
    """In which cell of a grid over the picture each point lies."""
    x, y = ((points + 0.5) * (grid.width, grid.height) / picture.shape[1::-1]).astype(np.int64).T
    cells: NDArray[np.int64] = y.clip(0, grid.height - 1) * grid.width + x.clip(0, grid.width - 1)
    return cells


def _paired(wanted: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.int64]:
    """Indices `n 2` of descriptors that are each other's nearest, and nearer by RATIO than the second nearest."""
    if min(len(wanted), len(found)) < 2:
        return np.zeros((0, 2), np.int64)
    likeness = wanted @ found.T
    nearest, back = likeness.argmax(axis=1), likeness.argmax(axis=0)
    second, first = (1 - np.partition(likeness, -2, axis=1)[:, -2:]).T  # half of squared distances
    mutual = back[nearest] == np.arange(len(wanted))
    chosen = np.flatnonzero(mutual & (first < RATIO**2 * second))
    return np.stack((chosen, nearest[chosen]), axis=1)


def _on_a_plane(points: Points, places: Points) -> NDArray[np.bool_]:
    """Which matches one homography explains. MAGSAC's draws are seeded by OpenCV, always alike."""
    if len(points) < LEAST:
        return np.zeros(len(points), np.bool_)
    _, mask = cv2.findHomography(points, places, cv2.USAC_MAGSAC, TOLERANCE_PX, maxIters=ROUNDS, confidence=CONFIDENCE)
    return np.zeros(len(points), np.bool_) if mask is None else mask[:, 0].astype(np.bool_)
