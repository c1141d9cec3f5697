"""Taking zoom runs: so far by a lens and a camera that are simulated."""

from anyzoom.capture.simulate.camera import Fault, SimulatedCamera
from anyzoom.capture.simulate.lens import Drive, SimulatedLens
from anyzoom.capture.simulate.run import (
    FrameTruth,
    RunTruth,
    SimulatedFrame,
    SimulatedRun,
    simulate_run,
    write_run,
)
from anyzoom.capture.simulate.scenes import bare_wall, dead_leaves

__all__ = [
    "Drive",
    "Fault",
    "FrameTruth",
    "RunTruth",
    "SimulatedCamera",
    "SimulatedFrame",
    "SimulatedLens",
    "SimulatedRun",
    "bare_wall",
    "dead_leaves",
    "simulate_run",
    "write_run",
]
