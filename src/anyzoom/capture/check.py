"""What is wrong with a photograph, told while the camera still stands there.

A photograph is looked at at a small size: is it whole, exposed, as sharp as the one before, and does it show everything
larger than that, by as much as the plan says? The last is measured by SIFT keypoints and one similarity (RANSAC), to
some 1e-4; where a scene has too little texture for that, by the focal lengths in EXIF, which are coarse.
"""

from __future__ import annotations

import math
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat

from anyzoom.errors import AnyzoomError, MissingExtra
from anyzoom.grid import Size
from anyzoom.image import read_image
from anyzoom.image.exif import taken

PIXELS = 1_000_000  # at which a photograph is looked at
KEYPOINTS = 2000
CONTRAST = 0.01
RATIO = 0.8  # nearest to second nearest descriptor
TOLERANCE_PX = 2.0
FEWEST = 20  # matches that tell a similarity
FLAT = 1.5  # levels: less texture than this has no sharpness


class Rules(BaseModel):
    """What photographs must hold, and how they are taken."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    settle_s: NonNegativeFloat = 1.0  # from when the motor stands to the shot
    backlash: NonNegativeFloat = 0.0  # by how much the motor goes too far when it must turn back, its units
    retries: int = Field(default=2, ge=0, le=10)
    darkest: NonNegativeFloat = 4.0  # mean level of 255
    white: float = Field(default=0.5, gt=0, le=1)  # share of pixels at white, at most
    brighter: float = Field(default=2.0, gt=1)  # times the level of the frame before, at most; or darker
    sharpness: float = Field(default=0.4, ge=0, lt=1)  # of the frame before, at least
    growth: tuple[float, float] = (0.3, 3.0)  # of what the plan expects, less one
    same_scale: float = Field(default=0.002, gt=0)  # when a run goes on: relative
    same_shift: float = Field(default=0.01, gt=0)  # likewise, of the width


class Similarity(NamedTuple):
    """Between two photographs of one size."""

    scale: float  # how many times larger the second shows everything
    shift: float  # of the middle, as a share of the width


class Look:
    """A photograph at a small size."""

    def __init__(self, path: Path) -> None:
        """Read it to its end. Raises CannotRead."""
        photo = read_image(path)
        self.size: Size = photo.size
        self.focal_mm = taken(photo.metadata.exif).focal_mm
        most = {np.uint8: 1.0, np.uint16: 255 / 65535}.get(photo.pixels.dtype.type, 255.0)
        step = max(1, math.isqrt(photo.size.pixels // PIXELS))
        self.factor = step
        colours = photo.pixels[..., :3] if photo.pixels.shape[2] > 2 else photo.pixels[..., :1]
        rows, columns = (side - side % step for side in photo.size)
        parts = colours[:rows, :columns].reshape(rows // step, step, columns // step, step, -1)
        grey = parts.mean(axis=(1, 3, 4), dtype=np.float32) * np.float32(most)
        self.grey: NDArray[np.uint8] = np.rint(grey.clip(0, 255)).astype(np.uint8)

    @property
    def level(self) -> float:
        """Mean, 0 to 255."""
        return float(self.grey.mean())

    @property
    def white(self) -> float:
        """The share of pixels at white."""
        return float(np.mean(self.grey >= 253))

    @cached_property
    def fineness(self) -> float:
        """Fine texture as a share of coarse: defocus lowers it, brightness and magnification hardly. 0: none."""
        cv2 = opencv()
        grey = self.grey.astype(np.float32)
        fine, middle, coarse = (cv2.blur(grey, (side, side)) for side in (3, 7, 31))
        texture = float(np.std(middle - coarse))
        return float(np.std(fine - middle)) / texture if texture >= FLAT else 0.0

    @cached_property
    def features(self) -> tuple[Any, Any]:
        """Keypoints and descriptors."""
        sift = opencv().SIFT.create(KEYPOINTS, contrastThreshold=CONTRAST, enable_precise_upscale=True)
        return sift.detectAndCompute(self.grey, None)  # type: ignore[no-any-return]


def opencv() -> Any:
    """OpenCV. Raises MissingExtra."""
    try:
        import cv2
    except ImportError as error:
        raise MissingExtra("checking photographs", "capture") from error
    return cv2


def similarity(before: Look, now: Look) -> Similarity | None:
    """How a photograph shows what another one does; None where that cannot be told."""
    cv2 = opencv()
    (points, descriptors), (others, other_descriptors) = before.features, now.features
    if descriptors is None or other_descriptors is None or min(len(points), len(others)) < FEWEST:
        return None
    pairs = cv2.BFMatcher().knnMatch(descriptors, other_descriptors, k=2)
    good = [a for a, b in pairs if a.distance < RATIO * b.distance]
    if len(good) < FEWEST:
        return None
    source = np.array([points[match.queryIdx].pt for match in good])
    target = np.array([others[match.trainIdx].pt for match in good])
    matrix, inside = cv2.estimateAffinePartial2D(
        source, target, method=cv2.RANSAC, ransacReprojThreshold=TOLERANCE_PX, maxIters=5000, confidence=0.999
    )
    if matrix is None or int(inside.sum()) < FEWEST:
        return None
    height, width = before.grey.shape
    middle = np.array([(width - 1) / 2, (height - 1) / 2, 1.0])
    moved = matrix @ middle - middle[:2]
    return Similarity(float(np.hypot(matrix[0, 0], matrix[1, 0])), float(np.hypot(*moved)) / width)


def grown(before: Look, now: Look) -> float | None:
    """How many times larger a photograph shows everything than the one before; None where nothing tells."""
    found = similarity(before, now)
    if found:
        return found.scale
    return now.focal_mm / before.focal_mm if now.focal_mm and before.focal_mm else None


def looked_at(path: Path) -> Look | str:
    """A photograph, or what is wrong with its file."""
    try:
        return Look(path)
    except AnyzoomError as error:
        return f"does not decode: {error}"


def fault(now: Look, before: Look | None, growth: float | None, rules: Rules) -> str | None:
    """What is wrong with a photograph by itself, or else beside the one before it, than which it is so much larger."""
    if now.level < rules.darkest:
        return f"black: mean level {now.level:.1f} of 255"
    if now.white > rules.white:
        return f"over-exposed: {100 * now.white:.0f} % of it is white"
    return change(now, before, growth or 1.0, rules) if before else None


def change(now: Look, before: Look, growth: float, rules: Rules) -> str | None:
    """What should not have changed between two photographs. Magnified texture is less fine, by the square at most."""
    if now.size != before.size:
        return f"is {now.size}, the one before {before.size}"
    if not 1 / rules.brighter <= now.level / before.level <= rules.brighter:
        return f"mean level {now.level:.0f}, the one before {before.level:.0f}: exposure or light has changed"
    if now.fineness < rules.sharpness * before.fineness / max(growth, 1.0) ** 2:
        return f"blurred: {100 * now.fineness / before.fineness:.0f} % of the fine texture of the one before"
    return None


def stalled(growth: float | None, expected: float | None, rules: Rules) -> str | None:
    """Whether the ring has not followed, by how much larger than before everything is shown, and should be."""
    if growth is None:
        return None
    if expected is None:
        return None if growth > 1 else f"the ring has not moved: magnified x{growth:.4f} since the frame before"
    least, most = (1 + share * (expected - 1) for share in rules.growth)
    if not least <= growth <= most:
        what = "has not followed" if growth < least else "has slipped"
        return f"the ring {what}: magnified x{growth:.4f} since the frame before, x{expected:.4f} was expected"
    return None
