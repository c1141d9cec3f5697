"""The calibration target: a ChArUco board below nested rectangles, at true size.

A ChArUco board (Garrido-Jurado et al., Pattern Recognition 2014) is a checkerboard with a numbered marker in each of
its white squares, so that any part of it tells where it is: one board serves every focal length. The nested rectangles
are those of RealArbiSR (Li et al., ECCV 2024, section 3): each is `scale` times as wide and high as the smallest, which
fills the frame at the longest focal length. They are for the eye: corner brackets and ticks at mid-edge, red on white
and blue on black, so that the red channel of a photograph shows the board as if they were not there.

Everything is counted in mm from the sheet's top left corner, x before y.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from anyzoom.errors import CalibrationError, CannotRead
from anyzoom.geometry import Points
from anyzoom.image.part import refused_by_system

MARGIN_MM = 15.0  # white around the board
FOOTER_MM = 20.0  # more white below, for the control bar and the text
BAR_MM = 100.0
MODULES = 8  # per square: a marker is 4 x 4 modules in a black frame of one, in a white frame of one
MARKER_MODULES = 6
ACROSS = 8  # squares across the frame at the longest focal length
MOST_MARKERS = 1000  # of the dictionary
SMALLEST_SQUARE_MM = 2.0
RED, BLUE, BLACK = (230, 30, 24), (0, 130, 230), (0, 0, 0)


class Target(BaseModel):
    """What is printed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    version: Literal[1] = 1
    columns: int = Field(ge=3)  # squares
    rows: int = Field(ge=3)
    square_mm: PositiveFloat
    width_mm: PositiveFloat  # of the sheet
    height_mm: PositiveFloat
    smallest_mm: PositiveFloat  # width of the rectangle of scale 1
    aspect: PositiveFloat  # width / height of every rectangle, as of the sensor
    scales: tuple[PositiveFloat, ...]  # of the rectangles

    @property
    def origin_mm(self) -> tuple[float, float]:
        """The board's top left corner, x y."""
        return (
            (self.width_mm - self.columns * self.square_mm) / 2,
            (self.height_mm - FOOTER_MM - self.rows * self.square_mm) / 2,
        )

    def rectangle(self, scale: float) -> Points:
        """The corners `4 xy` of the rectangle of that scale, clockwise from its top left, in mm of the sheet."""
        centre = np.array([self.width_mm, self.height_mm - FOOTER_MM]) / 2
        half = self.smallest_mm * scale / 2 * np.array([1, 1 / self.aspect])
        corners: Points = centre + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        return corners

    def summary(self) -> list[str]:
        """What the sheet says about itself."""
        rectangles = ", ".join(f"x{scale:g}" for scale in self.scales)
        return [
            f"anyzoom target: {self.columns} x {self.rows} squares of {self.square_mm:.3f} mm, markers DICT_4X4_1000. "
            f"Print at 100 %: the bar is {BAR_MM:g} mm long.",
            f"Rectangles {rectangles} of {self.smallest_mm:.1f} x {self.smallest_mm / self.aspect:.1f} mm.",
        ]


class Box(NamedTuple):
    """A filled rectangle of the drawing, mm."""

    x: float
    y: float
    width: float
    height: float


class Words(NamedTuple):
    """A line of text: where its baseline begins, mm."""

    x: float
    y: float
    height: float
    text: str


class Layer(NamedTuple):
    """What is painted in one colour."""

    colour: tuple[int, int, int]
    boxes: list[Box]
    words: list[Words]


