"""Without the optional packages, what to install is said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from anyzoom.calibrate.curve import Curve
from anyzoom.calibrate.detect import Corners
from anyzoom.calibrate.printing import write_pdf
from anyzoom.calibrate.scale import view_of
from anyzoom.calibrate.target import Target, board
from anyzoom.errors import MissingExtra
from anyzoom.grid import Size

INSTALL = r"pip install 'anyzoom\[calibrate\]'"


def without(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


def test_opencv(monkeypatch: pytest.MonkeyPatch, target: Target) -> None:
    monkeypatch.delitem(sys.modules, "anyzoom.calibrate.opencv")
    without(monkeypatch, "cv2")
    with pytest.raises(MissingExtra, match=INSTALL):
        board(target)


def test_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "scipy.optimize", "scipy.interpolate")
    with pytest.raises(MissingExtra, match=INSTALL):
        view_of(Corners(np.zeros((12, 2)), np.zeros((12, 2))), Size(4, 6))
    with pytest.raises(MissingExtra, match=INSTALL):
        Curve(range(4), range(4))


def test_reportlab(monkeypatch: pytest.MonkeyPatch, target: Target, tmp_path: Path) -> None:
    without(monkeypatch, "reportlab.pdfgen.canvas")
    with pytest.raises(MissingExtra, match=INSTALL):
        write_pdf(target, tmp_path / "a.pdf")
