"""The simulated camera against its own word: every frame lies where its truth says, and looks as it says."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from anyzoom.capture import Fault, SimulatedCamera, SimulatedLens, bare_wall, dead_leaves, simulate_run, write_run
from anyzoom.capture.simulate.run import FrameTruth, RunTruth
from anyzoom.errors import CannotWrite, ScaleError, ShapeError
from anyzoom.geometry import Lens, Points
from anyzoom.grid import Size
from anyzoom.image import read_image
from anyzoom.image.colour import decode_srgb, encode_srgb

SMALL = Size(100, 150)
QUIET = SimulatedCamera(  # no noise to speak of, nothing lost to coding
    size=SMALL,
    lens=SimulatedLens(wide_mm=50),
    exposure=(1, 1),
    white_balance=(1, 1),
    offset=(0, 0),
    white_electrons=1e9,
    read_electrons=1e-3,
    jpeg_quality=None,
)
NOISY = SimulatedCamera(size=SMALL, lens=SimulatedLens(wide_mm=50))
SCENE = dead_leaves(Size(320, 480), seed=4)


def light_of(pixels: NDArray[np.uint8] | int) -> NDArray[np.float64]:
    return decode_srgb(np.asarray(pixels, np.float64) / 255)


def dots(size: Size, pitch: int) -> tuple[NDArray[np.uint8], Points]:
    """Soft dots on black, their standard deviation 2 pixels, and where they are."""
    rng = np.random.default_rng(2)
    y, x = np.arange(pitch, size.height - pitch, pitch), np.arange(pitch, size.width - pitch, pitch)
    places = np.array(list(itertools.product(x, y))) + rng.uniform(-0.5, 0.5, (len(x) * len(y), 2))
    rows, columns = np.mgrid[: size.height, : size.width]
    light = sum(np.exp(-((columns - at_x) ** 2 + (rows - at_y) ** 2) / 8) for at_x, at_y in places)
    code = np.rint(255 * encode_srgb(np.asarray(light))).astype(np.uint8)
    return np.repeat(code[..., None], 3, axis=-1), places


def in_frame(truth: FrameTruth, points: Points) -> Points:
    """From the scene's picture to the frame, as the words of the truth say."""
    undistorted = np.c_[points, np.ones(len(points))] @ np.array(truth.H_scene_to_frame).T
    return lens_of(truth).distorted(undistorted[:, :2].astype(np.float64))


def lens_of(truth: FrameTruth) -> Lens:
    return Lens(truth.principal_point, truth.k1, math.hypot(*SMALL) / 2)


