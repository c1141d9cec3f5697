"""THE convention: sizes, scales, pixel centres, cells and windows. Nobody else rounds.

Row before column everywhere. A picture of height h covers the interval [-1, 1]: ±1 are its outer borders, so
the centre of row i lies at (2 i + 1) / h - 1 (Chen et al., LIIF, CVPR 2021). In pixel units the same centre
is i + 0.5.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from anyzoom.errors import ScaleError

if TYPE_CHECKING:
    from torch import Tensor


class Size(NamedTuple):
    """Height and width of a picture in pixels, in that order."""

    height: int
    width: int

    @property
    def pixels(self) -> int:
        return self.height * self.width

    def __str__(self) -> str:
        """As photographers write it: width x height."""
        return f"{self.width}x{self.height}"


class Scale(NamedTuple):
    """Output pixels per input pixel, down and across."""

    vertical: float
    horizontal: float


class Window(NamedTuple):
    """A rectangle of a grid: rows `top` to `bottom`, columns `left` to `right`, ends excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def whole(cls, size: Size) -> Window:
        return cls(0, 0, size.height, size.width)

    @property
    def size(self) -> Size:
        return Size(self.bottom - self.top, self.right - self.left)

    def within(self, outer: Window) -> Window:
        """This window in coordinates whose origin is the corner of `outer`."""
        return Window(self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left)

    def grown(self, margin: int, size: Size) -> Window:
        """This window with `margin` more pixels on every side, as far as the picture of that size reaches."""
        return Window(
            max(self.top - margin, 0),
            max(self.left - margin, 0),
            min(self.bottom + margin, size.height),
            min(self.right + margin, size.width),
        )

    def common(self, other: Window) -> Window:
        """What two windows share; without height or width when they do not meet."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Window(top, left, max(top, min(self.bottom, other.bottom)), max(left, min(self.right, other.right)))

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def as_scale(scale: float | tuple[float, float]) -> Scale:
    """One factor for both axes, or (vertical, horizontal).

    Raises ScaleError unless both are finite numbers of 1 or more.
    """
    pair = Scale(*map(float, scale)) if isinstance(scale, Iterable) else Scale(float(scale), float(scale))
    for factor in pair:
        if not math.isfinite(factor):
            raise ScaleError(f"scale {factor} is not a number. Ask for 1.0 or more, for example 3.7.")
        if factor <= 0:
            raise ScaleError(f"scale {factor:g} is not positive. Ask for 1.0 or more, for example 3.7.")
        if factor < 1:
            raise ScaleError(f"scale {factor:g} would shrink the photo. Ask for 1.0 or more: we only magnify.")
    return pair


def size_for(lr: Size, scale: float | tuple[float, float]) -> Size:
    """The size of `lr` magnified: each side times its factor, rounded half up, at least 1."""
    factors = as_scale(scale)
    return Size(
        max(1, math.floor(lr.height * factors.vertical + 0.5)),
        max(1, math.floor(lr.width * factors.horizontal + 0.5)),
    )


def shrunk_size(hr: Size, scale: float) -> Size:
    """The LR size whose magnification by `scale` still fits into `hr`: floor(side / scale).

    The 1e-9 keeps exact quotients exact (LIIF's and EQSR's evaluation rule). Raises ScaleError when nothing
    is left.
    """
    factor = as_scale(scale).vertical
    lr = Size(math.floor(hr.height / factor + 1e-9), math.floor(hr.width / factor + 1e-9))
    if min(lr) < 1:
        raise ScaleError(f"a picture of {hr} has no pixel left when shrunk by {scale:g}.")
    return lr


def pixel_centres(size: Size, like: Tensor, window: Window | None = None) -> Tensor:
    """Centres of a grid's pixels, `H W yx` in [-1, 1], in the dtype and on the device of `like`.

    With a window only its rows and columns, still in the coordinates of the whole grid.
    """
    import torch

    window = window or Window.whole(size)
    rows = (2 * torch.arange(window.top, window.bottom, dtype=torch.float64) + 1) / size.height - 1
    columns = (2 * torch.arange(window.left, window.right, dtype=torch.float64) + 1) / size.width - 1
    return torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).to(like)


def cell_of(size: Size, like: Tensor) -> Tensor:
    """Height and width of one pixel of that grid in the same coordinates, `yx`: (2 / H, 2 / W)."""
    import torch

    return torch.tensor([2 / size.height, 2 / size.width], dtype=torch.float64).to(like)


def first_pixel_at(border: int, side_lr: int, side_hr: int) -> int:
    """The first HR pixel whose centre lies at or beyond the LR pixel border `border` (0 to side_lr).

    So the HR pixels that LR pixels a to b - 1 own are first_pixel_at(a) to first_pixel_at(b) - 1: every HR
    pixel has exactly one owner. Integer arithmetic: ceil(border * side_hr / side_lr - 1/2).
    """
    return -((side_lr - 2 * border * side_hr) // (2 * side_lr))


def owned_window(lr_window: Window, lr: Size, hr: Size) -> Window:
    """The window of the HR grid whose pixel centres fall into a window of the LR grid."""
    return Window(
        first_pixel_at(lr_window.top, lr.height, hr.height),
        first_pixel_at(lr_window.left, lr.width, hr.width),
        first_pixel_at(lr_window.bottom, lr.height, hr.height),
        first_pixel_at(lr_window.right, lr.width, hr.width),
    )


def covering_window(hr_window: Window, lr: Size, hr: Size) -> Window:
    """The smallest window of the LR grid that owns all pixels of a (non-empty) HR window."""

    def owner(index: int, side_lr: int, side_hr: int) -> int:
        return min((2 * index + 1) * side_lr // (2 * side_hr), side_lr - 1)

    return Window(
        owner(hr_window.top, lr.height, hr.height),
        owner(hr_window.left, lr.width, hr.width),
        owner(hr_window.bottom - 1, lr.height, hr.height) + 1,
        owner(hr_window.right - 1, lr.width, hr.width) + 1,
    )
