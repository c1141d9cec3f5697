"""How training crops are drawn: the part of a recipe that says what one example is."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from anyzoom.grid import Scale, Size, as_scale, size_for

Factor = Annotated[float, Field(ge=1)]


class Uniform(BaseModel):
    """Any factor between two, as LIIF and all that follow it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["uniform"] = "uniform"
    low: Factor = 1.0
    high: Factor = 4.0

    @model_validator(mode="after")
    def _ordered(self) -> Uniform:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}.")
        return self

    def drawn(self, rng: np.random.Generator) -> Scale:
        return as_scale(float(rng.uniform(self.low, self.high)))

    @property
    def extremes(self) -> tuple[Scale, Scale]:
        return as_scale(self.low), as_scale(self.high)


class Choice(BaseModel):
    """One of several factors, each a number or (vertical, horizontal); one alone is a fixed scale."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["choice"]
    of: tuple[Factor | tuple[Factor, Factor], ...] = Field(min_length=1)

    def drawn(self, rng: np.random.Generator) -> Scale:
        return as_scale(self.of[int(rng.integers(len(self.of)))])

    @property
    def extremes(self) -> tuple[Scale, Scale]:
        """The smallest and the largest factor of either axis."""
        pairs = [as_scale(scale) for scale in self.of]
        low, high = (Scale(*(f(pair[axis] for pair in pairs) for axis in (0, 1))) for f in (min, max))
        return low, high


class CropPlan(BaseModel):
    """Defaults are LIIF's scheme (Chen et al., CVPR 2021) with fewer points."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    patch: int = Field(default=48, ge=1)  # LR pixels
    queries: int = Field(default=256, ge=1)  # HR pixels asked for per crop, at random places
    window: int | None = Field(default=None, ge=1)  # instead of these: a square of so many HR pixels, side by side
    scales: Annotated[Uniform | Choice, Field(discriminator="kind")] = Uniform()  # of LR that is made
    one_scale: bool = False  # all crops of a batch have the same scale, if LR is made
    pairing: Literal["random", "highest"] = "random"  # HR of a photographed LR: any larger frame, or the largest
    drawn_by: Literal["area", "scene"] = "area"  # large pictures come more often, or all alike
    flips: bool = True  # all eight flips and transposes

    @model_validator(mode="after")
    def _answerable(self) -> CropPlan:
        least = size_for(Size(self.patch, self.patch), self.scales.extremes[0])
        if self.window is not None and self.window > min(least):
            raise ValueError(f"a window of {self.window} does not fit into the smallest crop, {least}.")
        if self.window is None and self.queries > least.pixels:
            raise ValueError(f"a crop of {least} cannot answer {self.queries} queries.")
        return self
