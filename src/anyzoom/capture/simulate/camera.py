"""A zoom camera on a tripod that does not exist, and what it makes of a scene.

The scene is a picture, as a perfect lens at the long end would see it. For every pixel of a frame the way of light is
followed back: off the frame's distortion, through magnification, roll and pointing, to the scene. In linear light the
scene is laid on a grid FINE times finer than the sensor's, which the lens blurs and the area of each pixel gathers
exactly (`degrade/lens.py`); then come vignetting, shot and read noise, colour filters if wanted (`degrade/sensor.py`),
the curve of sRGB, and JPEG or PNG.
"""

from __future__ import annotations

import math
from io import BytesIO
from typing import Annotated, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import IFDRational
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat
from torch.nn.functional import grid_sample, interpolate

from anyzoom.capture.simulate.lens import SimulatedLens
from anyzoom.degrade.dice import NonNegativeRange, PositiveRange, Range
from anyzoom.degrade.lens import REACH, photographed
from anyzoom.degrade.lens import Lens as Blur
from anyzoom.degrade.sensor import demosaic, exposed, mosaic
from anyzoom.geometry import Lens, Points, similarity
from anyzoom.grid import Size, Window
from anyzoom.image.colour import decode_srgb, encode_srgb

FINE = 3  # samples of the scene along a sensor pixel
TILE = 96  # sensor pixels rendered at once, along each side
CUBIC_REACH = 3  # samples, one more than bicubic takes on either side
HEADROOM = 4.0  # the sensor holds so many times the light of the scene's white: a gain below 1 makes no grey of white
FOCAL_LENGTH, EXIF_DIRECTORY, MAKE, MODEL = 37386, 0x8769, 271, 272  # EXIF tags

_LIGHT = decode_srgb((np.arange(256) / 255).astype(np.float32))


class SimulatedCamera(BaseModel):
    """Ranges are drawn from uniformly. Pixels are those of the sensor."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lens: SimulatedLens = SimulatedLens()
    size: Size = Size(600, 900)
    axis_px: Range = (-4.0, 4.0)  # x and y of the principal point, off the sensor's centre, at the wide end
    drift_px: Range = (-5.0, 5.0)  # and how much farther it lies at the long end
    pointing_px: NonNegativeFloat = 0.7  # standard deviation of x and y
    roll_deg: Range = (-0.3, 0.3)
    blur_px: PositiveRange = (0.4, 0.6)  # standard deviation on the axis
    corner: PositiveRange = (1.1, 1.5)  # how many times wider the blur is in the corner
    smear_px: Range = (-0.4, 0.4)  # standard deviation in the corner: positive points outwards, negative runs around
    fringe_px: Range = (0.0, 0.0)  # how far red and blue lie outside of green in the corner
    vignetting: NonNegativeRange = (0.0, 0.0)  # share of the light that is lost in the corner
    exposure: PositiveRange = (0.93, 1.07)  # gain of all colours together
    white_balance: PositiveRange = (0.98, 1.02)  # gain of each colour
    offset: Range = (-3.0, 3.0)  # levels of 255, of each colour
    white_electrons: PositiveFloat = 14_000.0
    read_electrons: PositiveFloat = 4.0  # standard deviation
    mosaic: bool = False  # one colour per pixel, interpolated
    jpeg_quality: Annotated[int, Field(ge=1, le=100)] | None = 95  # None: PNG
    chroma: str = "4:2:2"


class Fault(BaseModel):
    """What goes wrong at one frame; as it stands, nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    moved: Annotated[float, Field(ge=0, le=0.5)] = 0.0  # share of the reference's field where something has moved
    defocus_px: NonNegativeFloat = 0.0  # standard deviation on the axis, on top of the lens' own
    exposure_ev: float = 0.0
    black: bool = False  # the shutter stays closed
    slip: float = 0.0  # of the ring: what the belt loses before this frame, and does not regain


class Pose(NamedTuple):
    """How the camera looked at the scene at one frame."""

    motor: float
    ring: float
    ratio: float  # pixels of the long end per pixel of this frame
    roll: float  # radians
    lens: Lens
    pointing: tuple[float, float]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """From the scene, in pixels of the long end from its centre, to the undistorted frame."""
        x, y = (c + p for c, p in zip(self.lens.centre, self.pointing, strict=True))
        return np.array(similarity(1 / self.ratio, self.roll, (x, y)))

    def in_scene(self, points: Points) -> Points:
        """Frame points `n xy` -> the scene, in pixels of the long end from its centre."""
        back = np.linalg.inv(self.matrix)
        places: Points = self.lens.undistorted(points) @ back[:2, :2].T + back[:2, 2]
        return places