def centroid(light: NDArray[np.float64], near: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    x, y = np.rint(near).astype(int)
    part = light[y - reach : y + reach + 1, x - reach : x + reach + 1, 1]
    rows, columns = np.mgrid[y - reach : y + reach + 1, x - reach : x + reach + 1]
    middle: NDArray[np.float64] = np.array([(part * columns).sum(), (part * rows).sum()]) / part.sum()
    return middle


def test_dots_lie_where_the_truth_says() -> None:
    """Centroids in linear light within 0.02 pixels, at every zoom, from the middle to the corners."""
    picture, places = dots(Size(480, 720), pitch=48)
    run = simulate_run(picture, QUIET, frames=4, scene_scale=1.5, seed=1)
    for frame in run.frames:
        seen = in_frame(frame.truth, places)
        reach = math.ceil(2.5 + 5 / frame.truth.magnification_to_reference)
        sides = np.array([SMALL.width, SMALL.height])
        inside = np.all((seen > reach + 1) & (seen < sides - reach - 2), axis=1)
        assert inside.sum() >= 6
        light = light_of(frame.pixels)
        found = np.array([centroid(light, point, reach) for point in seen[inside]])
        assert np.hypot(*(found - seen[inside]).T).max() < 0.02


def test_maps_join_what_the_frames_saw_of_the_scene() -> None:
    run = simulate_run(SCENE, QUIET, frames=3)
    places = np.random.default_rng(1).uniform((200, 130), (280, 190), (20, 2))
    reference = in_frame(run.frames[-1].truth, places)
    for frame in run.frames:
        np.testing.assert_allclose(frame.truth.map.to_frame(reference), in_frame(frame.truth, places), atol=1e-9)
        x, y, reference_x, reference_y = np.array(frame.truth.check_points).T
        points = frame.truth.map.to_reference(np.c_[x, y])
        np.testing.assert_allclose(points, np.c_[reference_x, reference_y], atol=1e-8)
    assert len({frame.truth.k1 for frame in run.frames}) == 3
    assert run.frames[0].truth.magnification_to_reference == pytest.approx(140 / 50)


def test_brightness_is_that_of_the_areas() -> None:
    """A fine chequerboard of black and white is seen as half the light, not as half the code."""
    chequers = (np.indices((400, 600)).sum(axis=0) % 2 * 255).astype(np.uint8)
    run = simulate_run(np.repeat(chequers[..., None], 3, axis=-1), QUIET, motor=[0.0])
    assert np.abs(light_of(run.frames[0].pixels) - 0.5).max() < 0.01


def test_gain_and_offset_act_on_codes() -> None:
    ideal = simulate_run(SCENE, QUIET, frames=2).frames[0].pixels.astype(np.float64)
    toned = QUIET.model_copy(update={"exposure": (0.9, 1.1), "white_balance": (0.95, 1.05), "offset": (-4.0, 4.0)})
    run = simulate_run(SCENE, toned, frames=2)
    truth = run.frames[0].truth
    expected = (ideal * truth.gain + truth.offset).clip(0, 255)
    assert max(map(abs, truth.offset)) > 0.5
    assert np.abs(run.frames[0].pixels - expected).max() <= 1.6  # both are rounded
    assert (*run.frames[-1].truth.gain, *run.frames[-1].truth.offset) == (1, 1, 1, 0, 0, 0)


def test_corners_lose_the_light_that_vignetting_takes() -> None:
    wall = np.full((200, 300, 3), 180, np.uint8)
    run = simulate_run(wall, QUIET.model_copy(update={"vignetting": (0.3, 0.3)}), motor=[40.0])
    light = light_of(run.frames[0].pixels)[..., 1] / light_of(180)
    assert light[50, 75] == pytest.approx(1, abs=0.01)
    assert light[[0, 0, -1, -1], [0, -1, 0, -1]] == pytest.approx(0.7, abs=0.01)


def test_noise_has_the_variance_that_was_asked_for() -> None:
    code = 120
    camera = QUIET.model_copy(update={"white_electrons": 1000.0, "read_electrons": 5.0})
    run = simulate_run(np.full((200, 300, 3), code, np.uint8), camera, motor=[0.0])
    level = float(light_of(code))
    assert light_of(run.frames[0].pixels).std() == pytest.approx(math.sqrt(level / 1000 + (5 / 1000) ** 2), rel=0.05)


def test_a_sensor_with_colour_filters_shifts_nothing() -> None:
    plain = simulate_run(SCENE, QUIET, frames=2).frames[0].pixels.astype(np.float64).mean(axis=2)
    filtered = simulate_run(SCENE, QUIET.model_copy(update={"mosaic": True}), frames=2).frames[0].pixels
    grey = filtered.astype(np.float64).mean(axis=2)
    assert not np.array_equal(plain, grey)

    def likeness(down: int, across: int) -> float:
        return float(np.abs(plain[2:-2, 2:-2] - np.roll(grey, (down, across), (0, 1))[2:-2, 2:-2]).mean())

    around = [likeness(down, across) for down in (-1, 0, 1) for across in (-1, 0, 1) if down or across]
    assert likeness(0, 0) < 0.5 * min(around)
    assert likeness(0, -1) == pytest.approx(likeness(0, 1), rel=0.1)
    assert likeness(-1, 0) == pytest.approx(likeness(1, 0), rel=0.1)


def test_tiles_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = simulate_run(SCENE, QUIET, motor=[20.0]).frames[0].pixels.astype(int)
    monkeypatch.setattr("anyzoom.capture.simulate.camera.TILE", 37)
    difference = np.abs(simulate_run(SCENE, QUIET, motor=[20.0]).frames[0].pixels - whole)
    assert difference.max() <= 3
    assert difference.mean() < 0.2


def test_the_picture_just_fills_the_widest_frame() -> None:
    """Unless a scale is given; and then what lies beyond is mirrored."""
    run = simulate_run(SCENE, QUIET, frames=2)
    corners = np.array([[0, 0], [SMALL.width - 1, 0], [0, SMALL.height - 1], [SMALL.width - 1, SMALL.height - 1]])
    truth = run.frames[0].truth
    back = np.linalg.inv(np.array(truth.H_scene_to_frame))
    seen = lens_of(truth).undistorted(corners.astype(float)) @ back[:2, :2].T + back[:2, 2]
    assert seen.min() > 0
    assert np.all(seen.max(axis=0) < [479, 319])
    assert min(seen[:, 0].min(), 479 - seen[:, 0].max(), seen[:, 1].min(), 319 - seen[:, 1].max()) < 4
    small = simulate_run(SCENE[:60, :90], QUIET, frames=2, scene_scale=1.0)
    assert small.frames[0].pixels.std() > 10


def test_equal_arguments_give_equal_bytes() -> None:
    first, again, other = (simulate_run(SCENE, NOISY, frames=2, seed=seed) for seed in (3, 3, 4))
    assert [frame.file for frame in first.frames] == [frame.file for frame in again.frames]
    assert first.truth == again.truth
    assert first.frames[0].file != other.frames[0].file
    assert first.truth.frames[0].map != other.truth.frames[0].map


def test_something_moves_in_its_box_alone() -> None:
    still = simulate_run(SCENE, QUIET, frames=3)
    moved = simulate_run(SCENE, QUIET, frames=3, faults={1: Fault(moved=0.12)})
    assert moved.frames[1].truth.moved_box is not None
    x, y, width, height = moved.frames[1].truth.moved_box
    assert width * height == pytest.approx(0.12 * SMALL.pixels)
    assert still.frames[0].file == moved.frames[0].file
    assert still.frames[2].file == moved.frames[2].file
    rows, columns = np.nonzero(np.abs(still.frames[1].pixels.astype(int) - moved.frames[1].pixels).max(axis=2) > 8)
    seen = moved.frames[1].truth.map.to_reference(np.c_[columns, rows].astype(float))
    margin = 3 * moved.frames[1].truth.magnification_to_reference
    assert len(seen) > 100
    assert np.all(seen > [x - margin, y - margin])
    assert np.all(seen < [x + width + margin, y + height + margin])


def test_faults_do_what_they_say() -> None:
    faults = {0: Fault(defocus_px=1.5), 1: Fault(exposure_ev=2.0), 2: Fault(black=True)}
    clean = simulate_run(SCENE, QUIET, frames=4)
    run = simulate_run(SCENE, QUIET, frames=4, faults=faults)
    sharp, soft = (np.abs(np.diff(a.frames[0].pixels.astype(int), axis=1)).mean() for a in (clean, run))
    assert soft < 0.6 * sharp
    light, bright = light_of(clean.frames[1].pixels), light_of(run.frames[1].pixels)
    dim = light < 0.2
    np.testing.assert_allclose(bright[dim], 4 * light[dim], atol=0.03)
    assert (run.frames[1].pixels == 255).mean() > 0.1
    assert run.frames[2].pixels.max() <= 1
    assert run.frames[3].file == clean.frames[3].file


def test_a_belt_that_slips_sets_the_zoom_back() -> None:
    step = NOISY.lens.travel / 4
    run = simulate_run(SCENE, NOISY, frames=5, faults={2: Fault(slip=1.2 * step)})
    rings = [truth.ring for truth in run.truth.frames]
    assert rings == pytest.approx([0, step, 0.8 * step, 1.8 * step, 2.8 * step])
    assert [truth.motor for truth in run.truth.frames] == pytest.approx([0, step, 2 * step, 3 * step, 4 * step])


def test_a_run_on_disk(tmp_path: Path) -> None:
    run = simulate_run(SCENE, NOISY, frames=3, name="leaves")
    write_run(tmp_path / "run", run)
    told = json.loads((tmp_path / "run" / "scene.json").read_text())
    assert told["version"] == 1
    assert [row["file"] for row in told["frames"]] == [truth.file for truth in run.truth.frames]
    assert [row["ring"] for row in told["frames"]] == [0, 40, 80]
    assert RunTruth.model_validate_json((tmp_path / "run" / "truth.json").read_bytes()) == run.truth
    for frame in run.frames:
        path = tmp_path / "run" / frame.truth.file
        np.testing.assert_array_equal(read_image(path).pixels, frame.pixels)
        with Image.open(path) as photo:
            focal_mm = photo.getexif().get_ifd(0x8769)[37386]
        assert focal_mm == frame.truth.nominal_focal_mm == round(frame.truth.true_focal_mm)
    with pytest.raises(CannotWrite, match="not empty"):
        write_run(tmp_path / "run", run)


def test_png_holds_the_focal_length_too() -> None:
    frame = simulate_run(SCENE, QUIET, motor=[80.0]).frames[0]
    assert frame.file.startswith(b"\x89PNG")
    assert frame.truth.file == "frame_000_140mm.png"


def test_scenes_with_and_without_something_to_find() -> None:
    size = Size(120, 180)
    leaves, wall = dead_leaves(size, 1), bare_wall(size, 1)
    assert leaves.shape == wall.shape == (*size, 3)
    assert leaves.std() > 40
    assert np.abs(np.diff(wall.astype(int), axis=1)).max() <= 1
    np.testing.assert_array_equal(leaves, dead_leaves(size, 1))
    assert not np.array_equal(leaves, dead_leaves(size, 2))


def test_what_cannot_be_photographed_is_refused() -> None:
    with pytest.raises(ShapeError, match="8-bit"):
        simulate_run(np.zeros((50, 50), np.uint8))
    with pytest.raises(ScaleError, match="at least one frame"):
        simulate_run(SCENE, motor=[])
    with pytest.raises(ScaleError, match="above 0"):
        simulate_run(SCENE, scene_scale=0.0)
