"""What every way of making an LR photograph offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from anyzoom.grid import Size

Draws = dict[str, "str | int | float | bool | list[float]"]  # what was drawn, by name, in the order of its use; JSON


class Degraded(NamedTuple):
    """An LR photograph and how it came to be."""

    pixels: NDArray[np.float32]  # h w 3 in [0, 1], 8-bit representable
    draws: Draws


class Degradation(BaseModel, ABC):
    """A configured way from HR to LR. Its fields are its whole configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @abstractmethod
    def shrink(self, hr: NDArray[np.float32], size: Size, rng: np.random.Generator) -> Degraded:
        """HR `H W 3` in [0, 1], sRGB-coded, to an LR photograph of that size.

        Every random number comes from `rng`: the same generator state gives the same pixels and draws. Height
        and width may shrink by different factors, and may stay. Raises ScaleError when LR would be larger than HR.
        """