def gathered(picture: NDArray[np.uint8], per_px: float, pose: Pose, blur: Blur, size: Size) -> NDArray[np.float32]:
    """What the sensor's pixels gather of the scene, linear light `3 h w`, in tiles."""
    margin = math.ceil(REACH * blur.blur_px * max(blur.corner, 1) + 2 * abs(blur.smear_px) + 1)
    gathered = np.empty((3, *size), np.float32)
    for top in range(0, size.height, TILE):
        for left in range(0, size.width, TILE):
            tile = Window(top, left, min(top + TILE, size.height), min(left + TILE, size.width))
            around = Window(tile.top - margin, tile.left - margin, tile.bottom + margin, tile.right + margin)
            light = _laid(picture, per_px, pose, around)
            seen = photographed(light, around.size, blur, size, (around.top, around.left))
            gathered[:, *tile.slices] = seen[:, margin:-margin, margin:-margin]
    return gathered


def _laid(picture: NDArray[np.uint8], per_px: float, pose: Pose, window: Window) -> NDArray[np.float32]:
    """The scene's light `3 FINE*h FINE*w` on a grid FINE times finer than that of a window of the sensor."""
    rows, columns = np.mgrid[window.top : window.bottom, window.left : window.right].astype(np.float64)
    places = pose.in_scene(np.stack((columns, rows), axis=-1).reshape(-1, 2)) * per_px
    places += middle(picture)
    pitch = pose.ratio * per_px / FINE  # pixels of the picture per sample
    reach = math.ceil(CUBIC_REACH * max(pitch, 1)) + math.ceil(pitch * FINE)
    limits = np.array([picture.shape[1], picture.shape[0]])
    low = np.clip(np.floor(places.min(axis=0)).astype(int) - reach, 0, limits - 1)
    high = np.clip(np.ceil(places.max(axis=0)).astype(int) + reach, low + 1, limits)
    part = torch.from_numpy(_LIGHT[picture[low[1] : high[1], low[0] : high[0]]]).permute(2, 0, 1)[None]
    width, height = np.maximum(np.rint((high - low) / pitch).astype(int), 1).tolist()
    samples = interpolate(part, size=(height, width), mode="bicubic", antialias=True)
    looks = torch.from_numpy((2 * (places - low) / (high - low) - 1).reshape(*window.size, 2))
    looks = interpolate(looks.permute(2, 0, 1)[None], scale_factor=FINE, mode="bilinear").float()
    laid = grid_sample(samples, looks.permute(0, 2, 3, 1), padding_mode="reflection", align_corners=False)
    light: NDArray[np.float32] = laid[0].numpy()
    return light


def falloff(size: Size, vignetting: float) -> NDArray[np.float32]:
    """`h w`: 1 in the middle of the sensor, `vignetting` less in its corners, with the square of the distance."""
    down = (np.arange(size.height) + 0.5)[:, None] - size.height / 2
    across = np.arange(size.width) + 0.5 - size.width / 2
    share: NDArray[np.float64] = 1 - vignetting * 4 * (down**2 + across**2) / (size.height**2 + size.width**2)
    return share.astype(np.float32)


def developed(light: NDArray[np.float32], camera: SimulatedCamera, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light as the sensor measures it, coded: `3 h w`, 1 is the scene's white."""
    white = camera.white_electrons * HEADROOM

    def measured(some: NDArray[np.float32]) -> NDArray[np.float32]:
        return encode_srgb(exposed(some / np.float32(HEADROOM), white, camera.read_electrons, rng) * HEADROOM)

    return demosaic(measured(mosaic(light, (0, 0))), (0, 0)) if camera.mosaic else measured(light)


def encoded(pixels: NDArray[np.uint8], camera: SimulatedCamera, focal_mm: int) -> bytes:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = "anyzoom", "simulated zoom camera"
    exif.get_ifd(EXIF_DIRECTORY)[FOCAL_LENGTH] = IFDRational(focal_mm)
    file = BytesIO()
    if camera.jpeg_quality is None:
        Image.fromarray(pixels).save(file, "PNG", exif=exif)
    else:
        Image.fromarray(pixels).save(file, "JPEG", quality=camera.jpeg_quality, subsampling=camera.chroma, exif=exif)
    return file.getvalue()


def middle(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """x y from the picture's corner."""
    return np.array([picture.shape[1], picture.shape[0]]) / 2
