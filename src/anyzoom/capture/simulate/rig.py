"""A whole rig that does not exist: board, belt, ring, lens and camera, and a clock on which nobody waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.capture.check import Rules
from anyzoom.capture.motor import GrblMotor
from anyzoom.capture.plan import Pace
from anyzoom.capture.record import Alone, Operator, Rig
from anyzoom.capture.rig import Ends
from anyzoom.capture.simulate.camera import SimulatedCamera
from anyzoom.capture.simulate.clock import VirtualClock
from anyzoom.capture.simulate.controller import SimulatedController
from anyzoom.capture.simulate.lens import Drive
from anyzoom.capture.simulate.live import LiveCamera, LiveFault
from anyzoom.capture.simulate.scenes import dead_leaves
from anyzoom.errors import CannotRead
from anyzoom.grid import Size
from anyzoom.image import read_image

SWITCH = 82.0  # where on the ring: the board counts from there, downwards
BACKLASH = 0.4  # of the belt
START = 30.0  # of the ring
BOARD = {1: 255.0, 5: 0.0, 20: 1.0, 22: 1.0, 130: 90.0}
# In manual mode, under constant light.
CAMERA = SimulatedCamera(exposure=(0.985, 1.015), white_balance=(0.995, 1.005), offset=(-1.0, 1.0))
ENDS = Ends(-SWITCH, CAMERA.lens.travel - SWITCH)
RULES = Rules(backlash=0.5)
PACE = Pace(speed=10.0, shot_s=0.5, shot_bytes=600_000)
SETTINGS = {"iso": "100", "aperture": "f/8"}
DRAWN = Size(2600, 3900)  # of a scene where no picture is given


class Bench(NamedTuple):
    """A motor that turns a ring."""

    motor: GrblMotor
    ring: Callable[[], float]  # where that is
    clock: VirtualClock


@contextmanager
def simulated_bench() -> Iterator[Bench]:
    """A board with a switch, and a belt with play."""
    clock, drive = VirtualClock(), Drive(CAMERA.lens.travel, BACKLASH)
    with SimulatedController(clock, settings=BOARD, ring=START, switch=SWITCH) as board:

        def pulled() -> float:
            return drive.move(board.position)

        clock.watch(pulled)
        motor = GrblMotor(board.port, clock=clock)
        motor.ends = ENDS
        try:
            yield Bench(motor, pulled, clock)
        finally:
            motor.close()
            clock.unwatch(pulled)


@contextmanager
def simulated_rig(
    picture: Path | None = None,
    faults: Mapping[int, LiveFault] | None = None,
    seed: int = 0,
    operator: Operator | None = None,
) -> Iterator[Rig]:
    """Motor, camera and clock, as real ones would be opened. Raises CannotRead."""
    scene = dead_leaves(DRAWN, seed) if picture is None else _eight_bits(picture)
    with simulated_bench() as (motor, ring, clock):
        camera = LiveCamera(scene, ring, CAMERA, clock=clock, faults=faults, seed=seed)
        yield Rig(motor, camera, clock, SETTINGS, operator or Alone())


def _eight_bits(path: Path) -> NDArray[np.uint8]:
    pixels = read_image(path).pixels
    if pixels.dtype != np.uint8:
        raise CannotRead(f"{path} is {pixels.dtype}; a simulated camera looks at pictures of 8 bits.")
    colours = pixels[..., :3] if pixels.shape[2] > 2 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(colours)
