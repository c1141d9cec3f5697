"""The learning rate as a function of the step alone, so that a run continues exactly; and what answers validation.

Steps (LIIF, Chen et al., CVPR 2021, halves every 200 epochs), cosine (Loshchilov and Hutter, SGDR, ICLR 2017,
equation 5, without restarts), one cycle (Smith and Topin, 2018, in the form and with the defaults of PyTorch's
OneCycleLR), and a trapezoid: warm-up, plateau, linear fall.

A schedule needs to know where a run ends. `Plateau` does not: it multiplies whatever the schedule says, and answers
to the validation figure; what it remembers is a record that a checkpoint carries.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

FROZEN = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class Constant(BaseModel):
    """The same rate from the first step to the last."""

    model_config = FROZEN

    kind: Literal["constant"] = "constant"

    def rate(self, step: int, steps: int, peak: float) -> float:
        """The learning rate of step 0 to steps - 1; never above `peak`."""
        return peak


class Milestones(BaseModel):
    """Multiplied by `factor` at each milestone."""

    model_config = FROZEN

    kind: Literal["milestones"] = "milestones"
    milestones: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)]  # steps, rising
    factor: float = Field(default=0.5, gt=0, lt=1)

    @field_validator("milestones")
    @classmethod
    def _rising(cls, milestones: tuple[int, ...]) -> tuple[int, ...]:
        if any(later <= earlier for earlier, later in pairwise(milestones)):
            raise ValueError("should be steps that rise")
        return milestones

    def rate(self, step: int, steps: int, peak: float) -> float:
        """The learning rate of step 0 to steps - 1: a milestone's own step is the first with the smaller rate."""
        return peak * self.factor ** sum(milestone <= step for milestone in self.milestones)


class Cosine(BaseModel):
    """A linear rise, then half a cosine down to the floor."""

    model_config = FROZEN

    kind: Literal["cosine"] = "cosine"
    warm_up: Count = 0  # steps
    floor: Share = 0.0  # share of the peak

    def rate(self, step: int, steps: int, peak: float) -> float:
        """The learning rate of step 0 to steps - 1; the floor would be reached at `steps`."""
        if step < self.warm_up:
            return peak * (step + 1) / self.warm_up
        return peak * _swing(1.0, self.floor, (step - self.warm_up) / (steps - self.warm_up))


class OneCycle(BaseModel):
    """Half a cosine up, half a cosine far down."""

    model_config = FROZEN

    kind: Literal["one-cycle"] = "one-cycle"
    rise: float = Field(default=0.3, gt=0, lt=1)  # share of the steps
    start: Share = 1 / 25  # share of the peak
    floor: Share = 1 / 25 / 10_000  # share of the peak, at the last step

    def rate(self, step: int, steps: int, peak: float) -> float:
        """The learning rate of step 0 to steps - 1."""
        top, last = self.rise * steps - 1, steps - 1  # top need not be a whole step
        if step < top:
            return peak * _swing(self.start, 1.0, step / top)
        return peak * _swing(1.0, self.floor, (step - top) / (last - top))


class Trapezoid(BaseModel):
    """A linear rise, a plateau, a linear fall to zero: a run can be prolonged from any state before the fall."""

    model_config = FROZEN

    kind: Literal["trapezoid"] = "trapezoid"
    warm_up: Count = 200  # steps
    cool_down: Share = 0.3  # share of the steps

    def rate(self, step: int, steps: int, peak: float) -> float:
        """The learning rate of step 0 to steps - 1; zero would be reached at `steps`."""
        rise = (step + 1) / max(self.warm_up, 1)
        fall = (steps - step) / max(steps * self.cool_down, 1)
        return peak * min(1.0, rise, fall)


Schedule = Annotated[Constant | Milestones | Cosine | OneCycle | Trapezoid, Field(discriminator="kind")]


def _swing(start: float, end: float, share: float) -> float:
    """Half a cosine from `start` (share 0) to `end` (share 1)."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


class PlateauState(BaseModel):
    """What has been seen of the validation figure."""

    model_config = FROZEN

    best: float | None = None  # the figure that is to be beaten
    bad: Count = 0  # validations in a row that did not beat it
    rate_factor: float = Field(default=1.0, gt=0, le=1)  # by which the schedule's rate is multiplied
    phase: Count = 0  # reductions so far; a recipe may change the augmentation with it


class Plateau(BaseModel):
    """Reduce the rate when the validation figure no longer rises."""

    model_config = FROZEN

    factor: float = Field(default=0.5, gt=0, lt=1)
    patience: int = Field(default=5, ge=1)  # validations
    threshold: float = Field(default=0.0, ge=0)  # in the figure's unit, for example dB; a rise must be larger
    floor: float = Field(default=1e-3, gt=0, le=1)  # the smallest rate_factor

    def after(self, state: PlateauState, value: float) -> PlateauState:
        """The state after one more validation, where larger is better; a value that is not finite is no rise."""
        if math.isfinite(value) and (state.best is None or value > state.best + self.threshold):
            return state.model_copy(update={"best": value, "bad": 0})
        bad = state.bad + 1
        if bad < self.patience or state.rate_factor <= self.floor:
            return state.model_copy(update={"bad": bad})
        reduced = max(state.rate_factor * self.factor, self.floor)
        return state.model_copy(update={"bad": 0, "rate_factor": reduced, "phase": state.phase + 1})
