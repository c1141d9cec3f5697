"""What one scene needs besides its photographs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from anyzoom.align.records import ZoomFrame, ZoomScene
from anyzoom.align.scene import calibrated
from anyzoom.errors import CalibrationError, RecipeError
from anyzoom.grid import Size

SIZE = Size(60, 90)


def a_scene(*rings: float | None, size: Size = SIZE) -> ZoomScene:
    return ZoomScene("a", tuple(ZoomFrame(Path(f"{k}.jpg"), size, 1.0, ring=ring) for k, ring in enumerate(rings)))


def a_lens() -> Any:
    def k1(ring: float) -> float:
        if ring > 10:
            raise CalibrationError(f"position {ring:g} was not calibrated.")
        return ring / 1000

    return SimpleNamespace(k1=k1, size=SIZE)


def test_distortion_comes_from_the_calibration() -> None:
    scene = a_scene(2.0, 5.0)
    k1 = calibrated(a_lens(), scene)
    assert [k1(frame) for frame in scene.frames] == [0.002, 0.005]


@pytest.mark.parametrize(
    ("scene", "message"),
    [
        (a_scene(2.0, None), r"1\.jpg: no ring position is known, which --lens needs\. Name them in scene\.json\."),
        (a_scene(2.0, 11.0), r"1\.jpg: position 11 was not calibrated\."),
        (a_scene(2.0, size=Size(6, 9)), r"0\.jpg is 9x6, but the lens was calibrated with photographs of 90x60\."),
    ],
)
def test_what_the_calibration_cannot_tell_is_refused(scene: ZoomScene, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        calibrated(a_lens(), scene)
