"""The monotone curve: exact where it must be, and close to a wavy truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anyzoom.calibrate.curve import Curve
from anyzoom.capture.simulate.lens import SimulatedLens
from anyzoom.errors import CalibrationError


def test_it_goes_through_its_points_and_back() -> None:
    curve = Curve([3, 0, 1, 2], [6, 0, 1, 2.5])
    for position, value in ((0, 0), (1, 1), (2, 2.5), (3, 6)):
        assert curve.at(position) == pytest.approx(value)
        assert curve.position(value) == pytest.approx(position, abs=1e-9)
    for position in np.linspace(0, 3, 31):
        assert curve.position(curve.at(position)) == pytest.approx(position, abs=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_it_stays_monotone_beside_a_cliff(sign: int) -> None:
    curve = Curve(range(7), [sign * value for value in (0, 0.001, 0.002, 5, 5.001, 5.002, 5.003)])
    values = [sign * curve.at(position) for position in np.linspace(0, 6, 601)]
    assert np.all(np.diff(values) > 0)
    assert sign * curve.slope(1.5) > 0
    assert curve.position(sign * 2.5) == pytest.approx(2.5, abs=0.2)


@pytest.mark.parametrize(("shots", "limit"), [(9, 2e-3), (13, 4e-4), (25, 2e-5)])
def test_few_shots_tell_a_wavy_ring(shots: int, limit: float) -> None:
    lens = SimulatedLens()
    rings = np.linspace(0, lens.travel, shots)
    curve = Curve(rings.tolist(), [math.log(lens.magnification(ring)) for ring in rings])
    errors = [abs(curve.at(ring) - math.log(lens.magnification(ring))) for ring in np.linspace(0, lens.travel, 201)]
    assert max(errors) < limit
    assert max(curve.left_out()) > max(errors)  # what is told is not too little


def test_left_out_points_of_a_line_cost_nothing() -> None:
    curve = Curve(range(6), [2.0 * position for position in range(6)])
    assert curve.left_out() == pytest.approx(np.zeros(6), abs=1e-12)
    assert (curve.position(0), curve.position(10)) == (0, 5)
    bent = Curve(range(9), [0, 1, 2, 3, 4.5, 5, 6, 7, 8])
    assert bent.left_out()[4] == max(bent.left_out()) > 0.3
    assert bent.left_out()[0] == bent.left_out()[1]


def test_beyond_its_values_it_has_no_position() -> None:
    with pytest.raises(CalibrationError, match=r"5 lies outside of the curve, 0 to 3"):
        Curve(range(4), range(4)).position(5)
