"""A small camera before the target: a sheet seen through a zoom lens that magnifies and distorts as it is told."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anyzoom.calibrate.target import MODULES, Target, design, rasterised
from anyzoom.capture.simulate.lens import SimulatedLens
from anyzoom.geometry import Lens
from anyzoom.grid import Size

SIZE = Size(640, 960)
MODULE_PX = 12  # of the sheet
SAMPLES = 2  # along each side of a pixel
BLUR_PX = 0.6
NOISE = 2.0  # levels
TELE_MM = 100.0  # what fills the frame at the longest focal length
FOCAL_LENGTH = 37386

Pixels: TypeAlias = NDArray[np.uint8]

cv2.setNumThreads(1)


class TargetCamera:
    """Before the middle of a sheet, turned a little and not quite square to it."""

    def __init__(self, sheet: Pixels, px_per_mm: float, size: Size = SIZE) -> None:
        self.sheet, self.px_per_mm, self.size = sheet, px_per_mm, size

    def __call__(
        self, px_per_mm: float, k1: float = 0.0, *, seed: int = 0, shift: tuple[float, float] = (3, -2)
    ) -> Pixels:
        """A photograph `h w 3` that shows a mm at its centre as that many pixels."""
        rng = np.random.default_rng(seed)
        height, width = self.size.height * SAMPLES, self.size.width * SAMPLES
        steps = (np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1) + 0.5) / SAMPLES - 0.5
        centre = ((self.size.width - 1) / 2, (self.size.height - 1) / 2)
        flat = Lens(centre, k1, float(np.hypot(*self.size) / 2)).undistorted(steps.reshape(-1, 2)) - centre
        angle = np.deg2rad(0.4)
        turned = flat @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        mm = turned / px_per_mm
        mm /= 1 + mm @ np.array([[2e-5], [-3e-5]])  # tilted about the centre: there a mm stays a mm
        middle = (np.array(self.sheet.shape[1::-1]) - 1) / 2
        places = (mm * self.px_per_mm + middle + shift).astype(np.float32).reshape(height, width, 2)
        white = (255, 255, 255)
        seen = cv2.remap(
            self.sheet,
            places[..., 0],
            places[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=white,
        ).astype(np.float32)
        blurred = cv2.GaussianBlur(seen, (0, 0), BLUR_PX * SAMPLES)
        gathered = cv2.resize(blurred, (self.size.width, self.size.height), interpolation=cv2.INTER_AREA)
        noisy = 20 + gathered * 0.8 + rng.normal(0, NOISE, gathered.shape)
        pixels: Pixels = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        return pixels


LENS = SimulatedLens()
TARGET = design([2, 3, 4], smallest_mm=TELE_MM)


@cache
def before_the_target() -> TargetCamera:
    sheet, _ = rasterised(TARGET, MODULE_PX)
    return TargetCamera(sheet, MODULE_PX * MODULES / TARGET.square_mm)


def px_per_mm(ring: float) -> float:
    """The truth: at the longest focal length the smallest rectangle fills the frame."""
    return SIZE.width / TELE_MM * LENS.magnification(ring) * LENS.wide_mm / LENS.tele_mm


def taken(path: Path, ring: float, *, seed: int = 0) -> Path:
    """Write a photograph of the target, the zoom ring at that position."""
    pixels = before_the_target()(px_per_mm(ring), LENS.k1(ring), seed=seed or round(ring * 1000))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[FOCAL_LENGTH] = LENS.wide_mm * LENS.magnification(ring)
    Image.fromarray(pixels).save(path, quality=95, exif=exif)
    return path


@pytest.fixture(scope="session")
def target() -> Target:
    return TARGET


@pytest.fixture(scope="session")
def camera() -> TargetCamera:
    return before_the_target()
