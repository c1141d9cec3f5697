"""The literature's LR: MATLAB's antialiased bicubic, rounded to 8 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anyzoom.degrade.degradation import Degradation, Degraded
from anyzoom.degrade.jpeg import to_bytes
from anyzoom.degrade.resize import resized, shrink_factors
from anyzoom.grid import Size


class Bicubic(Degradation):
    """Nothing to configure, nothing random."""

    def shrink(self, hr: NDArray[np.float32], size: Size, rng: np.random.Generator) -> Degraded:
        shrink_factors(Size(*hr.shape[:2]), size)
        return Degraded(to_bytes(resized(hr, size, "bicubic")).astype(np.float32) / np.float32(255), {})
