"""The live camera: frames of the simulator, one at a time, and its faults."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from anyzoom.capture import Fault, SimulatedCamera, SimulatedLens, dead_leaves
from anyzoom.capture.rig import Camera
from anyzoom.capture.simulate.live import LiveCamera, LiveFault
from anyzoom.capture.simulate.run import filling, mounted, posed, simulate_shot
from anyzoom.errors import CameraError, CannotRead, CannotWrite
from anyzoom.geometry import Points
from anyzoom.grid import Size
from anyzoom.image import read_image
from anyzoom.image.exif import taken

SMALL = SimulatedCamera(size=Size(100, 150), lens=SimulatedLens(wide_mm=50))
SCENE = dead_leaves(Size(320, 480), seed=4)


class Instant:
    """A clock on which sleeping takes no time."""

    seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def today(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Ring:
    """Where a motor has turned it."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def live(faults: dict[int, LiveFault] | None = None, at: float = 80.0, seed: int = 3) -> tuple[LiveCamera, Ring]:
    ring = Ring()
    ring.at = at
    return LiveCamera(SCENE, ring, SMALL, clock=Instant(), faults=faults, seed=seed), ring


def pixels(path: Path) -> NDArray[np.float64]:
    return np.asarray(Image.open(path).convert("RGB"), np.float64)


def test_it_shows_what_the_ring_shows(tmp_path: Path) -> None:
    camera, ring = live()
    for number, place in enumerate((0.0, 40.0, 80.0)):
        ring.at = place
        assert camera.shoot(tmp_path, f"frame_{number}") == (tmp_path / f"frame_{number}.jpg",)
    truths = [shot.truth for shot in camera.shots]
    assert [truth.ring for truth in truths] == [0, 40, 80]
    assert [truth.nominal_focal_mm for truth in truths] == [50, 85, 140]
    assert truths[-1].magnification_to_reference == 1
    assert [truth.file for truth in truths] == ["frame_0.jpg", "frame_1.jpg", "frame_2.jpg"]
    assert taken(read_image(tmp_path / "frame_1.jpg").metadata.exif).focal_mm == 85
    assert sorted(path.name for path in tmp_path.iterdir()) == ["frame_0.jpg", "frame_1.jpg", "frame_2.jpg"]


def test_its_physics_are_those_of_a_run(tmp_path: Path) -> None:
    """The same shot, made by hand of the parts of `simulate_run`, has the same bytes and the same truth."""
    camera, _ = live({0: LiveFault(refuses="busy")}, at=40.0)
    with pytest.raises(CameraError):
        camera.shoot(tmp_path, "a")
    (path,) = camera.shoot(tmp_path, "a")
    mount = mounted(SMALL, np.random.default_rng((3, 0)))
    pose = posed(SMALL, mount, 40.0, 40.0, np.random.default_rng((3, 3, 1)))
    still = SMALL.model_copy(update={"pointing_px": 0.0, "roll_deg": (0.0, 0.0)})
    reference = posed(still, mount, 80.0, 80.0, np.random.default_rng(0))
    widest = [
        posed(still, mount, 0.0, 0.0, np.random.default_rng(0))._replace(
            roll=math.radians(roll), pointing=(x * 2.8, y * 2.8)
        )
        for roll in (-0.3, 0.3)
        for x in (-1, 1)
        for y in (-1, 1)
    ]
    per_px = filling(SCENE, widest, SMALL.size)
    frame = simulate_shot(SCENE, per_px, SMALL, pose, reference, 1, Fault(), 3)
    assert path.read_bytes() == frame.file
    assert camera.shots[0].truth == frame.truth.model_copy(update={"file": "a.jpg"})


def test_a_shot_depends_on_the_seed_and_its_number_alone(tmp_path: Path) -> None:
    first, ring = live()
    ring.at = 10.0
    first.shoot(tmp_path, "a0")
    ring.at = 60.0
    first.shoot(tmp_path, "a1")
    again, _ = live({0: LiveFault(refuses="busy")}, at=60.0)
    with pytest.raises(CameraError):
        again.shoot(tmp_path, "b0")
    again.shoot(tmp_path, "b1")
    assert (tmp_path / "a1.jpg").read_bytes() == (tmp_path / "b1.jpg").read_bytes()
    again.shoot(tmp_path, "b2")
    assert (tmp_path / "b1.jpg").read_bytes() != (tmp_path / "b2.jpg").read_bytes()
    other, _ = live(at=60.0, seed=4)
    other.shoot(tmp_path, "c0")
    other.shoot(tmp_path, "c1")
    assert (tmp_path / "a1.jpg").read_bytes() != (tmp_path / "c1.jpg").read_bytes()


