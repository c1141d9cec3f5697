"""Where the ring stops during a run, from the wide to the long end.

Steps are equal along the ring, as COZ's rig takes them (Fu et al., CVPR 2024, section 3.1), or, with a calibrated lens,
equal in the logarithm of the magnification, or just the scales that are wanted (Li et al., ECCV 2024).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator

from anyzoom.calibrate.lens import LensProfile
from anyzoom.capture.rig import Ends
from anyzoom.errors import CalibrationError, CaptureError

Spacing = Literal["ring", "magnification", "scales"]


class Stop(BaseModel):
    """One photograph of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    position: float  # of the motor
    scale: float | None = Field(default=None, ge=1)  # of the long end against this, where the lens is calibrated


class Plan(BaseModel):
    """A run's photographs in their order: the ring turns one way, and the last one is the reference."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    spacing: Spacing
    stops: tuple[Stop, ...] = Field(min_length=2)
    again: bool = True  # the first photograph of all is one more of the last stop: it tells what moved meanwhile

    @model_validator(mode="after")
    def _one_way(self) -> Plan:
        steps = [b.position - a.position for a, b in pairwise(self.stops)]
        if not (all(step > 0 for step in steps) or all(step < 0 for step in steps)):
            raise ValueError("the stops of a run should go one way along the ring.")
        return self

    @property
    def direction(self) -> int:
        """The sign in which positions change."""
        return 1 if self.stops[-1].position > self.stops[0].position else -1

    @property
    def shots(self) -> int:
        return len(self.stops) + self.again

    def grows(self, stop: int) -> float | None:
        """How many times larger a photograph shows everything than the one before it; None: nobody knows yet."""
        before, here = self.stops[stop - 1].scale, self.stops[stop].scale
        return before / here if stop and before and here else None


def plan_run(
    ends: Ends,
    frames: int = 60,
    *,
    spacing: Spacing = "ring",
    scales: Sequence[float] = (),
    lens: LensProfile | None = None,
    again: bool = True,
) -> Plan:
    """A plan within the motor's ends; `frames` photographs, or one at each of the scales and one at the long end.

    Raises CaptureError for fewer than two frames, for a spacing that needs a calibrated lens where there is none, and
    for ends or scales outside of what was calibrated.
    """
    if spacing == "scales":
        wanted = sorted({*scales, 1.0}, reverse=True)
        if len(wanted) < 2 or wanted[-1] < 1:
            raise CaptureError("a run by scales needs some above 1, such as 4,3,2: how far the long end magnifies.")
    elif frames < 2:
        raise CaptureError(f"a run of {frames} frames has nothing to compare. Ask for 2 or more; COZ took 60.")
    if spacing == "ring":
        positions = np.linspace(ends.wide, ends.tele, frames).tolist()
        positions[-1] = ends.tele
        return Plan(spacing=spacing, stops=tuple(_stop(one, lens) for one in positions), again=again)
    if lens is None:
        raise CaptureError(f"stops by {spacing} need a calibrated lens: --lens lens.json, from anyzoom calibrate.")
    if spacing == "magnification":
        largest, smallest = (_scale(end, lens) for end in ends)
        wanted = np.geomspace(largest, smallest, frames).tolist()
    try:
        positions = [lens.ring(max(scale, 1.0)) for scale in wanted]
    except CalibrationError as error:
        raise CaptureError(str(error)) from error
    low, high = sorted(ends)
    slack = 1e-6 * (high - low)  # of bisection
    inside = [min(max(one, low), high) if low - slack <= one <= high + slack else one for one in positions]
    for scale, position in zip(wanted, inside, strict=True):
        if not low <= position <= high:
            raise CaptureError(
                f"scale {scale:g} lies at position {position:g}, outside of the motor's ends, {low:g} to {high:g}."
            )
    return Plan(spacing=spacing, stops=tuple(_stop(one, lens) for one in inside), again=again)


def _stop(position: float, lens: LensProfile | None) -> Stop:
    return Stop(position=position, scale=_scale(position, lens) if lens else None)


def _scale(position: float, lens: LensProfile) -> float:
    try:
        return max(1.0, lens.scale(position))
    except CalibrationError as error:
        raise CaptureError(f"position {position:g} of the motor: {error}") from error


class Pace(BaseModel):
    """What a photograph costs, for an estimate."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    speed: float = Field(default=5.0, gt=0)  # of the motor, its units per second
    settle_s: NonNegativeFloat = 1.0
    shot_s: NonNegativeFloat = 3.0  # exposure and download
    shot_bytes: int = Field(default=40_000_000, ge=0)  # a raw file and a JPEG of 24 megapixels


class Estimate(NamedTuple):
    seconds: float
    bytes: int

    @classmethod
    def of(cls, plan: Plan, pace: Pace, start: float, backlash: float = 0.0) -> Estimate:
        """From where the motor stands, there and back."""
        positions = [stop.position for stop in plan.stops]
        way = [start, positions[-1]] if plan.again else [start]
        way += [positions[0] - plan.direction * backlash, *positions]
        turned = sum(abs(b - a) for a, b in pairwise(way))
        seconds = turned / pace.speed + plan.shots * (pace.settle_s + pace.shot_s)
        return cls(seconds, math.ceil(plan.shots * pace.shot_bytes))
