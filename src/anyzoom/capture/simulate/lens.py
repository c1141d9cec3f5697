"""A zoom lens that does not exist, and the belt that turns its ring.

From end to end of the ring the logarithm of the magnification grows steadily but for a mild wave, as with real lenses
equal steps of the ring are not equal steps of magnification (Fu et al., CVPR 2024, section 3.1). Distortion goes from
barrel at the wide end to a little pincushion at the long end.
"""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, model_validator

from anyzoom.errors import ScaleError

HALF_WAVES = 3  # along the ring; a whole number leaves the ends where they are
BISECTIONS = 60


class SimulatedLens(BaseModel):
    """Ring positions go from 0, the wide end, to `travel`; beyond them the ring stands still."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    wide_mm: PositiveFloat = 35.0
    tele_mm: PositiveFloat = 140.0
    travel: PositiveFloat = 80.0  # degrees, or whatever the motor counts
    wave: Annotated[float, Field(ge=0, lt=1)] = 0.15  # how much faster or slower than on average the zoom may go
    k1_wide: float = -0.03  # radial distortion in the corner of the sensor
    k1_tele: float = 0.004

    @model_validator(mode="after")
    def _zooms(self) -> SimulatedLens:
        if self.wide_mm >= self.tele_mm:
            raise ValueError("wide_mm should be below tele_mm")
        return self

    def magnification(self, ring: float) -> float:
        """Against the wide end."""
        return math.exp(self.zoomed(ring) * math.log(self.tele_mm / self.wide_mm))

    def k1(self, ring: float) -> float:
        """Radial distortion as geometry.Lens has it, its radius half the sensor's diagonal."""
        zoomed = self.zoomed(ring)
        return self.k1_wide * math.pow(1 - zoomed, 1.5) + self.k1_tele * zoomed

    def zoomed(self, ring: float) -> float:
        """The share of the zoom, in logarithms, that lies behind: 0 at the wide end, 1 at the long end."""
        turned = min(max(ring / self.travel, 0.0), 1.0)
        waves = HALF_WAVES * math.pi
        return min(max(turned - self.wave * math.sin(waves * turned) / waves, 0.0), 1.0)

    def ring_at(self, magnification: float) -> float:
        """Where the lens magnifies so much against its wide end. Raises ScaleError where it never does."""
        most = self.tele_mm / self.wide_mm
        if not 1 <= magnification <= most:
            raise ScaleError(f"the lens has no magnification {magnification:g}. Ask for 1 to {most:g}.")
        low, high = 0.0, self.travel
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.magnification(middle) < magnification else (low, middle)
        return (low + high) / 2


class Drive:
    """A motor that turns the ring by a belt with play: driven from the wide to the long end, the ring is where the
    motor is; driven back, it first stays."""

    def __init__(self, travel: float, backlash: float = 0.0) -> None:
        self.ring = 0.0  # where the ring is
        self.travel, self.backlash = travel, backlash
        self._lost = 0.0

    def move(self, position: float) -> float:
        """Drive the motor to a position; where the ring is then."""
        pulled = position - self._lost
        self.ring = min(max(self.ring, pulled, 0.0), max(pulled + self.backlash, 0.0), self.travel)
        return self.ring

    def slip(self, lost: float) -> None:
        """The belt jumps: from now on the ring is that much behind the motor."""
        self._lost += lost