def test_the_map_between_two_shots_leads_through_the_reference(tmp_path: Path) -> None:
    camera, ring = live()
    ring.at = 30.0
    camera.shoot(tmp_path, "a")
    ring.at = 70.0
    camera.shoot(tmp_path, "b")
    a, b = (shot.truth for shot in camera.shots)
    points: Points = np.random.default_rng(1).uniform((40, 30), (110, 70), (20, 2))
    mapped = b.map.to_frame(a.map.to_reference(points))
    undistorted = np.c_[a.map.frame.undistorted(points), np.ones(20)] @ np.linalg.inv(a.H_scene_to_frame).T
    seen = np.c_[undistorted[:, :2] / undistorted[:, 2:], np.ones(20)] @ np.array(b.H_scene_to_frame).T
    np.testing.assert_allclose(mapped, b.map.frame.distorted(seen[:, :2]), atol=1e-7)


@pytest.mark.parametrize(
    ("kind", "sentence", "again", "waited"),
    [
        ("hang", r"no answer within 60 s\..* 2 restarts did not help", False, 180),
        ("full", "card or memory is full", False, 0),
        ("busy", "the camera is busy", True, 0),
        ("disconnect", "there is no camera", True, 0),
    ],
)
def test_a_refusal_is_worded_as_that_of_a_real_camera(
    tmp_path: Path, kind: str, sentence: str, again: bool, waited: float
) -> None:
    camera, _ = live({0: LiveFault.model_validate({"refuses": kind})})
    clock = camera._clock
    with pytest.raises(CameraError, match=sentence) as caught:
        camera.shoot(tmp_path, "a")
    assert caught.value.again is again
    assert clock.now() == waited
    assert list(tmp_path.iterdir()) == []
    assert camera.shots == []
    camera.shoot(tmp_path, "a")
    assert camera.shots[0].number == 1


def test_faults_of_the_picture(tmp_path: Path) -> None:
    faults = {
        1: Fault(black=True),
        2: Fault(moved=0.1),
        3: Fault(defocus_px=2.0),
        4: Fault(exposure_ev=1.5),
    }
    camera, _ = live({number: LiveFault(picture=fault) for number, fault in faults.items()})
    shown = [pixels(camera.shoot(tmp_path, str(number))[0]) for number in range(5)]
    sharp = [np.abs(np.diff(one, axis=1)).mean() for one in shown]
    assert shown[1].max() < 20
    assert sharp[3] < 0.6 * sharp[0]
    assert shown[4].mean() > shown[0].mean() + 30
    assert camera.shots[2].truth.moved_box is not None
    assert [shot.truth.fault for shot in camera.shots[1:]] == list(faults.values())
    x, y, width, height = (round(value) for value in camera.shots[2].truth.moved_box)
    off = np.abs(shown[2] - shown[0]).mean(axis=2)
    assert off[y + 5 : y + height - 5, x + 5 : x + width - 5].mean() > 2 * np.median(off)


def test_a_truncated_file_does_not_decode(tmp_path: Path) -> None:
    camera, _ = live({0: LiveFault(truncated=True)})
    (path,) = camera.shoot(tmp_path, "a")
    with pytest.raises(CannotRead):
        read_image(path)
    camera.shoot(tmp_path, "a")
    read_image(path)


def test_settings_are_found_and_refused() -> None:
    camera: Camera = live()[0]
    assert camera.settings()["aperture"] == "f/8"
    assert camera.configure({"aperture": "11", "iso": "200"}) == {"aperture": "f/11", "iso": "200"}
    assert camera.settings() == {
        "iso": "200",
        "shutterspeed": "1/125",
        "aperture": "f/11",
        "whitebalance": "Daylight",
        "quality": "JPEG Fine",
    }
    with pytest.raises(CameraError, match="nearest values: 200, 400, 100, 800"):
        camera.configure({"iso": "300"})
    with pytest.raises(CameraError, match="has no setting 'zoom'"):
        camera.configure({"zoom": "2"})


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotWrite, match="its folder does not exist"):
        live()[0].shoot(tmp_path / "nowhere", "a")


def test_the_belt_slips_elsewhere() -> None:
    with pytest.raises(ValidationError, match="slips at the motor"):
        LiveFault(picture=Fault(slip=1.0))
