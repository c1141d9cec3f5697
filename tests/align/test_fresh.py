"""The bars on zoom runs that are simulated here, whole and with faults; minutes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.align.test_register import hold, measured, read

from anyzoom.align.frames import read_scene
from anyzoom.align.register import register_scene
from anyzoom.align.scene import Settings, align_scene
from anyzoom.capture import Fault, simulate_run, write_run
from anyzoom.capture.simulate.scenes import dead_leaves
from anyzoom.grid import Size

pytestmark = pytest.mark.campaign

PICTURE = Size(2500, 3750)  # the widest of 900x600 frames sees nearly all of it, at about one pixel per pixel of tele
FAULTS = {
    1: Fault(exposure_ev=-1),
    2: Fault(moved=0.12),
    4: Fault(defocus_px=1.5),
    6: Fault(exposure_ev=1.3),
    8: Fault(exposure_ev=-4),
}


def fresh(folder: Path, seed: int, faults: dict[int, Fault] | None = None) -> Path:
    """A scene that is neither black nor white anywhere: exposed so that brighter frames keep their colours."""
    picture = np.rint(20 + dead_leaves(PICTURE, seed) * np.float32(0.82)).astype(np.uint8)
    write_run(folder, simulate_run(picture, faults=faults, seed=seed))
    return folder


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_the_bars_on_a_fresh_run(tmp_path: Path, seed: int) -> None:
    folder = fresh(tmp_path / "run", seed)
    registered, rejected = register_scene(read_scene(folder), read)
    assert rejected == []
    assert len(registered) == 11
    hold(measured(folder, registered))
    told, _ = align_scene(folder, "run", "train", Settings(), tmp_path / "files")
    assert (told.rejected, told.pairs) == ((), 11)


@pytest.mark.parametrize("seed", [201, 202])
def test_the_faults_of_a_fresh_run_are_told_apart(tmp_path: Path, seed: int) -> None:
    """Half the light does no harm; a sixteenth of it is too dark, which is told after the frame was registered."""
    folder = fresh(tmp_path / "run", seed, FAULTS)
    told, _ = align_scene(folder, "run", "train", Settings(), tmp_path / "files")
    names = [frame.path.name for frame in read_scene(folder).frames]
    causes = {one.frame: one.cause for one in reversed(told.rejected)}
    assert set(causes) == {names[i] for i in (2, 4, 6, 8)}
    assert "moved object" in causes[names[2]]
    assert "out of focus" in causes[names[4]]
    assert "over-exposed" in causes[names[6]] or "too bright" in causes[names[6]]
    assert re.search(r"too dark, gain [345]", causes[names[8]])
    assert told.pairs == 7
