"""lens.json: what it holds, and what it tells of a lens."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tests.calibrate.test_solve import SIZE, a_shot, shots

from anyzoom.calibrate import LensProfile, lens_schema, read_lens, write_lens
from anyzoom.calibrate.solve import solve
from anyzoom.capture.simulate.lens import SimulatedLens
from anyzoom.errors import CalibrationError, CannotRead, CannotWrite

SCHEMA = Path(__file__).parents[2] / "docs" / "schemas" / "lens.json"


def profile_shot(ring: float, px_per_mm: float) -> dict[str, object]:
    shot = a_shot(SimulatedLens(), ring).model_copy(update={"px_per_mm": px_per_mm})
    return shot.model_dump(mode="json", exclude_none=True)


@pytest.fixture(scope="module")
def profile() -> LensProfile:
    return solve(shots(SimulatedLens()), [1.5, 2, 5], SIZE)


def test_it_comes_back(tmp_path: Path, profile: LensProfile) -> None:
    path = tmp_path / "lens.json"
    write_lens(profile, path)
    again = read_lens(path)
    assert again == profile
    assert again.scale(33.3) == profile.scale(33.3)
    assert path.read_text("utf-8").startswith('{\n  "version": 1,')
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        write_lens(profile, tmp_path / "missing" / "lens.json")


def test_the_schema_is_kept() -> None:
    assert SCHEMA.read_text("utf-8") == lens_schema()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"version": 2}, r"lens\.json: the version is not 1, the one that this anyzoom reads. Update anyzoom\.$"),
        ({"colour": 1}, "colour: Extra inputs are not permitted"),
        ({"shots": []}, "the file: Value error, magnifications should grow along the ring over at least 4 shots"),
        ({"shots": [profile_shot(ring, (5, 6, 7, 6.5, 8)[ring]) for ring in range(5)]}, "should grow along the ring"),
        ({"shots": [profile_shot(ring // 2, 5 + ring) for ring in range(5)]}, "should grow along the ring"),
        ({"width": 0}, "width: Input should be greater"),
        ({"backlash": float("nan")}, "Input should be a finite number|Invalid JSON"),
    ],
)
def test_what_is_no_lens_is_refused(
    tmp_path: Path, profile: LensProfile, changes: dict[str, object], expected: str
) -> None:
    path = tmp_path / "lens.json"
    path.write_text(json.dumps(json.loads(profile.model_dump_json(exclude_none=True)) | changes))
    with pytest.raises(CannotRead, match=expected):
        read_lens(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotRead, match=r"cannot read the lens .*: No such file"):
        read_lens(tmp_path / "lens.json")
    (tmp_path / "lens.json").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(CannotRead, match="the file: "):
        read_lens(tmp_path / "lens.json")


def test_scale_and_distortion_over_the_ring(profile: LensProfile) -> None:
    lens = SimulatedLens()
    for ring in np.linspace(0, 80, 33):
        assert profile.scale(ring) == pytest.approx(4 / lens.magnification(ring), rel=5e-4)
        assert profile.k1(ring) == pytest.approx(lens.k1(ring), abs=3e-4)
        assert profile.ring(profile.scale(ring)) == pytest.approx(ring, abs=1e-6)
    bent = profile.distortion(0)
    assert bent.centre == (2999.5, 1999.5)
    assert bent.radius == pytest.approx(np.hypot(6000, 4000) / 2)
    assert bent.k1 == profile.k1(0)


def test_outside_of_what_was_measured_nothing_is_said(profile: LensProfile) -> None:
    for ring in (-1, 81):
        with pytest.raises(CalibrationError, match=rf"ring position {ring} lies outside .* travel, 0 to 80"):
            profile.scale(ring)
        with pytest.raises(CalibrationError, match="lies outside"):
            profile.k1(ring)
    for scale in (0.9, 4.1, float("nan")):
        with pytest.raises(CalibrationError, match=rf"scale {scale} is out of reach: .* from 1 to 4\.0"):
            profile.ring(scale)
