"""The degradation of BSRGAN: two blurs, a downsampling and three kinds of noise in shuffled order, and a last JPEG.

Zhang, Liang, Van Gool, Timofte, "Designing a Practical Degradation Model for Deep Blind Image Super-Resolution",
ICCV 2021, section 3; written from the paper. Departures: docs/degrade.md.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat

from anyzoom.degrade import kernels, noise
from anyzoom.degrade.degradation import Degradation, Degraded
from anyzoom.degrade.dice import POSSIBLE, Chance, Dice, KernelSizes, NonNegativeRange, PositiveRange, Qualities
from anyzoom.degrade.jpeg import compressed
from anyzoom.degrade.resize import resized, shrink_factors, times
from anyzoom.grid import Size
from anyzoom.image.resample import resample

Picture = NDArray[np.float32]
Downsampling = Literal["nearest", "bilinear", "bicubic", "detour"]
Gaussian = Literal["correlated", "colour", "grey"]

SMOOTH = {"bilinear": 1.0, "bicubic": 1.0}


def between(scale: float, x2: tuple[float, float], x4: tuple[float, float]) -> tuple[float, float]:
    """A range at any scale from the paper's at 2 and 4: linear between them, beyond them the nearer one."""
    share = min(max((scale - 2) / 2, 0), 1)
    return x2[0] + share * (x4[0] - x2[0]), x2[1] + share * (x4[1] - x2[1])


class Bsrgan(Degradation):
    """The defaults are the paper's."""

    early_shrink_chance: Chance = 0.25  # to twice the LR size, before all else, where that is a shrink
    kernel_sizes: KernelSizes = (7, 21)  # of both blurs, in pixels
    isotropic_sigma_x2: PositiveRange = (0.1, 2.4)  # pixels
    isotropic_sigma_x4: PositiveRange = (0.1, 2.8)
    anisotropic_variance_x2: PositiveRange = (0.5, 6.0)  # of either axis, pixels^2
    anisotropic_variance_x4: PositiveRange = (0.5, 8.0)
    downsampling: Annotated[dict[Downsampling, NonNegativeFloat], POSSIBLE] = Field(
        default={"nearest": 1, "bilinear": 1, "bicubic": 1, "detour": 1}
    )
    nearest_size: KernelSizes = (21, 21)  # of the blur before "nearest"
    nearest_sigma: PositiveRange = (0.1, 0.6)  # from [0] pixels to [1] times the scale
    detour: float = Field(default=0.5, gt=0, le=1)  # the smallest size between, in sides of LR
    gaussian: Annotated[dict[Gaussian, NonNegativeFloat], POSSIBLE] = Field(
        default={"correlated": 0.2, "colour": 0.4, "grey": 0.4}
    )
    gaussian_sigma: NonNegativeRange = (1.0, 25.0)  # of 255
    jpeg_chance: Chance = 0.75  # besides the last, which is certain
    jpeg_quality: Qualities = (30, 95)
    sensor_chance: Chance = 0.25
    sensor_electrons: PositiveRange = (80.0, 10_000.0)  # of white, on a logarithmic scale
    sensor_read: NonNegativeRange = (0.7, 1.4)  # electrons
    sensor_red: PositiveRange = (1.9, 2.4)  # white balance
    sensor_blue: PositiveRange = (1.5, 1.9)

    def shrink(self, hr: NDArray[np.float32], size: Size, rng: np.random.Generator) -> Degraded:
        dice = Dice(rng)
        image = hr
        if min(shrink_factors(Size(*hr.shape[:2]), size)) > 2 and dice.happens(
            "early shrink", self.early_shrink_chance
        ):
            image = resized(image, times(size, 2, 2), dice.choice("early shrink kernel", SMOOTH))
        scale = math.sqrt(math.prod(shrink_factors(Size(*image.shape[:2]), size)))
        steps = {
            "isotropic": lambda image: self._isotropic(image, scale, dice),
            "anisotropic": lambda image: self._anisotropic(image, scale, dice),
            "downsampling": lambda image: self._downsampling(image, size, dice),
            "gaussian": lambda image: self._gaussian(image, dice),
            "jpeg": lambda image: self._jpeg(image, dice),
            "sensor": lambda image: self._sensor(image, dice),
        }
        for step in dice.order("order", list(steps)):
            image = steps[step](image)
        return Degraded(compressed(image, dice.integer("last quality", self.jpeg_quality)), dice.draws)

    def _isotropic(self, image: Picture, scale: float, dice: Dice) -> Picture:
        side = dice.integer("isotropic size", self.kernel_sizes, step=2)
        sigma = dice.uniform("isotropic sigma", between(scale, self.isotropic_sigma_x2, self.isotropic_sigma_x4))
        return kernels.blurred(image, kernels.gaussian(side, (sigma, sigma)))

    def _anisotropic(self, image: Picture, scale: float, dice: Dice) -> Picture:
        side = dice.integer("anisotropic size", self.kernel_sizes, step=2)
        angle = dice.uniform("anisotropic angle", (0, math.pi))
        variances = between(scale, self.anisotropic_variance_x2, self.anisotropic_variance_x4)
        sigmas = (
            math.sqrt(dice.uniform("anisotropic variance 1", variances)),
            math.sqrt(dice.uniform("anisotropic variance 2", variances)),
        )
        return kernels.blurred(image, kernels.gaussian(side, sigmas, angle))

    def _downsampling(self, image: Picture, size: Size, dice: Dice) -> Picture:
        way = dice.choice("downsampling", self.downsampling)
        factors = shrink_factors(Size(*image.shape[:2]), size)
        if way == "nearest":
            smallest, largest = self.nearest_sigma
            share = dice.uniform("nearest sigma", (0, 1))  # of the way from the smallest to the largest
            vertical, horizontal = (
                smallest + share * (max(largest * factor, smallest) - smallest) for factor in factors
            )
            side = dice.integer("nearest size", self.nearest_size, step=2)
            image = kernels.blurred(image, kernels.gaussian(side, (vertical, horizontal)))
            return resample(image, size=size, kernel="bilinear", antialias=False)  # exactly at the LR pixel centres
        if way == "detour":
            # From `detour` to 1 times the factor of either axis: HR is the largest size between.
            share = dice.uniform("detour", (0, 1))
            middle = times(size, *(self.detour + share * (factor - self.detour) for factor in factors))
            image = resized(image, middle, dice.choice("detour kernel", SMOOTH))
            return resized(image, size, dice.choice("detour last kernel", SMOOTH))
        return resized(image, size, way)

    def _gaussian(self, image: Picture, dice: Dice) -> Picture:
        kind = dice.choice("gaussian", self.gaussian)
        sigma = dice.uniform("gaussian sigma", self.gaussian_sigma) / 255
        if kind == "correlated":
            return noise.correlated(image, sigma, dice.rng)
        return noise.gaussian(image, sigma, dice.rng, grey=kind == "grey")

    def _jpeg(self, image: Picture, dice: Dice) -> Picture:
        if not dice.happens("jpeg", self.jpeg_chance):
            return image
        return compressed(image, dice.integer("quality", self.jpeg_quality))

    def _sensor(self, image: Picture, dice: Dice) -> Picture:
        if not dice.happens("sensor", self.sensor_chance):
            return image
        electrons = dice.log_uniform("sensor electrons", self.sensor_electrons)
        read = dice.uniform("sensor read", self.sensor_read)
        gains = dice.uniform("sensor red", self.sensor_red), dice.uniform("sensor blue", self.sensor_blue)
        return noise.sensor(image, electrons, read, gains, dice.rng)
