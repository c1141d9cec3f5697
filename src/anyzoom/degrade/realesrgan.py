"""The degradation of Real-ESRGAN: blur, resize, noise and JPEG twice, and a last resize, sinc filter and JPEG.

Wang, Xie, Dong, Shan, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data", ICCVW 2021,
section 3 and appendix; written from the paper. Departures: docs/degrade.md.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat

from anyzoom.degrade import kernels, noise
from anyzoom.degrade.degradation import Degradation, Degraded
from anyzoom.degrade.dice import POSSIBLE, Chance, Dice, KernelSizes, NonNegativeRange, PositiveRange, Qualities
from anyzoom.degrade.jpeg import compressed, to_bytes
from anyzoom.degrade.resize import resized, shrink_factors, times
from anyzoom.grid import Scale, Size

Picture = NDArray[np.float32]
Shape = Literal[
    "isotropic",
    "anisotropic",
    "generalized isotropic",
    "generalized anisotropic",
    "plateau isotropic",
    "plateau anisotropic",
    "sinc",
]
Direction = Literal["up", "down", "keep"]

RESIZES = {"area": 1.0, "bilinear": 1.0, "bicubic": 1.0}


class Order(BaseModel):
    """One of the two degradations in a row. The defaults are those of the first."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    blur_chance: Chance = 1.0
    sigma: PositiveRange = (0.2, 3.0)  # pixels
    resize: Annotated[dict[Direction, NonNegativeFloat], POSSIBLE] = Field(
        default={"up": 0.2, "down": 0.7, "keep": 0.1}
    )
    smallest: PositiveFloat = 0.6  # in sides of LR: at x4 the 0.15 of HR that the paper gives
    largest: float = Field(default=1.5, ge=1)  # in sides of what is kept: HR and, the second time, LR
    gaussian_chance: Chance = 0.5  # else Poisson
    gaussian_sigma: NonNegativeRange = (1.0, 30.0)  # of 255
    poisson_scale: NonNegativeRange = (0.05, 3.0)


class SecondOrder(Order):
    """The same with the defaults of the second."""

    blur_chance: Chance = 0.8
    sigma: PositiveRange = (0.2, 1.5)
    resize: Annotated[dict[Direction, NonNegativeFloat], POSSIBLE] = Field(
        default={"up": 0.3, "down": 0.4, "keep": 0.3}
    )
    smallest: PositiveFloat = 0.3
    largest: float = Field(default=1.2, ge=1)
    gaussian_sigma: NonNegativeRange = (1.0, 25.0)
    poisson_scale: NonNegativeRange = (0.05, 2.5)


class RealEsrgan(Degradation):
    """The defaults are the paper's."""

    kernel_sizes: KernelSizes = (7, 21)  # pixels
    kernel_shapes: Annotated[dict[Shape, NonNegativeFloat], POSSIBLE] = Field(
        default={
            "isotropic": 0.405,
            "anisotropic": 0.225,
            "generalized isotropic": 0.108,
            "generalized anisotropic": 0.027,
            "plateau isotropic": 0.108,
            "plateau anisotropic": 0.027,
            "sinc": 0.1,
        }
    )
    generalized_beta: PositiveRange = (0.5, 4.0)
    plateau_beta: PositiveRange = (1.0, 2.0)
    cutoff: PositiveRange = (math.pi / 3, math.pi)  # of sinc kernels, radians per pixel
    cutoff_large: PositiveRange = (math.pi / 5, math.pi)  # of those of 13 pixels and more, not of the last
    grey_chance: Chance = 0.4  # noise alike on all channels
    jpeg_quality: Qualities = (30, 95)
    first: Order = Order()
    second: SecondOrder = SecondOrder()
    last_sinc_chance: Chance = 0.8

    def shrink(self, hr: NDArray[np.float32], size: Size, rng: np.random.Generator) -> Degraded:
        dice = Dice(rng)
        factors = shrink_factors(Size(*hr.shape[:2]), size)
        image = self._degraded(hr, self.first, "first", size, factors, dice)
        image = compressed(image, dice.integer("first quality", self.jpeg_quality))
        image = self._degraded(image, self.second, "second", size, Scale(1, 1), dice)
        if dice.happens("last jpeg before sinc", 0.5):
            image = self._last_resize(self._last_jpeg(image, dice), size, dice)
        else:
            image = self._last_jpeg(self._last_resize(image, size, dice), dice)
        return Degraded(to_bytes(image).astype(np.float32) / np.float32(255), dice.draws)

    def _degraded(self, image: Picture, order: Order, name: str, lr: Size, kept: Scale, dice: Dice) -> Picture:
        """Blur, resize and noise. kept: the size that "keep" keeps, in sides of LR."""
        if dice.happens(f"{name} blur", order.blur_chance):
            image = kernels.blurred(image, self._kernel(name, order.sigma, dice))
        direction = dice.choice(f"{name} resize", order.resize)
        vertical, horizontal = kept
        if direction == "up":
            by = dice.uniform(f"{name} up", (1, order.largest))
            vertical, horizontal = vertical * by, horizontal * by
        elif direction == "down":
            way = dice.uniform(f"{name} down", (0, 1))  # from the smallest size to the one that is kept
            vertical, horizontal = (order.smallest + way * (factor - order.smallest) for factor in kept)
        image = resized(image, times(lr, vertical, horizontal), dice.choice(f"{name} resize kernel", RESIZES))
        grey = dice.happens(f"{name} grey", self.grey_chance)
        if dice.happens(f"{name} gaussian", order.gaussian_chance):
            sigma = dice.uniform(f"{name} gaussian sigma", order.gaussian_sigma) / 255
            return noise.gaussian(image, sigma, dice.rng, grey)
        return noise.poisson(image, dice.uniform(f"{name} poisson scale", order.poisson_scale), dice.rng, grey)

    def _kernel(self, name: str, sigma: tuple[float, float], dice: Dice) -> kernels.Kernel:
        shape = dice.choice(f"{name} kernel", self.kernel_shapes)
        side = dice.integer(f"{name} kernel size", self.kernel_sizes, step=2)
        if shape == "sinc":
            return kernels.sinc(side, dice.uniform(f"{name} cutoff", self.cutoff if side < 13 else self.cutoff_large))
        sigmas, angle = (dice.uniform(f"{name} sigma", sigma),) * 2, 0.0
        if shape.endswith("anisotropic"):
            sigmas = sigmas[0], dice.uniform(f"{name} sigma across", sigma)
            angle = dice.uniform(f"{name} angle", (0, math.pi))
        if shape.startswith("generalized"):
            return kernels.generalized(side, sigmas, angle, dice.uniform(f"{name} beta", self.generalized_beta))
        if shape.startswith("plateau"):
            return kernels.plateau(side, sigmas, angle, dice.uniform(f"{name} beta", self.plateau_beta))
        return kernels.gaussian(side, sigmas, angle)

    def _last_resize(self, image: Picture, size: Size, dice: Dice) -> Picture:
        image = resized(image, size, dice.choice("last resize kernel", RESIZES))
        if not dice.happens("last sinc", self.last_sinc_chance):
            return image
        side = dice.integer("last sinc size", self.kernel_sizes, step=2)
        return kernels.blurred(image, kernels.sinc(side, dice.uniform("last cutoff", self.cutoff)))

    def _last_jpeg(self, image: Picture, dice: Dice) -> Picture:
        return compressed(image, dice.integer("last quality", self.jpeg_quality))
