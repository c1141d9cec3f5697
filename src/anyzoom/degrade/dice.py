"""Random choices that are written down as they are made, and the types in which their ranges are configured."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat

from anyzoom.degrade.degradation import Draws

Number = TypeVar("Number", int, float)
Name = TypeVar("Name", bound=str)


def _rising(ends: tuple[Number, Number]) -> tuple[Number, Number]:
    if ends[0] > ends[1]:
        raise ValueError("should be the smallest and the largest value, in that order")
    return ends


def _odd(ends: tuple[int, int]) -> tuple[int, int]:
    if not all(side % 2 for side in ends):
        raise ValueError("should be odd: a kernel needs a centre")
    return ends


def _possible(weights: dict[str, float]) -> dict[str, float]:
    if not sum(weights.values()) > 0:
        raise ValueError("should leave at least one choice a weight above 0")
    return weights


Chance = Annotated[float, Field(ge=0, le=1)]
Range = Annotated[tuple[float, float], AfterValidator(_rising)]  # uniform between these
NonNegativeRange = Annotated[tuple[NonNegativeFloat, NonNegativeFloat], AfterValidator(_rising)]
PositiveRange = Annotated[tuple[PositiveFloat, PositiveFloat], AfterValidator(_rising)]
Side = Annotated[int, Field(ge=1)]
KernelSizes = Annotated[tuple[Side, Side], AfterValidator(_rising), AfterValidator(_odd)]
Quality = Annotated[int, Field(ge=1, le=100)]
Qualities = Annotated[tuple[Quality, Quality], AfterValidator(_rising)]
POSSIBLE = AfterValidator(_possible)  # of a table from choices to weights


class Dice:
    """A generator whose draws are kept by name, in order. A name is drawn once."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.draws: Draws = {}

    def _keep(self, name: str, value: str | float | bool) -> None:
        assert name not in self.draws, name
        self.draws[name] = value

    def uniform(self, name: str, ends: tuple[float, float]) -> float:
        value = float(self.rng.uniform(*ends))
        self._keep(name, value)
        return value

    def log_uniform(self, name: str, ends: tuple[float, float]) -> float:
        """As many draws from 0.1 to 1 as from 1 to 10."""
        value = math.exp(self.rng.uniform(math.log(ends[0]), math.log(ends[1])))
        self._keep(name, value)
        return value

    def integer(self, name: str, ends: tuple[int, int], step: int = 1) -> int:
        """One of ends[0], ends[0] + step, ... up to ends[1]."""
        value = ends[0] + step * int(self.rng.integers((ends[1] - ends[0]) // step + 1))
        self._keep(name, value)
        return value

    def happens(self, name: str, chance: float) -> bool:
        value = bool(self.rng.random() < chance)
        self._keep(name, value)
        return value

    def choice(self, name: str, weights: Mapping[Name, float]) -> Name:
        """One of the keys, in proportion to their weights."""
        shares = np.array(list(weights.values())) / sum(weights.values())
        value = list(weights)[int(self.rng.choice(len(shares), p=shares))]
        self._keep(name, value)
        return value

    def order(self, name: str, steps: Sequence[str]) -> list[str]:
        """The steps shuffled; kept as one text with spaces."""
        shuffled = [steps[i] for i in self.rng.permutation(len(steps))]
        self._keep(name, " ".join(shuffled))
        return shuffled
