"""The convention, in literal numbers, and who owns which pixel."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from anyzoom.errors import AnyzoomError, ScaleError
from anyzoom.grid import (
    Scale,
    Size,
    Window,
    as_scale,
    cell_of,
    covering_window,
    first_pixel_at,
    owned_window,
    pixel_centres,
    shrunk_size,
    size_for,
)

FLOAT64 = torch.empty(0, dtype=torch.float64)
sides = st.integers(1, 60)
huge = st.integers(1, 10**12)


def test_a_size_is_height_then_width() -> None:
    size = Size(2, 3)
    assert (size.height, size.width, size.pixels) == (2, 3, 6)
    assert str(size) == "3x2"  # said as photographers say it


@pytest.mark.parametrize(
    ("lr", "scale", "expected"),
    [
        (Size(10, 20), 3.7, Size(37, 74)),
        (Size(1, 1), 1.0, Size(1, 1)),
        (Size(5, 3), 1.5, Size(8, 5)),  # 7.5 and 4.5 are rounded up, not to even
        (Size(7, 9), 1.5, Size(11, 14)),  # 10.5 and 13.5
        (Size(3, 3), 1.49, Size(4, 4)),  # 4.47 down
        (Size(100, 100), 1.004, Size(100, 100)),
        (Size(100, 100), 1.005, Size(100, 100)),  # 1.005 is 1.00499999999999989... as a double
        (Size(10, 10), (2, 3.5), Size(20, 35)),  # vertical, horizontal
        (Size(40_000, 1), 1000, Size(40_000_000, 1000)),
    ],
)
def test_size_for_rounds_half_up(lr: Size, scale: float | tuple[float, float], expected: Size) -> None:
    assert size_for(lr, scale) == expected


@given(sides, sides, st.floats(1, 100), st.floats(1, 100))
def test_a_side_is_rounded_once_and_alone(height: int, width: int, down: float, across: float) -> None:
    size = size_for(Size(height, width), (down, across))
    assert size == Size(size_for(Size(height, 1), down).height, size_for(Size(1, width), across).width)
    assert abs(size.height - Fraction(height) * Fraction(down)) <= Fraction(1, 2) + Fraction(1, 10**9)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (0, "scale 0 is not positive. Ask for 1.0 or more, for example 3.7."),
        (-2.5, "scale -2.5 is not positive. Ask for 1.0 or more, for example 3.7."),
        (math.nan, "scale nan is not a number. Ask for 1.0 or more, for example 3.7."),
        (math.inf, "scale inf is not a number. Ask for 1.0 or more, for example 3.7."),
        (0.5, "scale 0.5 would shrink the photo. Ask for 1.0 or more: we only magnify."),
        ((2.0, 0.999), "scale 0.999 would shrink the photo. Ask for 1.0 or more: we only magnify."),
        ((math.nan, 2.0), "scale nan is not a number. Ask for 1.0 or more, for example 3.7."),
    ],
)
def test_scales_that_cannot_be_asked_for(scale: float | tuple[float, float], message: str) -> None:
    for ask in (as_scale, lambda factor: size_for(Size(4, 4), factor)):
        with pytest.raises(ScaleError) as caught:
            ask(scale)
        assert str(caught.value) == message
    assert issubclass(ScaleError, AnyzoomError)


def test_one_factor_or_two() -> None:
    assert as_scale(2) == Scale(vertical=2.0, horizontal=2.0)
    assert as_scale((2, 3.5)) == Scale(vertical=2.0, horizontal=3.5)
    from_an_array: Any = np.float32(2.5)
    assert as_scale(from_an_array) == as_scale(2.5)


@pytest.mark.parametrize(
    ("hr", "scale", "expected"),
    [
        (Size(480, 320), 4, Size(120, 80)),
        (Size(481, 321), 4, Size(120, 80)),
        (Size(37, 74), 3.7, Size(10, 20)),
        (Size(33, 220), 1.1, Size(30, 200)),  # whatever the last bit says: 33 / 1.1 is 29.999999999999996
        (Size(36, 73), 3.7, Size(9, 19)),
        (Size(123, 321), 1, Size(123, 321)),
    ],
)
def test_shrunk_size(hr: Size, scale: float, expected: Size) -> None:
    assert shrunk_size(hr, scale) == expected


@given(sides, st.floats(1, 60))
def test_a_shrunk_picture_fits_when_magnified(side: int, scale: float) -> None:
    hr = Size(side, 1000)
    if side < scale:
        with pytest.raises(ScaleError, match=f"1000x{side} has no pixel left when shrunk by"):
            shrunk_size(hr, scale)
    else:
        lr = shrunk_size(hr, scale)
        again = size_for(lr, scale)
        assert again.height <= hr.height
        assert again.width <= hr.width
        assert (lr.height + 1) * scale > side


def test_shrinking_to_nothing_is_refused() -> None:
    with pytest.raises(ScaleError, match="a picture of 100x3 has no pixel left when shrunk by 4"):
        shrunk_size(Size(3, 100), 4)


def test_pixel_centres_in_numbers() -> None:
    """±1 are the borders: two rows have their centres at ∓1/2, four columns at ±1/4 and ±3/4."""
    centres = pixel_centres(Size(2, 4), FLOAT64)
    assert centres.shape == (2, 4, 2)
    assert centres[:, 0, 0].tolist() == [-0.5, 0.5]
    assert centres[0, :, 1].tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert centres[1, 0].tolist() == [0.5, -0.75]  # row before column
    assert pixel_centres(Size(1, 1), FLOAT64).tolist() == [[[0.0, 0.0]]]


def test_cell_is_one_pixel() -> None:
    assert cell_of(Size(4, 8), FLOAT64).tolist() == [0.5, 0.25]
    centres = pixel_centres(Size(4, 8), FLOAT64)
    assert (centres[1, 1] - centres[0, 0]).tolist() == [0.5, 0.25]


def test_a_window_keeps_the_coordinates_of_the_whole() -> None:
    size, window = Size(7, 11), Window(2, 3, 6, 10)
    rows, columns = window.slices
    assert torch.equal(pixel_centres(size, FLOAT64, window), pixel_centres(size, FLOAT64)[rows, columns])


def test_centres_are_exact_before_they_are_rounded_to_float32() -> None:
    """Worked out in float32, the centres of a wide picture would be off in the last places."""
    side = 100_003
    found = pixel_centres(Size(1, side), torch.empty(0), Window(0, side - 3, 1, side))[0, :, 1]
    assert found.dtype == torch.float32
    exact = [float(Fraction(2 * i + 1, side) - 1) for i in range(side - 3, side)]
    assert found.tolist() == torch.tensor(exact, dtype=torch.float32).tolist()


def test_windows() -> None:
    window = Window(top=2, left=3, bottom=5, right=9)
    assert window.size == Size(3, 6)
    assert Window.whole(Size(4, 7)) == Window(0, 0, 4, 7)
    assert window.within(Window(1, 1, 9, 9)) == Window(1, 2, 4, 8)
    assert window.grown(2, Size(6, 20)) == Window(0, 1, 6, 11)
    assert window.common(Window(4, 0, 10, 4)) == Window(4, 3, 5, 4)
    assert np.arange(70).reshape(7, 10)[window.slices].shape == (3, 6)


def test_windows_that_do_not_meet_share_nothing() -> None:
    window = Window(2, 3, 5, 9)
    for other in (Window(5, 3, 8, 9), Window(0, 0, 2, 20), Window(2, 9, 5, 12), Window(20, 20, 30, 30)):
        shared = window.common(other)
        assert shared.size.pixels == 0
        assert min(shared.size) >= 0


def test_ownership_in_numbers() -> None:
    """4 pixels become 10: borders at 0, 2.5, 5, 7.5, 10, pixel centres at i + 1/2."""
    assert [first_pixel_at(border, 4, 10) for border in range(5)] == [
        0,
        2,
        5,
        7,
        10,
    ]  # 2.5 belongs to what follows
    assert [first_pixel_at(border, 3, 3) for border in range(4)] == [0, 1, 2, 3]
    assert owned_window(Window(1, 0, 3, 1), Size(4, 2), Size(10, 6)) == Window(2, 0, 7, 3)
    assert covering_window(Window(2, 0, 7, 3), Size(4, 2), Size(10, 6)) == Window(1, 0, 3, 1)
    assert covering_window(Window(4, 2, 6, 4), Size(4, 2), Size(10, 6)) == Window(1, 0, 3, 2)


@given(huge, huge, st.integers(0, 10**12))
@example(side_lr=376_955, side_hr=761_963_879_386, border=372_774)
def test_the_first_pixel_at_a_border_is_the_first(side_lr: int, side_hr: int, border: int) -> None:
    """Its centre lies at or beyond the border, that of the one before does not; also where floats would round."""
    border %= side_lr + 1
    first = first_pixel_at(border, side_lr, side_hr)
    edge = Fraction(border, side_lr)
    assert Fraction(2 * first + 1, 2 * side_hr) >= edge
    assert Fraction(2 * first - 1, 2 * side_hr) < edge


@given(huge, huge)
def test_the_whole_owns_the_whole(side_lr: int, side_hr: int) -> None:
    assert first_pixel_at(0, side_lr, side_hr) == 0
    assert first_pixel_at(side_lr, side_lr, side_hr) == side_hr


@settings(deadline=None)
@given(st.tuples(sides, sides), st.tuples(sides, sides))
def test_every_pixel_has_exactly_one_owner(lr: tuple[int, int], hr: tuple[int, int]) -> None:
    lr_size, hr_size = Size(*lr), Size(*hr)
    owners = np.zeros(hr_size, np.int64)
    for row in range(lr_size.height):
        for column in range(lr_size.width):
            owned = owned_window(Window(row, column, row + 1, column + 1), lr_size, hr_size)
            owners[owned.slices] += 1
    assert (owners == 1).all()


@given(huge, huge, st.integers(0, 10**12), st.integers(1, 10**12))
def test_covering_is_the_smallest_that_owns(side_lr: int, side_hr: int, start: int, length: int) -> None:
    start %= side_hr
    stop = min(start + length, side_hr)
    lr, hr = Size(side_lr, side_lr), Size(side_hr, side_hr)
    cover = covering_window(Window(start, start, stop, stop), lr, hr)
    assert (cover.top, cover.bottom) == (cover.left, cover.right)
    assert 0 <= cover.top < cover.bottom <= side_lr
    owned = owned_window(cover, lr, hr)
    assert owned.top <= start
    assert owned.bottom >= stop
    without_first = owned_window(cover._replace(top=cover.top + 1), lr, hr)
    without_last = owned_window(cover._replace(bottom=cover.bottom - 1), lr, hr)
    assert without_first.top > start
    assert without_last.bottom < stop
