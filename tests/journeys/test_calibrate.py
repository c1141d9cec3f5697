"""A simulated camera photographs the target over its zoom; from its files to verified positions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anyzoom.calibrate import read_lens
from anyzoom.calibrate.target import design, rasterised, write_target
from anyzoom.capture.simulate.camera import SimulatedCamera
from anyzoom.capture.simulate.run import simulate_run, write_run

Command = Callable[..., Any]  # gives a Done of tests/conftest.py
SCALES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)


@pytest.mark.campaign
def test_from_a_simulated_run_to_verified_positions(anyzoom: Command, tmp_path: Path) -> None:
    """13 shots with drift, roll, blur, mosaic, noise and JPEG: within 0.2 %, after one verification within 0.1 %."""
    target = design(SCALES, smallest_mm=100)
    write_target(target, tmp_path / "board.json")
    sheet, _ = rasterised(target, 8)
    camera = SimulatedCamera()
    rings = np.linspace(0, camera.lens.travel, 13).tolist()
    run = simulate_run(sheet, camera, motor=rings, seed=1)
    write_run(tmp_path / "run", run)
    lens = tmp_path / "lens.json"
    words = ("-o", lens, "--target", tmp_path / "board.json", "--overwrite")
    done = anyzoom("calibrate", "solve", tmp_path / "run" / "scene.json", "--scales", "1.5,2,2.5,3,3.5,4", *words)
    assert done.code == 0, done
    profile = read_lens(lens)
    assert tuple(wanted.scale for wanted in profile.wanted) == SCALES
    for shot, frame in zip(profile.shots, run.truth.frames, strict=True):
        scale = profile.longest.px_per_mm / shot.px_per_mm
        assert scale == pytest.approx(frame.magnification_to_reference, rel=1.2e-3)
        assert shot.k1 == pytest.approx(frame.k1, abs=2e-3)
    for wanted in profile.wanted:
        assert 4 / camera.lens.magnification(wanted.ring) == pytest.approx(wanted.scale, rel=2e-3)

    checks = [*(wanted.ring for wanted in profile.wanted), camera.lens.travel]
    write_run(tmp_path / "check", simulate_run(sheet, camera, motor=checks, seed=2))
    anyzoom("calibrate", "verify", lens, tmp_path / "check" / "scene.json", *words)
    for wanted in read_lens(lens).wanted:
        assert wanted.tries
        assert 4 / camera.lens.magnification(wanted.ring) == pytest.approx(wanted.scale, rel=1e-3)
