"""What a manifest says of a frame that was aligned: where it lies in its photograph, and how well that is known.

Pixel centres lie at integers and points are (x, y), as in anyzoom.geometry. A box is (x, y, width, height) of the
area from border to border, so the pixel at the origin alone is the box (-1/2, -1/2, 1, 1).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field

from anyzoom.errors import CannotRead, RecipeError
from anyzoom.geometry import FrameMap, Matrix, Points

if TYPE_CHECKING:
    from anyzoom.pairs.manifest import FrameRow

SCENES = "scenes.jsonl"

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Box = tuple[float, float, float, float]
Rgb = tuple[float, float, float]


class Quality(BaseModel):
    """What was measured of an aligned pair: HR reduced to the grid of LR against LR. Pixels are LR's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    correlation: float  # of the high-pass parts
    bad_blocks: float  # share of textured blocks that do not correlate
    sharpness: float  # LR's over that of HR reduced
    psnr_db: float
    clipped: float  # share of pixels at white, the larger of both pictures
    black: float
    newly_clipped: float  # by the gain
    shift_median_px: float  # residual, over tiles
    shift_worst_px: float
    shifts: tuple[tuple[float, float, float, float], ...]  # tiles: centre x y (shares of the picture), shift x y in px
    ceiling_db: float  # the PSNR that remaining misalignment allows
    worst_block: tuple[float, float, float, float] | None = None  # x y w h, shares of the picture: where it fails


class Rejection(BaseModel):
    """Why a frame is not used: a gate, what was measured, the limit, the likely cause and what to do, in words."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scene: str
    frame: str  # file name
    gate: str
    measured: float
    limit: float
    cause: str
    remedy: str


class Exposure(BaseModel):
    """What the photograph's EXIF says."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    exposure_s: float | None = None
    f_number: float | None = None
    iso: float | None = None
    focal_mm: float | None = None


class Aligned(BaseModel):
    """How an LR frame was cut from a photograph of a zoom run. The photograph is the row's `source`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reference: str  # the photograph of HR, named as `source` is
    reference_sha256: Sha256
    scale: tuple[float, float]  # measured: pixels of the reference per pixel of the photograph, x y
    hr_box: Box  # the scene's field of view in the reference
    lr_box: Box  # what of the photograph it covers: the smallest upright box around it
    transform: FrameMap  # from points of the reference to points of the photograph, both in their own pixels
    kernel: Literal["lanczos4", "crop-only"]  # resampled once, or cut out
    residual_px: float  # of the corners where it was only cut out, in pixels of the photograph
    luminance: Literal["gain", "colour-matrix", "none"]
    gain: Rgb  # of the photograph against the reference: adjusted = gain * value + offset, coded values of 0 to 255
    offset: Rgb
    matrix: Matrix | None = None  # in their place, RGB: adjusted = matrix @ value + matrix_offset
    matrix_offset: Rgb | None = None
    method: Literal["sift", "ecc", "intensity"]
    found: int  # matches before outliers were dropped
    matches: int  # inliers, on which the transform rests
    cells: int  # of 4 x 4 over the reference's field that hold an inlier
    rmse_px: float  # of the reprojection, in pixels of the pictures that were matched: large photographs are reduced
    quality: Quality
    exposure: Exposure
    ring: float | None = None  # the motor's position
    verdict: Literal["accepted", "flagged"]
    reason: str | None = None  # why it was flagged
    tool: str  # anyzoom's version
    parameters: Sha256  # of all settings of the run


class AlignedScene(BaseModel):
    """What became of one scene; a row of `scenes.jsonl` beside the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    scene: str  # its name in the dataset
    folder: str  # that of its photographs
    split: str
    frames: int  # photographs
    pairs: int  # LR frames in the dataset; none: the scene was lost
    rejected: tuple[Rejection, ...] = ()
    notes: tuple[str, ...] = ()  # what is less than was asked for
    error: str | None = None  # why it could not be read or written
    inputs: Sha256 | None = None  # of all its files; null: it could not be read or written
    parameters: Sha256  # of all settings of the run

    @property
    def rejected_frames(self) -> tuple[str, ...]:
        """The photographs that were rejected; each may have failed several gates."""
        return tuple(dict.fromkeys(one.frame for one in self.rejected))


def read_aligned_scenes(folder: Path) -> list[AlignedScene]:
    """What the last runs left in a dataset, sorted by scene; nothing where it was not aligned. Raises CannotRead."""
    path = folder / SCENES
    try:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        return [AlignedScene.model_validate_json(line) for line in lines]
    except (OSError, ValueError) as error:
        raise CannotRead(f"{path}: {' '.join(str(error).split())}. Remove it, and align again.") from error


def points_in_frame(row: FrameRow, points: ArrayLike) -> Points:
    """Points of the HR photograph `n xy` -> the same places in the LR photograph `n xy`, in pixels of each.

    Both photographs as the camera made them, upright: the row's `source` and its `aligned.reference`. Raises
    RecipeError for a row that holds no alignment.
    """
    if row.aligned is None:
        raise RecipeError(f"{row.file} was not aligned, so no point of it is known. Name an LR frame of anyzoom align.")
    return row.aligned.transform.to_frame(np.asarray(points, np.float64))
