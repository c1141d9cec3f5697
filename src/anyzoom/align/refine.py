"""Registration without keypoints, from a map that is roughly right: to check one found by matching, or in its place.

`ecc` maximises the correlation of the pictures (Evangelidis and Psarakis, Parametric Image Alignment Using Enhanced
Correlation Coefficient Maximization, PAMI 2008). `intensity` is the registration of RealSR (Cai et al., Toward
Real-World Single Image Super-Resolution, ICCV 2019, section 3.2): over a pyramid, Gauss-Newton steps on what is left
between the reference and the frame after its brightness and contrast were adjusted, large residuals counting less.
There the frame is enlarged to the reference; here the reference is reduced to the frame's scale, which is as exact in
frame pixels and far quicker; and the pyramid ends sooner. Both find an affine correction of the start: the
distortions of the lenses are the start's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.align.match import View, views
from anyzoom.align.opencv import cv2
from anyzoom.geometry import FrameMap, Points
from anyzoom.grid import Size

Grey = NDArray[np.float32]  # h w in [0, 1]
Level = tuple[Grey, Grey, NDArray[np.uint8]]  # of the pyramid: reference, frame, where that counts
Affine = NDArray[np.float64]  # 2 3, of x y 1

LARGEST = 600_000  # pixels that are compared
BORDER = 3  # pixels at the frame's border that do not count
SMALLEST = 32  # pixels of the pyramid's smallest picture, its shorter side: below, repeated patterns mislead
ECC_HALVINGS = 4
ECC_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-6)
ECC_BLUR = 5  # pixels of the smoothing
SOFT = 0.1  # weights are 1 / (|residual| + SOFT)
DAMPING = 1e-4  # of the diagonal
FARTHEST = 0.1  # of the picture's width: a correction beyond it has gone astray
LATTICE = Size(9, 13)  # places over the reference's field where maps are compared


class Refined(NamedTuple):
    """A corrected map."""

    map: FrameMap
    moved_px: float  # against the start: root mean square over the reference's field, in frame pixels
    correlation: float  # of both pictures, -1 to 1


def distances(first: FrameMap, second: FrameMap, reference: Size) -> NDArray[np.float64]:
    """How far apart two maps put points spread over the reference's field, corners included: `n`, frame pixels."""
    points = _lattice(reference)
    apart: NDArray[np.float64] = np.linalg.norm(first.to_frame(points) - second.to_frame(points), axis=1)
    return apart


def refined_by_ecc(reference: NDArray[np.uint8], frame: NDArray[np.uint8], start: FrameMap) -> Refined | None:
    """The start, corrected; None where the search finds no way. Both photographs are `h w 3`."""
    return _refined(reference, frame, start, _ecc)


def refined_by_intensity(reference: NDArray[np.uint8], frame: NDArray[np.uint8], start: FrameMap) -> Refined | None:
    """The start, corrected; None where the search goes astray. Both photographs are `h w 3`."""
    return _refined(reference, frame, start, _gauss_newton)


REFINEMENTS: dict[str, Callable[[NDArray[np.uint8], NDArray[np.uint8], FrameMap], Refined | None]] = {
    "ecc": refined_by_ecc,
    "intensity": refined_by_intensity,
}


def _refined(
    reference: NDArray[np.uint8],
    frame: NDArray[np.uint8],
    start: FrameMap,
    search: Callable[[Grey, Grey, NDArray[np.bool_]], Affine | None],
) -> Refined | None:
    size = Size(*reference.shape[:2])
    view, seen = views(reference, frame, max(_ratio(start, size), 1.0), LARGEST)
    wanted, found, inside = _compared(view, seen, start)
    correction = search(wanted, found, inside)
    if correction is None or not np.isfinite(correction).all():
        return None
    corrected = _corrected(start, correction, view, size)
    apart = distances(start, corrected, size)
    if apart.max() > FARTHEST * size.width:
        return None
    moved, kept = _moved(found, inside.astype(np.uint8), correction)
    correlation = float(np.corrcoef(wanted[kept], moved[kept])[0, 1]) if kept.any() else 0.0
    return Refined(corrected, math.sqrt(np.mean(apart**2)), correlation)


def _ratio(frame_map: FrameMap, size: Size) -> float:
    """Reference pixels per frame pixel, along the middle row."""
    middle = (size.height - 1) / 2
    left, right = frame_map.to_frame(np.array([(-0.5, middle), (size.width - 0.5, middle)]))
    return size.width / float(np.linalg.norm(right - left))


def _compared(view: View, seen: View, start: FrameMap) -> tuple[Grey, Grey, NDArray[np.bool_]]:
    """The reference's view, the frame's laid upon it by the start, and where that knows it."""
    height, width = view.pixels.shape[:2]
    grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).reshape(-1, 2)
    places = seen.from_photograph(start.to_frame(view.to_photograph(grid.astype(np.float64))))
    x, y = places.astype(np.float32).T.reshape(2, height, width)
    found = cv2.remap(_grey(seen.pixels), x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE)
    far_x, far_y = seen.pixels.shape[1] - 1 - BORDER, seen.pixels.shape[0] - 1 - BORDER
    inside = (x >= BORDER) & (y >= BORDER) & (x <= far_x) & (y <= far_y)
    return _grey(view.pixels), np.asarray(found, np.float32), inside


