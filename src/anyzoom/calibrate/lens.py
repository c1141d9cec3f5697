"""A calibrated lens, as `lens.json` keeps it: what its zoom ring does to scale and distortion.

`scale` is as everywhere: pixels of a photograph at the longest focal length per pixel of this one, so 1 at that end and
largest at the widest. Positions are in whatever unit the ring was read: degrees, mm of the belt, steps.
"""

from __future__ import annotations

import json
import math
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, ValidationError, model_validator

from anyzoom.calibrate.curve import Curve
from anyzoom.errors import CalibrationError, CannotRead
from anyzoom.geometry import Lens
from anyzoom.grid import Size
from anyzoom.image.part import refused_by_system

VERSION: Literal[1] = 1
TOLERANCE = 1e-3  # of a verified scale, relative
DISTORTION_DEGREE = 3  # of k1 over the log of the scale

Role = Literal["curve", "return", "reverse"]


class Shot(BaseModel):
    """What one photograph of the target tells."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: str
    ring: float  # the position
    role: Role = "curve"  # return: there once more; reverse: approached from the other side
    focal_mm: PositiveFloat | None = None  # as EXIF says
    px_per_mm: PositiveFloat  # at the image centre
    error: NonNegativeFloat  # of px_per_mm, relative, one standard deviation
    k1: float  # about the image centre, in units of half the diagonal
    k1_error: NonNegativeFloat
    corners: int
    rmse_px: NonNegativeFloat


class Try(BaseModel):
    """A verification: what was found where."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: str
    ring: float
    scale: PositiveFloat


class Wanted(BaseModel):
    """A scale and where to set the ring for it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    scale: float = Field(ge=1)
    ring: float
    error: NonNegativeFloat  # of the scale there, relative: expected from the curve, or found by the nearest try
    focal_mm: PositiveFloat | None = None
    k1: float
    tries: tuple[Try, ...] = ()
    verified: bool = False  # a try at `ring` came within the tolerance


class LensProfile(BaseModel):
    """A zoom lens, calibrated."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = VERSION
    height: int = Field(ge=1)  # of the photographs, upright
    width: int = Field(ge=1)
    shots: tuple[Shot, ...]
    backlash: float | None = None  # to add to a position that is approached from the other side; None: not measured
    repeatability: NonNegativeFloat | None = None  # one standard deviation of the scale, relative
    wanted: tuple[Wanted, ...]
    unreachable: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _grows(self) -> LensProfile:
        shots = sorted(self._curve_shots, key=lambda shot: shot.ring)
        steps = [(b.ring - a.ring, b.px_per_mm - a.px_per_mm) for a, b in pairwise(shots)]
        rising = {step[1] > 0 for step in steps}
        if len(shots) < 4 or not all(ring and change for ring, change in steps) or len(rising) != 1:
            raise ValueError("magnifications should grow along the ring over at least 4 shots")
        return self

    @property
    def size(self) -> Size:
        return Size(self.height, self.width)

    @property
    def tolerance(self) -> float:
        """Of a scale, relative: not less than the ring repeats."""
        return max(TOLERANCE, 2 * (self.repeatability or 0.0))

    @property
    def longest(self) -> Shot:
        """The shot at the longest focal length."""
        return max(self._curve_shots, key=lambda shot: shot.px_per_mm)

    @property
    def reach(self) -> float:
        """The largest scale."""
        return self.longest.px_per_mm / min(shot.px_per_mm for shot in self._curve_shots)

    def scale(self, ring: float) -> float:
        """At a position of the ring. Raises CalibrationError outside of the calibrated travel."""
        return math.exp(self.curve.at(self._within(ring)))

    def ring(self, scale: float) -> float:
        """The position of the ring for a scale; the end for one that the lens misses by less than the tolerance.

        Raises CalibrationError where it does not reach it.
        """
        if not self.reaches(scale):
            raise CalibrationError(
                f"scale {scale:g} is out of reach: this lens was calibrated from 1 to {self.reach:.3f}."
            )
        return self.curve.position(math.log(min(scale, self.reach)))

    def reaches(self, scale: float) -> bool:
        return 1 <= scale <= self.reach * (1 + TOLERANCE)

    def k1(self, ring: float) -> float:
        """Radial distortion at a position of the ring: a cubic near what the shots tell, weighted by their errors."""
        return float(np.polyval(self._distortion, math.log(self.scale(ring))))

    def distortion(self, ring: float) -> Lens:
        """The same for photographs of the size that was calibrated, about their centre."""
        return Lens(((self.width - 1) / 2, (self.height - 1) / 2), self.k1(ring), math.hypot(*self.size) / 2)

    @cached_property
    def curve(self) -> Curve:
        """The log of the scale over the position."""
        top = self.longest.px_per_mm
        shots = self._curve_shots
        return Curve([shot.ring for shot in shots], [math.log(top / shot.px_per_mm) for shot in shots])

    @property
    def _curve_shots(self) -> tuple[Shot, ...]:
        return tuple(shot for shot in self.shots if shot.role == "curve")

    @cached_property
    def _distortion(self) -> NDArray[np.float64]:
        shots = self._curve_shots
        logs = [math.log(self.longest.px_per_mm / shot.px_per_mm) for shot in shots]
        weights = [1 / max(shot.k1_error, 1e-4) for shot in shots]
        found: NDArray[np.float64] = np.polyfit(logs, [shot.k1 for shot in shots], DISTORTION_DEGREE, w=weights)
        return found

    def _within(self, ring: float) -> float:
        ends = self.curve.positions[[0, -1]]
        if not ends[0] <= ring <= ends[1]:
            raise CalibrationError(
                f"ring position {ring:g} lies outside of the calibrated travel, {ends[0]:g} to {ends[1]:g}."
            )
        return ring


def lens_schema() -> str:
    """The JSON Schema of lens.json, as docs/schemas/lens.json keeps it."""
    return json.dumps(LensProfile.model_json_schema(), indent=2) + "\n"


def write_lens(profile: LensProfile, path: Path) -> None:
    """Raises CannotWrite."""
    with refused_by_system(path):
        path.write_text(profile.model_dump_json(indent=2, exclude_none=True) + "\n", "utf-8")


def read_lens(path: Path) -> LensProfile:
    """Raises CannotRead, naming what is wrong."""
    try:
        return LensProfile.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CannotRead(f"cannot read the lens {path}: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("version",):
            raise CannotRead(
                f"{path}: the version is not {VERSION}, the one that this anyzoom reads. Update anyzoom."
            ) from error
        raise CannotRead(f"{path}: {'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}.") from error
