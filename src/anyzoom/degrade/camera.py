"""A consumer zoom camera: what it makes of a scene at a shorter focal length.

HR is what a perfect lens at the long end of the zoom sees. In this order: code to linear light; exposure and white
balance; the lens and the area of the pixels (`lens.py`); colour filters, shot and read noise (`sensor.py`); the tone
curve (`develop.py`); demosaicing, whose filters were fitted to coded pictures (in linear light they turn the edges of
strong colours into dots); sharpening; JPEG. Brooks et al. (Unprocessing Images for Learned Raw Denoising, CVPR 2019)
argue for such a walk back to light and forth again.

The tone curve that codes LR is also the one by which HR is decoded, as one camera would have made both: a flat colour
comes back as it was, up to the gains.

LR pixel (i, j) looks at exactly its cell of HR: every step is centred. Only lateral colour moves red and blue.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    ValidationError,
    model_validator,
)

from anyzoom.degrade.degradation import Degradation, Degraded, Draws
from anyzoom.degrade.develop import coded, decoded, sharpened
from anyzoom.degrade.dice import Chance, Range
from anyzoom.degrade.jpeg import compressed, to_bytes
from anyzoom.degrade.lens import Lens, photographed
from anyzoom.degrade.resize import shrink_factors, times
from anyzoom.degrade.sensor import demosaic, exposed, mosaic
from anyzoom.errors import RecipeError, ScaleError
from anyzoom.grid import Size

BLOCK = 16  # pixels: what JPEG codes together when its chroma is halved


def _positive(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] <= 0:
        raise ValueError("should be above 0")
    return ends


Positive = Annotated[Range, AfterValidator(_positive)]


class Shot(BaseModel):
    """Everything that was drawn for one photograph, in the order of its use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    focal_mm: float
    sensor: Size
    place: tuple[int, int]  # row and column of the sensor where the photograph's first pixel lies
    contrast: float
    gains: tuple[float, float, float]
    blur_px: tuple[float, float]  # at both ends of the zoom
    corner: float
    smear_px: float
    fringe_px: tuple[float, float]  # red, blue
    mosaic: bool
    iso: float
    read_electrons: float
    noise_seed: int
    sharpening: float
    jpeg: bool
    jpeg_quality: int
    half_chroma: bool


