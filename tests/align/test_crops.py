"""The common field, and one exact sampling of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.align.truth import true_run

from anyzoom.align.crops import (
    MARGIN,
    ROWS,
    Grid,
    common_window,
    cut_out,
    equal_grids,
    measured_scale,
    nominal_grid,
    resampled,
)
from anyzoom.align.records import Gain
from anyzoom.errors import ScaleError
from anyzoom.geometry import FrameMap, Lens, similarity
from anyzoom.grid import Size, Window

SIZE = Size(300, 400)
STRAIGHT = Lens((200.0, 150.0), 0.0, 250.0)


def zoomed(scale: float, shift: tuple[float, float] = (0.0, 0.0), angle: float = 0.0, k1: float = 0.0) -> FrameMap:
    """To a frame of SIZE on which the reference is 1 / scale as large, shifted and turned about the first pixel."""
    return FrameMap(
        reference=STRAIGHT, frame=Lens((190.0, 160.0), k1, 250.0), matrix=similarity(1 / scale, angle, shift)
    )


def waves(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours `... 3` of a soft scene at points `... xy` of a frame."""
    x, y = points[..., 0], points[..., 1]
    return 128 + 60 * np.stack([np.sin(x / 3), np.cos(y / 4), np.sin((x + y) / 5)], axis=-1)


def photograph(size: Size = SIZE) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = np.rint(waves(np.moveaxis(np.indices(size)[::-1].astype(np.float64), 0, -1))).astype(
        np.uint8
    )
    return pixels


def outline(window: Window) -> NDArray[np.float64]:
    x = np.linspace(window.left - 0.5, window.right - 0.5, 200)
    y = np.linspace(window.top - 0.5, window.bottom - 0.5, 200)
    sides: list[tuple[Any, Any]] = [(x, y[0]), (x, y[-1]), (x[0], y), (x[-1], y)]
    return np.concatenate([np.stack(np.broadcast_arrays(*side), axis=-1) for side in sides])


def covered(maps: list[FrameMap], window: Window) -> bool:
    """Whether every frame shows the window without its own outermost pixels; a plain check along the outline."""
    low, high = MARGIN - 0.5, np.array([SIZE.width, SIZE.height]) - MARGIN - 0.5
    places = np.concatenate([outline(window), *(one.to_frame(outline(window)) for one in maps)])
    return bool(np.all(places >= low - 1e-6) and np.all(places <= high + 1e-6))


@pytest.mark.parametrize("shift", [(11.3, -6.2), (-9.4, 13.8)])
@pytest.mark.parametrize("angle", [0.02, -0.02])
def test_all_frames_cover_the_window_and_it_is_the_largest(shift: tuple[float, float], angle: float) -> None:
    maps = [zoomed(1.02, shift, angle, -0.02), zoomed(1.1, (40.0, 30.5)), zoomed(4.0, (150.0, 110.0))]
    window = common_window(maps, SIZE)
    assert covered(maps, window)
    for edge, outwards in (("top", -2), ("left", -2), ("bottom", 2), ("right", 2)):
        assert not covered(maps, window._replace(**{edge: getattr(window, edge) + outwards})), edge


def test_without_other_frames_only_the_margin_is_lost() -> None:
    assert common_window([], SIZE) == Window(MARGIN, MARGIN, SIZE.height - MARGIN, SIZE.width - MARGIN)


def test_frames_without_a_common_field() -> None:
    with pytest.raises(ScaleError, match="the 3 frames have no field in common"):
        common_window([zoomed(1.1, (-350.0, 0.0)), zoomed(1.1, (350.0, 0.0))], SIZE)


@pytest.mark.parametrize(
    ("size", "hr"),
    [
        (Size(592, 892), Size(592, 888)),  # 3 : 2
        (Size(3992, 5320), Size(3990, 5320)),  # 4 : 3
        (Size(862, 1210), Size(860, 1204)),  # 7 : 5
        (Size(892, 592), Size(888, 592)),  # upright
        (Size(1072, 1912), Size(1072, 1876)),  # 7 : 4 keeps 98 % of 16 : 9, and its steps are finer
        (Size(97, 98), Size(97, 97)),
    ],
)
def test_the_ratio_of_sides_is_simple_and_exact(size: Size, hr: Size) -> None:
    window = Window(10, 20, 10 + size.height, 20 + size.width)
    for grid, scale in zip(equal_grids(window, [1.1, 2.71, 4.01]), [1.1, 2.71, 4.01], strict=True):
        assert grid.window.size == hr
        assert hr.width * grid.lr.height == hr.height * grid.lr.width
        across, down = grid.factors
        assert across == pytest.approx(down, rel=1e-12)
        assert across == pytest.approx(scale, rel=0.03)
        assert grid.window.common(window) == grid.window
        assert abs((grid.window.left - window.left) - (window.right - grid.window.right)) <= 1
        assert abs((grid.window.top - window.top) - (window.bottom - grid.window.bottom)) <= 1


def test_lr_is_the_nearest_of_its_ratio() -> None:
    (grid,) = equal_grids(Window(4, 4, 596, 896), [4.0084])
    assert grid == Grid(Window(4, 6, 596, 894), Size(148, 222))  # 296 / 4.0084 = 73.8: 2 and 3 times 74


