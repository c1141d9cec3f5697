"""One suite for the simulated board and for a real one.

A real board's port is told by ANYZOOM_GRBL_PORT (its axis by ANYZOOM_GRBL_AXIS, X without it). It moves by at most 1 mm
around where it stands, or below where homing leaves it; without homing, see that there is room on both sides.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from anyzoom.capture.motor import GrblMotor, GrblSettings
from anyzoom.capture.rig import Ends
from anyzoom.capture.simulate.clock import VirtualClock
from anyzoom.capture.simulate.controller import SimulatedController
from anyzoom.errors import MotorError, Stopped

pytest.importorskip("serial")
REAL = "ANYZOOM_GRBL_PORT"


@pytest.fixture(params=["Grbl", "grblHAL", "real"])
def motor(request: pytest.FixtureRequest) -> Iterator[GrblMotor]:
    settings = GrblSettings(feed=60.0, axis=os.environ.get("ANYZOOM_GRBL_AXIS", "X"))
    if request.param != "real":
        clock = VirtualClock()
        with SimulatedController(clock, request.param) as controller:
            motor = GrblMotor(controller.port, GrblSettings(feed=60.0), clock)
            yield motor
            motor.close()
        return
    if REAL not in os.environ:
        pytest.skip(f"no real board: {REAL} names none")
    motor = GrblMotor(os.environ[REAL], settings)
    try:
        motor.where()
    except MotorError:
        if not motor.reference():
            motor.declare(0.0)
    yield motor
    motor.close()


def test_goes_there_and_back(motor: GrblMotor) -> None:
    start = motor.where()
    motor.ends = Ends(start - 1.0, start)  # homing leaves a board at the top of its travel
    for step in (-0.25, -1.0, -0.5, 0.0):
        motor.move(start + step)
        assert motor.where() == pytest.approx(start + step, abs=0.01)


def test_jogs(motor: GrblMotor) -> None:
    start = motor.where()
    motor.jog(-0.5)
    assert motor.where() == pytest.approx(start - 0.5, abs=0.01)
    motor.jog(0.5)
    assert motor.where() == pytest.approx(start, abs=0.01)


def test_refuses_what_lies_beyond(motor: GrblMotor) -> None:
    start = motor.where()
    motor.ends = Ends(start - 0.5, start)
    with pytest.raises(MotorError, match="outside of the lens's ends"):
        motor.move(start + 0.1)
    with pytest.raises(MotorError, match="outside of the lens's ends"):
        motor.jog(-0.6)
    assert motor.where() == pytest.approx(start, abs=0.002)


@pytest.mark.parametrize("how", ["move", "jog"])
def test_stops_on_its_way_and_goes_on(motor: GrblMotor, how: str) -> None:
    start = motor.where()
    motor.ends = Ends(start - 1.0, start)
    done = threading.Event()

    def press() -> None:
        while not done.is_set():
            motor.stop()
            time.sleep(0.001)

    presses = threading.Thread(target=press)
    presses.start()
    try:
        with pytest.raises(Stopped, match="was stopped at"):
            motor.move(start - 1.0) if how == "move" else motor.jog(-1.0)
    finally:
        done.set()
        presses.join()
    here = motor.where()
    assert start - 1.0 < here <= start
    motor.move(start)
    assert motor.where() == pytest.approx(start, abs=0.01)


def test_tells_what_it_is(motor: GrblMotor) -> None:
    assert "rbl" in motor.name
    assert all(one.endswith(".") for one in motor.warnings)
