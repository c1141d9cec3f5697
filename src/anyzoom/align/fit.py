"""Where the frames of a scene lie, from matched points: all frames fitted together.

A zoom lens bends straight lines by more than any plane model forgives, but near the reference's focal length one
pair cannot tell the distortion of both frames apart. So one fit takes the whole scene: one k1 of the reference, and
for every frame a similarity (a camera on a tripod can do no more) and a k1. The k1 lie on a smooth curve over the
logarithm of the focal length. Losses are soft-L1. Solved by Gauss-Newton steps on reweighted normal equations with
the analytic Jacobian. Single k1 stay uncertain; the maps do not.

Inside, places are offsets from the picture's centre in half diagonals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.geometry import FrameMap, Lens, Matrix, Points
from anyzoom.grid import Size

Values = NDArray[np.float64]

NOISE_PX = 0.3  # of a matched point
TURN_PX = 0.5  # where the loss turns from square to linear
FRAME_K1, REFERENCE_K1 = 0.05, 0.01  # standard deviations around none
BEND = 0.045  # of k1's second derivative over log focal length, for one unit of it
NEAREST = 0.01  # step of log focal length; nearer frames count as this far apart
STEPS = 50
ENOUGH_PX = 1e-6  # a smaller step ends the fit


class Sight(NamedTuple):
    """What the reference and one frame both show."""

    reference: Points  # n xy, pixels
    frame: Points  # n xy, pixels
    ratio: float  # rough magnification from the frame to the reference
    k1: float | None = None  # of the frame, where calibration knows it
    pixel: float = 1.0  # frame pixels per pixel of the picture in which the points were found: their noise's unit


def fitted(
    sights: Sequence[Sight], size: Size, reference_k1: float | None = None, homography: bool = False
) -> list[FrameMap]:
    """The map of every frame, all of one size. A k1 that is given stays.

    With `homography` a frame leaves the similarity where the Bayesian information criterion says that it must.
    """
    radius = math.hypot(*size) / 2
    centre = ((size.width - 1) / 2, (size.height - 1) / 2)
    pairs = [_Pair((s.reference - centre) / radius, (s.frame - centre) / radius, s.pixel / radius) for s in sights]
    # a b, x y and k1 of every frame, then the reference's k1
    given = np.array([(math.nan, math.nan, math.nan, math.nan, math.nan if s.k1 is None else s.k1) for s in sights])
    fixed = np.append(given, math.nan if reference_k1 is None else reference_k1)
    start = np.append([(1 / s.ratio, 0, 0, 0, 0) for s in sights], 0.0)
    free = np.isnan(fixed)
    values = _solved(pairs, np.where(free, start, fixed), free, _prior([s.ratio for s in sights]), ENOUGH_PX / radius)

    maps = []
    reference = Lens(centre, float(values[-1]), radius)
    for pair, (a, b, x, y, k1) in zip(pairs, values[:-1].reshape(-1, 5), strict=True):
        plane = np.array([(a, -b, x), (b, a, y), (0, 0, 1)])
        lens = Lens(centre, float(k1), radius)
        if homography:
            plane = _freed(plane, pair, (reference.k1, lens.k1), ENOUGH_PX / radius)
        maps.append(FrameMap(reference=reference, frame=lens, matrix=_in_pixels(plane, centre, radius)))
    return maps


class _Pair(NamedTuple):
    points: Points  # n xy, of the reference
    places: Points  # n xy, of the frame
    pixel: float


def _solved(pairs: Sequence[_Pair], start: Values, free: NDArray[np.bool_], prior: Values, enough: float) -> Values:
    values = start.copy()
    for step in range(STEPS):
        normal, slope = prior.T @ prior, prior.T @ (prior @ values)
        for i, pair in enumerate(pairs):
            part = np.append(np.arange(5 * i, 5 * i + 5), len(values) - 1)
            seen, change = _similar(values[part], pair.points)
            hessian, gradient, _ = _weighed((seen - pair.places) / pair.pixel, change / pair.pixel, square=step == 0)
            normal[np.ix_(part, part)] += hessian
            slope[part] += gradient
        move = np.linalg.solve(normal[np.ix_(free, free)], slope[free])
        values[free] -= move
        if np.abs(move).max() < enough:
            break
    return values


def _weighed(missed: Points, change: Values, square: bool = False) -> tuple[Values, Values, float]:
    """Normal matrix, gradient and loss of what is missed, `n xy` in pixels, with the Jacobian `n xy p`."""
    far = np.sum((missed / TURN_PX) ** 2, axis=1)
    weights = (np.ones_like(far) if square else 1 / np.sqrt(1 + far)) / NOISE_PX**2
    loss = 2 * np.sum(np.sqrt(1 + far) - 1) * (TURN_PX / NOISE_PX) ** 2
    hessian = np.einsum("nip,n,niq->pq", change, weights, change, optimize=True)
    return hessian, np.einsum("nip,n,ni->p", change, weights, missed, optimize=True), float(loss)


def _similar(values: Values, points: Points) -> tuple[Points, Values]:
    """Where a frame shows points of the reference, `n xy`, and the Jacobian `n xy 6`."""
    a, b, *shift, k1, reference_k1 = values
    straight, by_reference = _straight(points, reference_k1)
    turn = np.array([(a, -b), (b, a)])
    offset = straight @ turn.T + shift
    bent, bend = _bent(offset, k1)
    turned = np.stack((-straight[:, 1], straight[:, 0]), axis=1)
    unit = np.broadcast_to(np.eye(2), (len(points), 2, 2))
    by_plane = np.concatenate((straight[..., None], turned[..., None], unit), axis=2)
    by_k1 = offset * np.sum(offset**2, axis=1, keepdims=True)
    by_reference_k1 = bend @ (by_reference @ turn.T)[..., None]
    return bent, np.concatenate((bend @ by_plane, by_k1[..., None], by_reference_k1), axis=2)


def _straight(points: Points, k1: float) -> tuple[Points, Points]:
    """Points without the distortion, and how that changes with k1."""
    straight = Lens((0.0, 0.0), k1, 1.0).undistorted(points)
    squared = np.sum(straight**2, axis=1, keepdims=True)
    return straight, -straight * squared / (1 + 3 * k1 * squared)


def _bent(offset: Points, k1: float) -> tuple[Points, Values]:
    """Points with the distortion, and its Jacobian `n xy xy`."""
    growth = 1 + k1 * np.sum(offset**2, axis=1)[:, None, None]
    bend: Values = growth * np.eye(2) + 2 * k1 * offset[:, :, None] * offset[:, None, :]
    return offset * growth[..., 0], bend


def _prior(ratios: Sequence[float]) -> Values:
    """Rows whose products with the values are expected to be 0 with a deviation of 1."""
    count = 5 * len(ratios) + 1
    of_k1 = np.append(np.arange(4, count, 5), count - 1)
    rows = np.zeros((len(of_k1), count))
    rows[np.arange(len(of_k1)), of_k1] = 1 / np.append(np.full(len(ratios), FRAME_K1), REFERENCE_K1)

    zoom = -np.log(np.append(ratios, 1.0))
    order = np.argsort(zoom, kind="stable")
    steps = np.maximum(np.diff(zoom[order]), NEAREST)
    bends = np.zeros((max(len(steps) - 1, 0), count))
    for bend, left, right, (before, here, after) in zip(
        bends, steps, steps[1:], zip(order, order[1:], order[2:], strict=False), strict=False
    ):
        weight = 2 / (left + right) * math.sqrt((left + right) / 2) / BEND
        bend[of_k1[[before, here, after]]] = weight * np.array([1 / left, -1 / left - 1 / right, 1 / right])
    return np.concatenate((rows, bends))


def _freed(plane: Values, pair: _Pair, k1: tuple[float, float], enough: float) -> Values:
    """The homography between lenses, where it explains enough more than the similarity does."""
    straight = _straight(pair.points, k1[0])[0]
    found, losses = plane.copy(), []
    for _ in range(STEPS):
        moved = np.column_stack((straight, np.ones(len(straight)))) @ found.T
        offset = moved[:, :2] / moved[:, 2:]
        seen, bend = _bent(offset, k1[1])
        by_plane = np.zeros((len(straight), 2, 8))
        by_plane[:, 0, 0:2] = by_plane[:, 1, 3:5] = straight
        by_plane[:, 0, 2] = by_plane[:, 1, 5] = 1
        by_plane[:, :, 6:] = -offset[:, :, None] * straight[:, None, :]
        change = bend @ by_plane / moved[:, 2:, None]
        hessian, gradient, loss = _weighed((seen - pair.places) / pair.pixel, change / pair.pixel)
        losses.append(loss)
        move = np.linalg.solve(hessian, gradient)
        found.flat[:8] -= move
        if np.abs(move).max() < enough:
            break
    numbers = 2 * len(straight)
    gained = numbers * math.log(losses[0] / losses[-1])
    return found if gained > 4 * math.log(numbers) else plane


def _in_pixels(plane: Values, centre: tuple[float, float], radius: float) -> Matrix:
    to_pixels = np.array([(radius, 0, centre[0]), (0, radius, centre[1]), (0, 0, 1)])
    matrix = to_pixels @ plane @ np.linalg.inv(to_pixels)
    first, second, third = ((float(x), float(y), float(z)) for x, y, z in matrix / matrix[2, 2])
    return first, second, third