@pytest.mark.parametrize(("scale", "hr", "lr"), [("2.5", (590, 890), (236, 356)), ("3.7", (592, 888), (160, 240))])
def test_a_nominal_scale_is_met_to_the_pixel(scale: str, hr: tuple[int, int], lr: tuple[int, int]) -> None:
    window = Window(4, 4, 596, 896)
    grid = nominal_grid(window, Fraction(scale))
    assert (grid.window.size, grid.lr) == (Size(*hr), Size(*lr))
    assert [Fraction(h, s) for h, s in zip(grid.window.size, grid.lr, strict=True)] == [Fraction(scale)] * 2
    assert grid.window.common(window) == grid.window
    with pytest.raises(ScaleError, match="no pixels for the scale"):
        nominal_grid(Window(0, 0, 36, 90), Fraction("3.7"))


def test_lr_pixels_share_hr_among_them() -> None:
    grid = Grid(Window(10, 20, 16, 32), Size(3, 4))
    assert list(grid.factors) == [3, 2]
    assert grid.centres(0, 1).tolist() == [[21, 10.5], [24, 10.5], [27, 10.5], [30, 10.5]]
    assert grid.centres(2, 3)[0].tolist() == [21, 14.5]


def test_the_scale_is_measured_between_the_middles_of_the_sides() -> None:
    window = Window(30, 40, 250, 340)
    assert measured_scale(zoomed(2.5, (9.0, 4.0), 0.3), window) == pytest.approx((2.5, 2.5))
    barrel = zoomed(1.0, k1=-0.04)
    left, right = barrel.to_frame(np.array([[39.5, 139.5], [339.5, 139.5]]))
    assert measured_scale(barrel, window)[0] == pytest.approx(300 / math.dist(left, right))
    assert measured_scale(barrel, window)[0] > 1.01


@pytest.mark.parametrize(
    "frame_map", [zoomed(1.004, (2.3, 1.7)), zoomed(1.3, (60.2, 40.9), 0.005, -0.02)], ids=["near", "turned"]
)
def test_sampling_is_exact(frame_map: FrameMap) -> None:
    """Against the scene itself, at the places where LR's pixels look: also where one band of rows meets the next."""
    grid = Grid(Window(10, 10, 280, 380), Size(261, 360))
    assert grid.lr.height > ROWS
    crop = resampled(photograph(), frame_map, grid)
    x = (np.arange(360) + 0.5) * 370 / 360 + 9.5
    y = (np.arange(261) + 0.5) * 270 / 261 + 9.5
    truth = waves(frame_map.to_frame(np.stack(np.meshgrid(x, y), axis=-1)))
    error = crop.pixels - truth
    assert np.abs(error).max() < 2
    assert np.sqrt(np.mean(error**2)) < 0.43  # two roundings alone make 0.41
    assert (crop.lr_size, crop.kernel, crop.residual_px) == (grid.lr, "lanczos4", 0)


def test_nothing_changes_where_nothing_moves() -> None:
    grid = Grid(Window(12, 20, 212, 320), Size(200, 300))
    crop = resampled(photograph(), zoomed(1.0), grid)
    np.testing.assert_array_equal(crop.pixels, photograph()[12:212, 20:320])


Cut = Callable[[NDArray[np.uint8], Gain | None], Any]
CUTS: dict[str, Cut] = {
    "resampled": lambda pixels, gain: resampled(pixels, zoomed(1.0), Grid(Window(9, 9, 19, 29), Size(10, 20)), gain),
    "cut out": lambda pixels, gain: cut_out(pixels, zoomed(1.0), Window(9, 9, 19, 29), gain),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_the_gain_is_applied_once_and_clipped_when_written(cut: Cut) -> None:
    pixels = np.full((40, 40, 3), (100, 200, 50), np.uint8)
    pixels[9:11, 9:29] = (254, 0, 1)  # a fifth of what is cut, white and black before any gain
    crop = cut(pixels, Gain((1.5, 1.5, 0.5), (-20.0, 0.0, -30.0)))
    assert crop.pixels[5, 5].tolist() == [130, 255, 0]
    assert (crop.clipped, crop.black, crop.newly_clipped) == (0.2, 0.2, 0.8)
    as_it_was = cut(pixels, None)
    assert as_it_was.pixels[5, 5].tolist() == [100, 200, 50]
    assert (as_it_was.clipped, as_it_was.black, as_it_was.newly_clipped) == (0.2, 0.2, 0)


def test_cutting_out_tells_how_far_the_corners_are_off() -> None:
    window = Window(20, 30, 220, 330)  # HR twice as large as LR
    exact = cut_out(photograph(), zoomed(2.0, (-0.25 + 7, -0.25 + 3)), window)  # borders on borders of pixels
    assert exact.residual_px == pytest.approx(0, abs=1e-9)
    assert exact.kernel == "crop-only"
    np.testing.assert_array_equal(exact.pixels, photograph()[13:113, 22:172])
    off = cut_out(photograph(), zoomed(2.0, (-0.25 + 7.3, -0.25 + 3.4)), window)
    assert off.residual_px == pytest.approx(0.5)
    np.testing.assert_array_equal(off.pixels, exact.pixels)
    turned = cut_out(photograph(), zoomed(2.0, (6.75, 2.75), 0.01), window)  # about the first pixel: the far corner
    assert turned.residual_px == pytest.approx(1.0, abs=0.3)


def test_the_true_maps_of_a_run(shared: Path) -> None:
    run = true_run(shared / "data" / "zoom" / "spices")
    for frame in run.frames:
        np.testing.assert_allclose(frame.map.to_frame(frame.reference), frame.checked, atol=2e-3)
    window = common_window([frame.map for frame in run.frames], Size(600, 900))
    assert window == Window(4, 4, 596, 896)
    for frame in run.frames:
        assert measured_scale(frame.map, window) == pytest.approx((frame.scale, frame.scale), rel=5e-3)
