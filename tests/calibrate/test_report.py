"""The report: everything is said, shown, and in the page itself."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.calibrate.test_solve import SIZE, a_shot, shots

from anyzoom.calibrate.detect import Checkerboard, Corners
from anyzoom.calibrate.report import write_report
from anyzoom.calibrate.scale import view_of
from anyzoom.calibrate.shots import Measured
from anyzoom.calibrate.solve import solve, verify
from anyzoom.calibrate.target import Target
from anyzoom.capture.simulate.lens import SimulatedLens
from anyzoom.errors import CannotWrite
from anyzoom.geometry import Points

BOARD: Points = 20.0 * np.stack(np.meshgrid(np.arange(5.0), np.arange(4.0)), axis=-1).reshape(-1, 2)


def photographs(count: int) -> list[Measured]:
    corners = Corners(1500 + 20 * BOARD, BOARD)
    view = view_of(corners, SIZE)
    return [Measured(shot, SIZE, b"\xff\xd8picture", corners, view) for shot in shots(SimulatedLens(), count)]


def test_the_page(tmp_path: Path, target: Target) -> None:
    lens = SimulatedLens()
    extra = [a_shot(lens, 40, "return").model_copy(update={"file": "<b>.jpg"})]
    profile = solve([*shots(lens), *extra], [1.5, 3, 6], SIZE)
    profile = verify(profile, [a_shot(lens, profile.wanted[0].ring), a_shot(lens, profile.wanted[1].ring + 1)])
    path = tmp_path / "lens.html"
    seen = photographs(13)
    seen[3] = seen[3]._replace(shot=seen[3].shot.model_copy(update={"file": "<i>.jpg"}))
    write_report(path, profile, seen, target)
    page = path.read_text("utf-8")
    assert not re.search(r"(?:src|href)=\"(?!data:)|http", page)  # nothing from elsewhere
    assert page.count("<figure>") == page.count("data:image/jpeg;base64,/9hwaWN0dXJl") == 13
    assert page.count("<circle") == 2 * 14
    assert "Out of reach: x6." in page
    assert not re.search("<[bi]>", page)
    assert page.count("&lt;b&gt;.jpg") == 2  # in both charts
    assert page.count("&lt;i&gt;.jpg") == 1
    assert page.count('class="good">verified') == page.count('class="open">corrected: verify again') == 1
    assert f"{100 * (profile.repeatability or 0):.3f} %" in page
    for wanted in profile.wanted:
        assert f"<td>x{wanted.scale:g}</td><td>{wanted.ring:.4f}</td>" in page
    outlines = re.search(r'<path d="(M[^"]*)" fill="none" stroke="#e0a000"', page)
    assert outlines
    assert outlines[1].count("z") == len(target.scales)


def test_a_checkerboard_has_no_rectangles(tmp_path: Path) -> None:
    path = tmp_path / "lens.html"
    write_report(path, solve(shots(SimulatedLens()), [2], SIZE), photographs(1), Checkerboard(20))
    page = path.read_text("utf-8")
    assert '<path d="" fill="none" stroke="#e0a000"' in page
    assert "Backlash: not measured" in page
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        write_report(tmp_path / "missing" / "a.html", solve(shots(SimulatedLens()), [2], SIZE), [], Checkerboard(20))