class Camera(Degradation):
    """Ranges are drawn from uniformly. Pixels are those of the sensor, which are those of LR."""

    wide_mm: PositiveFloat = 35.0
    tele_mm: PositiveFloat = 140.0
    sensor: Size = Size(4000, 6000)  # grows with an LR that is larger
    contrast: Range = (0.0, 0.25)  # of the tone curve: its slope in the middle is 1 + this times that of sRGB
    exposure: Positive = (0.97, 1.03)  # factor of the light
    white_balance: Positive = (0.99, 1.01)  # factor of each channel's light
    blur_wide_px: Positive = (0.45, 0.65)  # standard deviation of the lens' blur on the axis, at the short end
    blur_tele_px: Positive = (0.4, 0.6)  # and at the long end
    corner: Positive = (1.1, 1.5)  # how many times wider the blur is in the corner
    smear_px: Range = (-0.4, 0.4)  # standard deviation in the corner: positive points outwards, negative runs around
    fringe_px: Range = (-0.2, 0.2)  # how far red and blue lie outside of green in the corner
    mosaic_chance: Chance = 0.75  # otherwise all colours are measured, as if demosaicing had left no trace
    iso: Positive = (100.0, 800.0)  # drawn on a logarithmic scale
    full_well_electrons: PositiveFloat = 40_000.0  # white at ISO 100
    read_electrons: Positive = (1.5, 4.0)  # standard deviation
    sharpening: Range = (0.1, 0.6)  # amount of the unsharp mask
    jpeg_chance: Chance = 0.9
    jpeg_quality: tuple[int, int] = (85, 98)
    half_chroma_chance: Chance = 0.5  # of 4:2:0, otherwise 4:4:4
    walk: NonNegativeFloat = Field(default=0.01, lt=1)  # standard deviation of exposure's steps in a sequence

    @model_validator(mode="after")
    def _possible(self) -> Camera:
        if self.wide_mm >= self.tele_mm:
            raise ValueError("wide_mm should be below tele_mm")
        if not -1 < self.contrast[0] <= self.contrast[1] < 1:
            raise ValueError("contrast should lie between -1 and 1")
        if not 1 <= self.jpeg_quality[0] <= self.jpeg_quality[1] <= 100:
            raise ValueError("jpeg_quality should be the smallest and the largest, from 1 to 100")
        return self

    def shrink(self, hr: NDArray[np.float32], size: Size, rng: np.random.Generator) -> Degraded:
        """The photograph at the focal length that makes HR that small, at a random place of the sensor."""
        sensor = Size(max(self.sensor.height, size.height), max(self.sensor.width, size.width))
        place = (
            int(rng.integers(sensor.height - size.height + 1)),
            int(rng.integers(sensor.width - size.width + 1)),
        )
        shot = self._drawn(self.tele_mm * size.width / hr.shape[1], sensor, place, rng)
        return self.photograph(hr, size, shot.model_dump(mode="json"))

    def sequence(
        self, hr: NDArray[np.float32], magnifications: Sequence[float], rng: np.random.Generator
    ) -> list[Degraded]:
        """One scene through the zoom: frame i shows all of HR at round(side * m_i / largest m) pixels.

        The frame of the largest magnification has HR's size and fills the sensor; the others are its middle.
        Everything but the noise and the light is drawn once. Exposure and white balance walk from frame to frame.
        Raises ScaleError unless all magnifications are above 0.
        """
        if not magnifications or min(magnifications) <= 0:
            raise ScaleError(f"cannot photograph at magnifications {tuple(magnifications)}: all must be above 0.")
        full, largest = Size(*hr.shape[:2]), max(magnifications)
        scene = self._drawn(self.tele_mm, full, (0, 0), rng)
        frames, gains = [], np.array(scene.gains)
        for magnification in magnifications:
            share = magnification / largest
            size = times(full, share, share)
            gains *= np.exp(self.walk * (rng.standard_normal() + rng.standard_normal(3) / 3))
            shot = scene.model_copy(
                update={
                    "focal_mm": self._reached(self.wide_mm * magnification),
                    "place": ((full.height - size.height) // 2, (full.width - size.width) // 2),
                    "gains": tuple(gains.tolist()),
                    "noise_seed": int(rng.integers(2**32)),
                }
            )
            frames.append(self.photograph(hr, size, shot.model_dump(mode="json")))
        return frames

    def photograph(self, hr: NDArray[np.float32], size: Size, draws: Draws) -> Degraded:
        """`shrink` without chance: the same HR, size and draws give the same pixels.

        Raises RecipeError when these are not the draws of a camera, ScaleError when LR would be larger than HR.
        """
        shrink_factors(Size(*hr.shape[:2]), size)
        try:
            shot = Shot.model_validate(draws)
        except ValidationError as error:
            first = error.errors()[0]
            raise RecipeError(
                f"not the draws of a camera: {'.'.join(map(str, first['loc']))}: {first['msg']}. "
                f"Give what shrink or sequence returned."
            ) from error
        zoomed = math.log(shot.focal_mm / self.wide_mm) / math.log(self.tele_mm / self.wide_mm)
        blur_px = shot.blur_px[0] + zoomed * (shot.blur_px[1] - shot.blur_px[0])
        lens = Lens(blur_px, shot.corner, shot.smear_px, shot.fringe_px)
        light = decoded(np.ascontiguousarray(hr.transpose(2, 0, 1)), shot.contrast)
        light = photographed(light, size, lens, shot.sensor, shot.place)
        light *= np.array(shot.gains, np.float32)[:, None, None]  # commutes with the lens; here there is less of it
        white = self.full_well_electrons * 100 / shot.iso
        rng = np.random.default_rng(shot.noise_seed)
        if shot.mosaic:
            red = (shot.place[0] % 2, shot.place[1] % 2)
            raw = exposed(mosaic(light, red), white, shot.read_electrons, rng)
            code = demosaic(coded(raw, shot.contrast), red)
        else:
            code = coded(exposed(light, white, shot.read_electrons, rng), shot.contrast)
        image = sharpened(code, shot.sharpening).transpose(1, 2, 0)
        image = _from_jpeg(image, shot) if shot.jpeg else to_bytes(image).astype(np.float32) / np.float32(255)
        return Degraded(image, draws)

    def _reached(self, focal_mm: float) -> float:
        return min(max(focal_mm, self.wide_mm), self.tele_mm)

    def _drawn(self, focal_mm: float, sensor: Size, place: tuple[int, int], rng: np.random.Generator) -> Shot:
        contrast = rng.uniform(*self.contrast)
        gains = rng.uniform(*self.exposure) * rng.uniform(*self.white_balance, 3)
        return Shot(
            focal_mm=self._reached(focal_mm),
            sensor=sensor,
            place=place,
            contrast=contrast,
            gains=tuple(gains.tolist()),
            blur_px=(rng.uniform(*self.blur_wide_px), rng.uniform(*self.blur_tele_px)),
            corner=rng.uniform(*self.corner),
            smear_px=rng.uniform(*self.smear_px),
            fringe_px=tuple(rng.uniform(*self.fringe_px, 2).tolist()),
            mosaic=bool(rng.random() < self.mosaic_chance),
            iso=math.exp(rng.uniform(math.log(self.iso[0]), math.log(self.iso[1]))),
            read_electrons=rng.uniform(*self.read_electrons),
            noise_seed=int(rng.integers(2**32)),
            sharpening=rng.uniform(*self.sharpening),
            jpeg=bool(rng.random() < self.jpeg_chance),
            jpeg_quality=int(rng.integers(self.jpeg_quality[0], self.jpeg_quality[1] + 1)),
            half_chroma=bool(rng.random() < self.half_chroma_chance),
        )


def _from_jpeg(image: NDArray[np.float32], shot: Shot) -> NDArray[np.float32]:
    """Through JPEG, whose blocks begin at the corner of the sensor and not at that of the crop."""
    above, before = (place % BLOCK for place in shot.place)
    padded = np.pad(image, ((above, 0), (before, 0), (0, 0)), mode="symmetric")
    chroma = "4:2:0" if shot.half_chroma else "4:4:4"
    return compressed(padded, shot.jpeg_quality, chroma)[above:, before:]
