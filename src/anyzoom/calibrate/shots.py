"""Photographs of the target: which there are, where the ring stood, and what they show."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anyzoom.calibrate.detect import Channel, Checkerboard, Corners, find_corners
from anyzoom.calibrate.lens import Role, Shot
from anyzoom.calibrate.opencv import cv2
from anyzoom.calibrate.scale import View, view_of
from anyzoom.calibrate.target import Target
from anyzoom.errors import CalibrationError, CannotRead
from anyzoom.grid import Size
from anyzoom.image import read_image
from anyzoom.image.exif import taken

THUMBNAIL_PX = 640  # wide
ROLES: tuple[Role, ...] = ("curve", "return", "reverse")
IN_NAME = re.compile(r"ring[_-]?([+-]?\d+(?:\.\d+)?)(?:[_-](return|reverse))?(?!\d)", re.IGNORECASE)
HOW = (
    "Name photographs like IMG_0001_ring12.5.jpg, or list them in a .csv file with the columns file,ring "
    "or in a scene.json"
)


class Listed(NamedTuple):
    """A photograph and where the ring stood."""

    path: Path
    ring: float
    role: Role = "curve"


class Measured(NamedTuple):
    """What a photograph shows."""

    shot: Shot
    size: Size
    thumbnail: bytes  # JPEG
    corners: Corners
    view: View


def listed_shots(names: Sequence[Path]) -> list[Listed]:
    """Photographs with positions in their names, or lists of them: .csv, or .json as capture's scene.json.

    Names in a list are relative to it. Raises CannotRead, CalibrationError for a photograph without a position.
    """
    found: list[Listed] = []
    for name in names:
        if name.suffix.lower() == ".csv":
            found += _rows(name, _csv)
        elif name.suffix.lower() == ".json":
            found += _rows(name, _json)
        else:
            told = IN_NAME.search(name.stem)
            if not told:
                raise CalibrationError(f"{name}: its name tells no ring position. {HOW}.")
            found.append(Listed(name, float(told[1]), (told[2] or "curve").lower()))  # type: ignore[arg-type]
    return found


def _rows(path: Path, read: Callable[[str], list[dict[str, Any]]]) -> list[Listed]:
    try:
        rows = read(path.read_text("utf-8-sig"))
    except OSError as error:
        raise CannotRead(f"cannot read the list {path}: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise CannotRead(f"{path} is no list of shots ({type(error).__name__}: {error}). {HOW}.") from error
    return [_listed(path, number, row) for number, row in enumerate(rows, 1)]


def _csv(text: str) -> list[dict[str, Any]]:
    return [dict(row) for row in csv.DictReader(text.splitlines(), skipinitialspace=True)]


def _json(text: str) -> list[dict[str, Any]]:
    return [dict(frame) for frame in json.loads(text)["frames"]]


def _listed(path: Path, number: int, row: dict[str, Any]) -> Listed:
    file, ring, role = row.get("file"), row.get("ring"), row.get("role") or "curve"
    if not isinstance(file, str) or not file:
        raise CannotRead(f"{path}, shot {number}: no `file` is named. {HOW}.")
    try:
        position = float(ring)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        position = math.nan
    if not math.isfinite(position):
        raise CalibrationError(f"{path}, shot {number}: {file} has no ring position, but {ring!r}. Fill in `ring`.")
    if role not in ROLES:
        raise CalibrationError(f"{path}, shot {number}: the role {role!r} is unknown. Use one of {', '.join(ROLES)}.")
    return Listed(path.parent / file, position, role)


def measured(listed: Listed, sought: Target | Checkerboard, channel: Channel = "red") -> Measured:
    """What a photograph shows. Raises CannotRead, CalibrationError when the board is not found in it, MissingExtra."""
    photo = read_image(listed.path)
    pixels = _eight_bits(photo.pixels)
    try:
        corners = find_corners(pixels, sought, channel)
    except CalibrationError as error:
        raise CalibrationError(f"{listed.path}: {error}") from error
    view = view_of(corners, photo.size)
    shot = Shot(
        file=listed.path.name,
        ring=listed.ring,
        role=listed.role,
        focal_mm=taken(photo.metadata.exif).focal_mm,
        px_per_mm=view.px_per_mm,
        error=view.error,
        k1=view.lens.k1,
        k1_error=view.k1_error,
        corners=len(corners.image),
        rmse_px=view.rmse_px,
    )
    return Measured(shot, photo.size, _thumbnail(pixels), corners, view)


def _eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    full = 1.0 if pixels.dtype == np.float32 else np.iinfo(pixels.dtype).max
    return pixels if pixels.dtype == np.uint8 else np.rint(np.clip(pixels / full, 0, 1) * 255).astype(np.uint8)


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (THUMBNAIL_PX, round(height * THUMBNAIL_PX / width)), interpolation=cv2.INTER_AREA)
    shown = small if small.ndim == 2 or small.shape[2] < 3 else small[..., 2::-1]  # OpenCV writes BGR
    _, encoded = cv2.imencode(".jpg", shown if shown.ndim == 2 or shown.shape[2] == 3 else shown[..., :1])
    return bytes(encoded)


def common_size(shots: Sequence[Measured], size: Size | None = None) -> Size:
    """The size that all photographs have. Raises CalibrationError."""
    expected = size or shots[0].size
    for one in shots:
        if one.size != expected:
            raise CalibrationError(
                f"{one.shot.file} is {one.size}, but {expected} was expected. Shots of one lens have one size."
            )
    return expected
