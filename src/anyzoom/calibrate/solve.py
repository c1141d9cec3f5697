"""From shots over the travel of the zoom ring to the positions of the wanted scales, and their verification.

COZ (Fu et al., CVPR 2024) drives a lens through its travel, RealArbiSR (Li et al., ECCV 2024) to a few scales: here a
monotone curve through measured magnifications (`curve.py`) is inverted, and corrected by shots at what it said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean, median

import numpy as np

from anyzoom.calibrate.lens import LensProfile, Shot, Try, Wanted
from anyzoom.errors import CalibrationError
from anyzoom.grid import Size

FEWEST_SHOTS = 5
LEFT_OUT_SHARE = 0.5  # of what leaving out the neighbouring shots costs; the true error is below a third in 95 of 100
FAR_OFF = 0.05  # a verification shows a wanted scale to within this


def solve(shots: Sequence[Shot], scales: Sequence[float], size: Size) -> LensProfile:
    """The lens that took these shots of one size, and where it has these scales.

    Scales beyond the shots are listed as unreachable. Raises CalibrationError for too few shots, repeated positions,
    magnifications that do not grow along the ring, or when nothing wanted is reachable.
    """
    curve = sorted((shot for shot in shots if shot.role == "curve"), key=lambda shot: shot.ring)
    if len(curve) < FEWEST_SHOTS:
        raise CalibrationError(
            f"{len(curve)} shots at different positions of the ring are too few. "
            f"Take {FEWEST_SHOTS} or more, better 13."
        )
    _check_positions(curve)
    _check_monotone(curve)
    profile = LensProfile(height=size.height, width=size.width, shots=tuple(shots), wanted=())
    reached = sorted({scale for scale in scales if profile.reaches(scale)})
    if not reached:
        raise CalibrationError(
            f"none of the wanted scales lies between 1 and {profile.reach:.3f}, what these shots reach. "
            f"Ask for others, or shoot a longer travel."
        )
    known = profile.model_copy(update={"backlash": _backlash(profile), "repeatability": _repeatability(profile)})
    return known.model_copy(
        update={
            "wanted": tuple(_solved(known, scale) for scale in reached),
            "unreachable": tuple(sorted(set(scales) - set(reached))),
        }
    )


def verify(profile: LensProfile, shots: Sequence[Shot]) -> LensProfile:
    """The profile, its positions judged and corrected by shots at them.

    A shot at the position of the longest focal length, if there is one, replaces that of the calibration as what scales
    count from: then neither a moved tripod nor another distance matters. Raises CalibrationError for a shot that shows
    none of the wanted scales.
    """
    longest = [shot for shot in shots if shot.ring == profile.longest.ring]
    top = math.exp(fmean(math.log(shot.px_per_mm) for shot in longest or [profile.longest]))
    tries: dict[float, list[Try]] = {wanted.scale: list(wanted.tries) for wanted in profile.wanted}
    for shot in shots:
        scale = top / shot.px_per_mm
        nearest = min(tries, key=lambda wanted: abs(math.log(wanted / scale)))
        if abs(scale / nearest - 1) <= FAR_OFF:
            tries[nearest].append(Try(file=shot.file, ring=shot.ring, scale=scale))
        elif shot not in longest:
            raise CalibrationError(
                f"{shot.file} at position {shot.ring:g} shows x{scale:.3f}, which is none of the wanted scales. "
                f"Shoot at the solved positions: {', '.join(f'{wanted.ring:.4g}' for wanted in profile.wanted)}."
            )
    judged = (
        _judged(profile, wanted.model_copy(update={"tries": tuple(tries[wanted.scale])})) for wanted in profile.wanted
    )
    return profile.model_copy(update={"wanted": tuple(judged)})


def _check_positions(curve: Sequence[Shot]) -> None:
    for one, other in pairwise(curve):
        if one.ring == other.ring:
            raise CalibrationError(
                f"{one.file} and {other.file} have the same ring position {one.ring:g}. Give one of them the role "
                f"`return` (there once more) or `reverse` (from the other side), or leave it out."
            )


def _check_monotone(curve: Sequence[Shot]) -> None:
    direction = math.copysign(1, curve[-1].px_per_mm - curve[0].px_per_mm)
    top = max(shot.px_per_mm for shot in curve)
    wrong = [
        f"{other.file} at {other.ring:g} (x{top / other.px_per_mm:.4f}) after "
        f"{one.file} at {one.ring:g} (x{top / one.px_per_mm:.4f})"
        for one, other in pairwise(curve)
        if direction * (other.px_per_mm - one.px_per_mm) <= 0
    ]
    if wrong:
        raise CalibrationError(
            f"the magnification does not grow along the ring: {'; '.join(wrong)}. "
            "The ring slipped, a position is wrong, or the shots are too close. Take these again, or leave them out."
        )


def _backlash(profile: LensProfile) -> float | None:
    """How far from where the ring stands the curve has what reverse shots show: the median."""
    logs = profile.curve.values
    offsets = []
    for shot in profile.shots:
        if shot.role == "reverse":
            log = math.log(profile.longest.px_per_mm / shot.px_per_mm)
            offsets.append(shot.ring - profile.curve.position(min(max(log, logs.min()), logs.max())))
    return median(offsets) if offsets else None


def _repeatability(profile: LensProfile) -> float | None:
    """The standard deviation of the log magnification over returns to the same positions, pooled."""
    squares, freedom = 0.0, 0
    for ring in {shot.ring for shot in profile.shots if shot.role == "return"}:
        logs = [math.log(shot.px_per_mm) for shot in profile.shots if shot.ring == ring and shot.role != "reverse"]
        squares += float(np.sum((np.array(logs) - fmean(logs)) ** 2))
        freedom += len(logs) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _solved(profile: LensProfile, scale: float) -> Wanted:
    ring = profile.ring(scale)
    curve = profile.curve
    after = min(max(int(np.searchsorted(curve.positions, ring)), 1), len(curve.positions) - 1)
    noise = math.hypot(profile.longest.error, max(shot.error for shot in profile.shots), profile.repeatability or 0.0)
    return Wanted(
        scale=scale,
        ring=ring,
        error=math.hypot(LEFT_OUT_SHARE * max(curve.left_out()[after - 1 : after + 1]), noise),
        focal_mm=_focal_mm(profile, ring),
        k1=profile.k1(ring),
    )


def _focal_mm(profile: LensProfile, ring: float) -> float | None:
    """As EXIF would say, between the shots."""
    known = sorted((shot.ring, shot.focal_mm) for shot in profile.shots if shot.focal_mm and shot.role == "curve")
    if not known:
        return None
    rings, focals = zip(*known, strict=True)
    return float(np.interp(ring, rings, focals))


def _judged(profile: LensProfile, wanted: Wanted) -> Wanted:
    """By the nearest try: kept there when it is within the tolerance, else corrected by the secant method."""
    if not wanted.tries:
        return wanted
    best, *others = sorted(wanted.tries, key=lambda tried: abs(math.log(tried.scale / wanted.scale)))
    off = abs(best.scale / wanted.scale - 1)
    if off <= profile.tolerance:
        return wanted.model_copy(update={"ring": best.ring, "error": off, "verified": True})
    slope = profile.curve.slope(best.ring)
    if others and others[0].ring != best.ring:
        secant = math.log(others[0].scale / best.scale) / (others[0].ring - best.ring)
        if 0.5 < secant / slope < 2:  # else the two tries differ by noise
            slope = secant
    ends = profile.curve.positions[[0, -1]]
    ring = best.ring + math.log(wanted.scale / best.scale) / slope
    return wanted.model_copy(update={"ring": float(min(max(ring, ends[0]), ends[1])), "error": off, "verified": False})
