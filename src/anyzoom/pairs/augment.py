"""Colour augmentation of a training crop: contrast, brightness, and noise on LR.

Contrast and brightness are one linear change of the sRGB-coded values, the same for LR and for the truth, so that the
pair still fits (but for what is clipped at black and white). Noise is added to LR alone: it is to be removed.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

Chance = Annotated[float, Field(ge=0, le=1)]
Range = tuple[float, float]  # uniform between these


class Augmentation(BaseModel):
    """How likely each change is, and how large. By default nothing is changed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    contrast_chance: Chance = 0.0
    contrast: Range = (0.8, 1.2)  # factor of the distance from LR's mean
    brightness_chance: Chance = 0.0
    brightness: Range = (-0.1, 0.1)  # added to values in [0, 1]
    noise_chance: Chance = 0.0
    noise: Range = (0.0, 0.02)  # standard deviation of Gaussian noise, for values in [0, 1]

    @field_validator("contrast", "brightness", "noise")
    @classmethod
    def _rising(cls, ends: Range) -> Range:
        if ends[0] > ends[1]:
            raise ValueError("should be the smallest and the largest value")
        return ends

    @field_validator("contrast", "noise")
    @classmethod
    def _not_negative(cls, ends: Range) -> Range:
        if ends[0] < 0:
            raise ValueError("should not be below 0")
        return ends


def augment(
    lr: NDArray[np.float32], colours: NDArray[np.float32], augmentation: Augmentation, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """LR `h w 3` and the truth `... 3` of the same crop, in [0, 1], changed as drawn from `rng`.

    LR stays 8-bit representable, as photographs are; the truth is not rounded.
    """
    change, lighten, disturb = rng.random(3) < (
        augmentation.contrast_chance,
        augmentation.brightness_chance,
        augmentation.noise_chance,
    )
    contrast = rng.uniform(*augmentation.contrast) if change else 1.0
    brightness = rng.uniform(*augmentation.brightness) if lighten else 0.0
    offset = np.float32((1 - contrast) * lr.mean(dtype=np.float64) + brightness)
    changed = lr * np.float32(contrast) + offset
    if disturb:
        deviation = np.float32(rng.uniform(*augmentation.noise))
        changed += deviation * rng.standard_normal(lr.shape, dtype=np.float32)
    rounded = np.rint(changed.clip(0, 1) * 255) / np.float32(255)
    return rounded, (colours * np.float32(contrast) + offset).clip(0, 1)