def _grey(pixels: NDArray[np.float32]) -> Grey:
    grey: Grey = pixels.mean(axis=2) / np.float32(255)
    return grey


def _ecc(wanted: Grey, found: Grey, inside: NDArray[np.bool_]) -> Affine | None:
    def better(level: Level, warp: Affine) -> Affine | None:
        first = warp.astype(np.float32)
        try:
            _, best = cv2.findTransformECC(*level[:2], first, cv2.MOTION_AFFINE, ECC_STEPS, level[2], ECC_BLUR)
        except cv2.error:  # the pictures have nothing in common
            return None
        return np.asarray(best, np.float64)

    return _downwards(_pyramid(wanted, found, inside, ECC_HALVINGS), better)


def _gauss_newton(wanted: Grey, found: Grey, inside: NDArray[np.bool_]) -> Affine | None:
    halvings = max(math.floor(math.log2(math.sqrt(wanted.size)) - 3) - 1, 0)

    def better(level: Level, warp: Affine) -> Affine | None:
        for _ in range(3 + halvings // 2):
            step = _step(*level, warp)
            if step is None:
                return None
            warp = warp @ np.vstack((step, (0, 0, 1)))
        return warp

    return _downwards(_pyramid(wanted, found, inside, halvings), better)


def _downwards(levels: list[Level], better: Callable[[Level, Affine], Affine | None]) -> Affine | None:
    """A warp from the whole reference to the frame, made better on every level of a pyramid, the smallest first."""
    warp: Affine | None = np.eye(2, 3)
    for level in levels:
        if warp is not None:
            warp = better(level, warp * (1, 1, 2))
    return warp


def _step(wanted: Grey, found: Grey, inside: NDArray[np.uint8], warp: Affine) -> Affine | None:
    """One Gauss-Newton step on top of a warp: x y of `wanted` -> x y at which the warped picture fits better."""
    moved, kept = _moved(found, inside, warp)
    kept[[0, -1]] = kept[:, [0, -1]] = False
    spread = moved[kept].std() if kept.any() else 0
    if spread == 0:
        return None
    gain = wanted[kept].std() / spread
    adjusted = gain * moved + (wanted[kept].mean() - gain * moved[kept].mean())
    residual = (wanted - adjusted)[kept].astype(np.float64)
    right, down = np.zeros_like(adjusted), np.zeros_like(adjusted)
    right[:, 1:-1] = (adjusted[:, 2:] - adjusted[:, :-2]) / 2
    down[1:-1] = (adjusted[2:] - adjusted[:-2]) / 2
    y, x = np.nonzero(kept)
    middle_y, middle_x = (np.array(wanted.shape) - 1) / 2
    places = np.stack((x - middle_x, y - middle_y, np.ones(len(x))))
    slopes = np.concatenate((right[kept] * places, down[kept] * places))
    weighted = slopes / (np.abs(residual) + SOFT)
    normal = weighted @ slopes.T
    normal[np.diag_indices(6)] *= 1 + DAMPING
    try:
        change = np.linalg.solve(normal, weighted @ residual).reshape(2, 3)
    except np.linalg.LinAlgError:
        return None
    change[:, 2] -= change[:, :2] @ (middle_x, middle_y)
    return np.eye(2, 3) + change


def _pyramid(wanted: Grey, found: Grey, inside: NDArray[np.bool_], halvings: int) -> list[Level]:
    """From the smallest to the whole pictures, at most that many halvings. Pixel i of one lies at 2 i of the next."""
    levels: list[Level] = [(wanted, found, inside.astype(np.uint8))]
    while len(levels) <= halvings and min(levels[-1][0].shape) >= 2 * SMALLEST:
        small, other = (np.asarray(cv2.pyrDown(picture), np.float32) for picture in levels[-1][:2])
        levels.append((small, other, levels[-1][2][::2, ::2].copy()))
    return levels[::-1]


def _moved(found: Grey, inside: NDArray[np.uint8], warp: Affine) -> tuple[Grey, NDArray[np.bool_]]:
    """The picture at the places to which the warp sends every pixel, and where these are inside.

    Not by OpenCV's bicubic: with its kernel (a = -0.75) a slope lies up to 0.05 pixels from its place.
    """
    size = (found.shape[1], found.shape[0])
    moved = cv2.warpAffine(found, warp, size, flags=cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP)
    kept = cv2.warpAffine(inside, warp, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return np.asarray(moved, np.float32), np.asarray(kept, np.bool_)


def _corrected(start: FrameMap, correction: Affine, view: View, size: Size) -> FrameMap:
    """The start after the correction, which acts on the view, as an affine step between its distortions."""
    points = _lattice(size)
    moved = view.to_photograph(view.from_photograph(points) @ correction[:, :2].T + correction[:, 2])
    before, after = (start.reference.undistorted(places) for places in (points, moved))
    step, *_ = np.linalg.lstsq(np.c_[before, np.ones(len(before))], after, rcond=None)
    first, second, third = (np.array(start.matrix) @ np.vstack((step.T, (0, 0, 1)))).tolist()
    return start.model_copy(update={"matrix": (tuple(first), tuple(second), tuple(third))})


def _lattice(size: Size) -> Points:
    x, y = np.linspace(0, size.width - 1, LATTICE.width), np.linspace(0, size.height - 1, LATTICE.height)
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