def design(
    scales: Sequence[float],
    *,
    aspect: float = 1.5,
    smallest_mm: float | None = None,
    sheet_mm: tuple[float, float] | None = None,
) -> Target:
    """The target for those scales, each 1 or more.

    smallest_mm: the width that fills the frame at the longest focal length: distance x sensor width / focal length.
    sheet_mm: width and height of the print. Without it, it is as large as the largest rectangle asks; without
    smallest_mm the largest rectangle fills it. Rectangles that do not fit are left out. Raises CalibrationError.
    """
    wanted = sorted({1.0, *scales})
    if wanted[0] < 1 or not all(map(math.isfinite, wanted)):
        raise CalibrationError(f"scale {wanted[0]:g} is below 1. Ask for the scales to be calibrated, such as 1.5,2,4.")
    if sheet_mm is None:
        if smallest_mm is None:
            raise CalibrationError("a target needs a sheet size, or a distance and a focal length, or all of them.")
        width = smallest_mm * wanted[-1]
        sheet_mm = (width + 2 * MARGIN_MM, width / aspect + 2 * MARGIN_MM + FOOTER_MM)
    space = (sheet_mm[0] - 2 * MARGIN_MM, sheet_mm[1] - 2 * MARGIN_MM - FOOTER_MM)
    largest = min(space[0], space[1] * aspect)
    if smallest_mm is None:
        smallest_mm = largest / wanted[-1]
    square = min(smallest_mm, largest) / ACROSS
    columns, rows = _squares(space, square)
    while columns * rows > 2 * MOST_MARKERS:
        square *= 1.01
        columns, rows = _squares(space, square)
    if square < SMALLEST_SQUARE_MM or columns < 3 or rows < 3:
        raise CalibrationError(
            f"a sheet of {sheet_mm[0]:g} x {sheet_mm[1]:g} mm has no room for a board: "
            f"squares would be {square:.1f} mm wide. Choose a larger sheet, or fewer or smaller scales."
        )
    return Target(
        columns=columns,
        rows=rows,
        square_mm=math.floor(square * 1000) / 1000,
        width_mm=sheet_mm[0],
        height_mm=sheet_mm[1],
        smallest_mm=smallest_mm,
        aspect=aspect,
        scales=tuple(scale for scale in wanted if smallest_mm * scale <= largest * (1 + 1e-9)),
    )


def _squares(space: tuple[float, float], square: float) -> tuple[int, int]:
    return int(space[0] / square + 0.01), int(space[1] / square + 0.01)


def board(target: Target) -> Any:
    """OpenCV's board in mm from its first corner. Raises MissingExtra."""
    from anyzoom.calibrate.opencv import cv2

    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_1000)
    square = target.square_mm
    return cv2.aruco.CharucoBoard((target.columns, target.rows), square, square * MARKER_MODULES / MODULES, dictionary)


def drawn(target: Target) -> list[Layer]:
    """Everything on the sheet, in the order of painting. Raises MissingExtra."""
    lines = _rectangles(target)
    squares = _squares_of(target)
    over = [both for line in lines for square in squares if (both := _shared(line, square))]
    x, y = MARGIN_MM, target.height_mm - MARGIN_MM
    bar = [Box(x, y - 5, BAR_MM, 1.5), Box(x, y - 8, 0.3, 4.5), Box(x + BAR_MM - 0.3, y - 8, 0.3, 4.5)]
    words = [Words(x, y + 4 * line, 2.4, text) for line, text in enumerate(target.summary())]
    words.append(Words(x + BAR_MM + 2, y - 3.5, 2.4, f"{BAR_MM:g} mm"))
    return [
        Layer(RED, lines, []),
        Layer(BLACK, [*squares, *_modules(target), *bar], words),
        Layer(BLUE, over, [_label(target, scale) for scale in target.scales]),
    ]


def _squares_of(target: Target) -> list[Box]:
    """The black ones."""
    x, y = target.origin_mm
    square = target.square_mm
    return [
        Box(x + column * square, y + row * square, square, square)
        for row in range(target.rows)
        for column in range(row % 2, target.columns, 2)
    ]


