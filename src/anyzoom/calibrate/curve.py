"""A monotone curve through few points: the log magnification of a lens over the position of its zoom ring.

A piecewise cubic Hermite polynomial (PCHIP; Fritsch and Carlson, Monotone Piecewise Cubic Interpolation, SIAM J. Numer.
Anal. 1980). Its slopes are those of the cubic spline, which is more accurate between few shots than slopes from three
neighbours, limited to three times the smaller neighbouring secant (Hyman 1983) so that the curve stays monotone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anyzoom.errors import CalibrationError, MissingExtra

BISECTIONS = 60


class Curve:
    """Values over positions, both strictly monotone; at least four points.

    Raises CalibrationError for a value outside of the curve, MissingExtra.
    """

    def __init__(self, positions: Sequence[float], values: Sequence[float]) -> None:
        try:
            from scipy.interpolate import CubicHermiteSpline, CubicSpline
        except ImportError as error:
            raise MissingExtra("calibrating", "calibrate") from error
        order = np.argsort(positions)
        self.positions: NDArray[np.float64] = np.asarray(positions, np.float64)[order]
        self.values: NDArray[np.float64] = np.asarray(values, np.float64)[order]
        secants = np.diff(self.values) / np.diff(self.positions)
        assert np.all(secants > 0) or np.all(secants < 0), "the points are not monotone"
        steepest = 3 * np.minimum(np.abs(np.append(secants[0], secants)), np.abs(np.append(secants, secants[-1])))
        slopes = np.sign(secants[0]) * CubicSpline(self.positions, self.values)(self.positions, 1)
        self._polynomial: Any = CubicHermiteSpline(
            self.positions, self.values, np.sign(secants[0]) * np.clip(slopes, 0, steepest)
        )

    def at(self, position: float) -> float:
        return float(self._polynomial(position))

    def slope(self, position: float) -> float:
        return float(self._polynomial(position, 1))

    def position(self, value: float) -> float:
        """Where the curve has that value, by bisection."""
        low, high = self.positions[0], self.positions[-1]
        rising = self.values[-1] > self.values[0]
        if not min(self.values) <= value <= max(self.values):
            raise CalibrationError(
                f"{value:g} lies outside of the curve, {min(self.values):g} to {max(self.values):g}."
            )
        for end in (0, -1):
            if value == self.values[end]:
                return float(self.positions[end])
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            if (self.at(middle) < value) == rising:
                low = middle
            else:
                high = middle
        return float((low + high) / 2)

    def left_out(self) -> NDArray[np.float64]:
        """How far each point lies from the curve through the others, absolute; the ends as their neighbours."""
        count = len(self.positions)
        errors = np.zeros(count)
        for i in range(1, count - 1):
            others = np.arange(count) != i
            errors[i] = abs(Curve(self.positions[others], self.values[others]).at(self.positions[i]) - self.values[i])
        errors[0], errors[-1] = errors[1], errors[-2]
        return errors
