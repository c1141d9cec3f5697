"""The simulated zoom ring: monotone, wavy, invertible; and its belt."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from anyzoom.capture import Drive, SimulatedLens
from anyzoom.errors import ScaleError

LENS = SimulatedLens()


def test_magnification_goes_from_one_to_the_whole_zoom() -> None:
    assert LENS.magnification(0) == 1
    assert LENS.magnification(80) == pytest.approx(4)
    assert LENS.magnification(-3) == 1
    assert LENS.magnification(90) == pytest.approx(4)


@pytest.mark.parametrize("wave", [0.0, 0.15, 0.9])
def test_it_always_grows_faster_here_and_slower_there(wave: float) -> None:
    lens = SimulatedLens(wave=wave)
    logs = np.log([lens.magnification(ring) for ring in np.linspace(0, 80, 400)])
    steps = np.diff(logs) / np.diff(logs).mean()
    assert steps.min() > 0
    assert steps.max() == pytest.approx(1 + wave, abs=0.01)
    assert steps.min() == pytest.approx(1 - wave, abs=0.01)


def test_a_magnification_is_found_on_the_ring() -> None:
    for wanted in (1.0, 1.3, 2.0, 3.7, 4.0):
        assert LENS.magnification(LENS.ring_at(wanted)) == pytest.approx(wanted, rel=1e-12)
    with pytest.raises(ScaleError, match=r"no magnification 4\.5"):
        LENS.ring_at(4.5)


def test_distortion_goes_from_barrel_to_pincushion() -> None:
    k1 = [LENS.k1(ring) for ring in np.linspace(0, 80, 30)]
    assert k1[0] == -0.03
    assert k1[-1] == pytest.approx(0.004)
    assert np.all(np.diff(k1) > 0)


def test_a_lens_zooms() -> None:
    with pytest.raises(ValidationError, match="below tele_mm"):
        SimulatedLens(wide_mm=100, tele_mm=50)


def test_play_shows_only_where_the_motor_turns_back() -> None:
    drive = Drive(travel=80, backlash=2)
    assert [drive.move(to) for to in (0, 10, 20)] == [0, 10, 20]
    assert drive.move(19) == 20  # the play is taken up first
    assert drive.move(15) == 17
    assert drive.move(17) == 17
    assert drive.move(18) == 18
    assert drive.move(100) == 80
    assert drive.move(-10) == 0


def test_what_the_belt_loses_it_does_not_regain() -> None:
    drive = Drive(travel=80)
    drive.move(20)
    drive.slip(5)
    assert [drive.move(to) for to in (24, 25, 30)] == [19, 20, 25]