def _modules(target: Target) -> list[Box]:
    """The black ones of the markers, in runs along their rows."""
    x, y = target.origin_mm
    module = target.square_mm / MODULES
    boxes = []
    charuco = board(target)
    dictionary = charuco.getDictionary()
    for number, corners in zip(charuco.getIds().ravel(), charuco.getObjPoints(), strict=True):
        left, top = x + corners[0][0], y + corners[0][1]
        for row, modules in enumerate(dictionary.generateImageMarker(int(number), MARKER_MODULES, borderBits=1)):
            dark = np.flatnonzero(np.diff(np.concatenate(([0], modules == 0, [0])).astype(int)))
            for start, end in dark.reshape(-1, 2):
                boxes.append(Box(left + start * module, top + row * module, (end - start) * module, module))
    return boxes


def _rectangles(target: Target) -> list[Box]:
    """Brackets and ticks."""
    square = target.square_mm
    line = square / MODULES
    boxes = []
    for scale in target.scales:
        (left, top), (right, bottom) = target.rectangle(scale)[[0, 2]]
        arm = min(2 * square, (bottom - top) / 4)
        for x, inwards in ((left, 0.0), (right, -arm)):
            for y, down in ((top, 0.0), (bottom, -arm)):
                boxes.append(Box(x + inwards, y - line / 2, arm, line))
                boxes.append(Box(x - line / 2, y + down, line, arm))
        for x in (left, right):
            boxes.append(Box(x - square / 2, (top + bottom - line) / 2, square, line))
        for y in (top, bottom):
            boxes.append(Box((left + right - line) / 2, y - square / 2, line, square))
    return boxes


def _shared(a: Box, b: Box) -> Box | None:
    left, top = max(a.x, b.x), max(a.y, b.y)
    width, height = min(a.x + a.width, b.x + b.width) - left, min(a.y + a.height, b.y + b.height) - top
    return Box(left, top, width, height) if width > 0 and height > 0 else None


def _label(target: Target, scale: float) -> Words:
    """In a black square at the rectangle's top left corner."""
    place = (target.rectangle(scale)[0] - target.origin_mm) / target.square_mm
    column = min(max(int(place[0]), 0), target.columns - 2)
    row = min(max(int(place[1]), 0), target.rows - 1)
    column += (column + row) % 2  # black squares alternate
    x, y = target.origin_mm + np.array([column + 0.2, row + 0.8]) * target.square_mm
    return Words(float(x), float(y), 0.3 * target.square_mm, f"x{scale:g}")


def rasterised(target: Target, module_px: int) -> tuple[NDArray[np.uint8], Points]:
    """The sheet without its text `h w 3`, and the pixel `xy` where the board begins; a module is that many pixels.

    Edges of the board lie exactly on the borders of pixels.
    """
    scale = module_px * MODULES / target.square_mm
    whole = [math.ceil(edge * scale) for edge in target.origin_mm]
    offset = np.array(whole) - np.array(target.origin_mm) * scale
    sheet = np.full(
        (math.ceil(target.height_mm * scale + offset[1]), math.ceil(target.width_mm * scale + offset[0]), 3),
        255,
        np.uint8,
    )
    for layer in drawn(target):
        for box in layer.boxes:
            left, top = np.rint(np.array(box[:2]) * scale + offset).astype(int)
            right, bottom = np.rint((np.array(box[:2]) + box[2:]) * scale + offset).astype(int)
            sheet[max(top, 0) : bottom, max(left, 0) : right] = layer.colour
    return sheet, np.array(whole, np.float64) - 0.5


def write_target(target: Target, path: Path) -> None:
    """As JSON, the form in which photographs' readers take it. Raises CannotWrite."""
    with refused_by_system(path):
        path.write_text(target.model_dump_json(indent=2) + "\n", "utf-8")


def read_target(path: Path) -> Target:
    """Raises CannotRead."""
    try:
        return Target.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CannotRead(f"cannot read the target {path}: {error.strerror}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise CannotRead(
            f"{path} describes no target ({'.'.join(map(str, first['loc']))}: {first['msg']}). "
            f"Name the .json file that `anyzoom calibrate target` wrote."
        ) from error
