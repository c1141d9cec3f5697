"""The target: its numbers, and that OpenCV would have drawn the same board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyzoom.calibrate.target import BAR_MM, BLACK, MODULES, Target, board, design, drawn, rasterised, read_target
from anyzoom.calibrate.target import write_target as write
from anyzoom.errors import CalibrationError, CannotRead, CannotWrite


def test_the_example_of_the_docs() -> None:
    """3 m from a sensor 36 mm wide behind 105 mm: the smallest rectangle is 1.03 m wide, x4 needs a wall of 4 m."""
    wall = design([2, 4], smallest_mm=3000 * 36 / 105)
    assert wall.scales == (1.0, 2.0, 4.0)
    assert (wall.columns, wall.rows) == (32, 21)
    assert wall.square_mm == pytest.approx(128.571)
    assert (wall.width_mm, wall.height_mm) == pytest.approx((4114.286 + 30, 2742.857 + 50), abs=1e-3)
    left, top = wall.rectangle(1)[0]
    right, bottom = wall.rectangle(1)[2]
    assert (right - left, bottom - top) == pytest.approx((1028.571, 685.714), abs=1e-3)
    np.testing.assert_allclose(wall.rectangle(4).mean(axis=0), wall.rectangle(1).mean(axis=0))


def test_the_largest_rectangle_fills_a_sheet() -> None:
    sheet = design([1.5, 3], sheet_mm=(420, 297))
    assert sheet.smallest_mm * 3 / 1.5 == pytest.approx(297 - 50)
    assert sheet.scales == (1.0, 1.5, 3.0)
    assert np.all(sheet.rectangle(3) >= 15 - 1e-9)
    x, y = sheet.origin_mm
    assert min(x, y) >= 15
    assert x + sheet.columns * sheet.square_mm <= 405 + 1e-9


def test_rectangles_without_room_are_left_out() -> None:
    near = design([2, 3, 4], smallest_mm=130, sheet_mm=(420, 297))
    assert near.scales == (1.0, 2.0)
    assert near.square_mm == pytest.approx(130 / 8, abs=1e-3)


def test_there_are_markers_for_all_squares() -> None:
    large = design([10], smallest_mm=200)
    assert large.columns * large.rows // 2 <= 1000
    assert len(board(large).getIds()) == large.columns * large.rows // 2


@pytest.mark.parametrize("scales", [[2, 3, 4], [6], [1.3]])
def test_its_red_channel_is_the_board_of_opencv(scales: list[float]) -> None:
    """All of it, as if the red and blue lines were not there."""
    sheet = design(scales, smallest_mm=100)
    raster, (x, y) = rasterised(sheet, 2)
    size = (sheet.columns * MODULES * 2, sheet.rows * MODULES * 2)
    left, top = round(x + 0.5), round(y + 0.5)
    ours = raster[top : top + size[1], left : left + size[0]]
    np.testing.assert_array_equal((ours[..., 0] > 127) * np.uint8(255), board(sheet).generateImage(size))
    assert np.any(ours[..., 2] != ours[..., 0])  # lines are there


def test_the_control_bar() -> None:
    black = next(layer for layer in drawn(design([2], sheet_mm=(420, 297))) if layer.colour == BLACK)
    assert [box.width for box in black.boxes].count(BAR_MM) == 1
    assert {"100 mm"} < {words.text for words in black.words}


def test_labels_stand_in_black_squares() -> None:
    sheet = design([2, 3, 4], sheet_mm=(420, 297))
    raster, _ = rasterised(sheet, 4)
    per_mm = 4 * MODULES / sheet.square_mm
    *_, blue = drawn(sheet)
    assert [words.text for words in blue.words] == ["x1", "x2", "x3", "x4"]
    for words in blue.words:
        place = raster[round((words.y - words.height / 2) * per_mm), round((words.x + words.height / 2) * per_mm)]
        assert place[0] == 0


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"scales": [0.5], "sheet_mm": (420, 297)}, "scale 0.5 is below 1"),
        ({"scales": [float("nan")], "sheet_mm": (420, 297)}, "below 1"),
        ({"scales": [2]}, "needs a sheet size"),
        ({"scales": [6], "sheet_mm": (60, 80)}, "a sheet of 60 x 80 mm has no room for a board"),
        ({"scales": [4], "sheet_mm": (20, 30)}, "has no room for a board"),
    ],
)
def test_refusals(words: dict[str, Any], expected: str) -> None:
    with pytest.raises(CalibrationError, match=expected):
        design(words.pop("scales"), **words)


def test_it_comes_back(tmp_path: Path, target: Target) -> None:
    write(target, tmp_path / "a.json")
    assert read_target(tmp_path / "a.json") == target
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        write(target, tmp_path / "missing" / "a.json")
    with pytest.raises(CannotRead, match=r"cannot read the target .*: No such file"):
        read_target(tmp_path / "b.json")
    (tmp_path / "a.json").write_text('{"version": 1}')
    with pytest.raises(CannotRead, match=r"describes no target \(columns: Field required\)"):
        read_target(tmp_path / "a.json")
