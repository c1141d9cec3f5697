"""Registration without keypoints against exact truth, and on real pairs whose grid is shared."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from anyzoom.align import refine
from anyzoom.align.refine import REFINEMENTS, distances, refined_by_ecc, refined_by_intensity
from anyzoom.capture import SimulatedCamera, SimulatedRun, bare_wall, dead_leaves, simulate_run
from anyzoom.geometry import FrameMap, Lens, Matrix, similarity
from anyzoom.grid import Size
from anyzoom.image import read_image

METHODS = pytest.mark.parametrize("method", list(REFINEMENTS))
IDENTITY: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def pixels_of(path: Path) -> NDArray[np.uint8]:
    return np.asarray(read_image(path).pixels, np.uint8)


def moved(start: FrameMap, matrix: Matrix) -> FrameMap:
    """That matrix after the map's own."""
    first, second, third = (np.array(matrix) @ np.array(start.matrix)).tolist()
    return start.model_copy(update={"matrix": (tuple(first), tuple(second), tuple(third))})


def true_maps(folder: Path) -> tuple[Path, Size, list[tuple[Path, FrameMap]]]:
    """The reference, the size of all frames, and every other frame with its exact map."""
    told = json.loads((folder / "truth.json").read_text())
    frames = {frame["file"]: frame for frame in told["frames"]}

    def lens(frame: dict[str, list[float]]) -> Lens:
        x, y = frame["principal_point"]
        return Lens((x, y), float(frame["k1"]), told["norm_radius_px"])  # type: ignore[arg-type]

    reference = frames.pop(told["reference"])
    plain = FrameMap(reference=lens(reference), frame=lens(reference), matrix=IDENTITY)
    maps = []
    for name, frame in frames.items():
        onto = plain.model_copy(update={"frame": lens(frame)})
        first, second, third = np.linalg.inv(frame["H_frame_to_ref"]).tolist()
        maps.append((folder / name, moved(onto, (tuple(first), tuple(second), tuple(third)))))
    width, height = told["frame_size"]
    return folder / told["reference"], Size(height, width), maps


@METHODS
@pytest.mark.parametrize(
    "scene", ["nightcity", *(pytest.param(s, marks=pytest.mark.campaign) for s in ("spices", "wall_a"))]
)
def test_a_rough_map_is_made_exact(shared: Path, scene: str, method: str) -> None:
    """From 4 to 6 pixels off in the worst corner."""
    reference, size, maps = true_maps(shared / "data" / "zoom" / scene)
    reference_pixels = pixels_of(reference)
    for path, truth in maps[::3]:
        start = moved(truth, similarity(1.006, 0.002, (1.0, -2.0)))
        assert distances(start, truth, size).max() > 3.5
        refined = REFINEMENTS[method](reference_pixels, pixels_of(path), start)
        assert refined is not None
        missed = distances(refined.map, truth, size)
        assert np.median(missed) < {"ecc": 0.06, "intensity": 0.21}[method], path.name
        assert missed.max() < {"ecc": 0.16, "intensity": 0.55}[method], path.name
        apart = distances(refined.map, start, size)
        assert refined.moved_px == pytest.approx(float(np.sqrt(np.mean(apart**2))))
        assert refined.correlation > 0.9


@pytest.fixture(scope="module")
def simulated() -> SimulatedRun:
    camera = SimulatedCamera(size=Size(200, 300))
    return simulate_run(dead_leaves(Size(900, 1340), seed=8), camera, motor=[0.0, 40.0, 80.0], seed=5)


@METHODS
def test_an_exact_map_is_confirmed(simulated: SimulatedRun, method: str) -> None:
    """On a fresh scene of the simulated camera: what is found agrees with what it says."""
    reference = simulated.frames[-1].pixels
    for frame in simulated.frames:
        refined = REFINEMENTS[method](reference, frame.pixels, frame.truth.map)
        assert refined is not None
        assert refined.moved_px < 0.06
        assert distances(refined.map, frame.truth.map, Size(200, 300)).max() < 0.15


@METHODS
@pytest.mark.parametrize(("pair", "factor", "change"), [("nikon/020", 2.9, "scale"), ("iphone/040", 2.2, "shift")])
def test_a_shift_or_scale_of_a_photograph_is_undone(
    shared: Path, pair: str, factor: float, change: str, method: str
) -> None:
    """Half a pixel, or 0.3 %, comes out within 0.1 pixels everywhere beside what the pair shows without it.

    factor: at which the pair was photographed; LR is enlarged by it.
    """
    folder = shared / "data" / "pairs" / "City100"
    hr, lr = (pixels_of(folder / f"{pair}_{kind}.jpg") for kind in ("HR", "LR"))
    height, width = hr.shape[:2]
    middle = (width - 1) / 2, (height - 1) / 2
    plain = Lens(middle, 0.0, width / 2)
    start = FrameMap(reference=plain, frame=plain, matrix=IDENTITY)
    known = {
        "shift": similarity(1.0, 0.0, (0.5, -0.5)),
        "scale": similarity(1.003, 0.0, (-0.003 * middle[0], -0.003 * middle[1])),
    }[change]
    changed = cv2.warpAffine(
        lr, np.array(known)[:2], (width, height), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT
    )
    before = REFINEMENTS[method](hr, lr, start)
    after = REFINEMENTS[method](hr, np.asarray(changed, np.uint8), start)
    assert before is not None
    assert after is not None
    assert before.moved_px / factor < 0.15  # as their authors registered them
    assert after.moved_px > 0.35
    assert distances(after.map, moved(before.map, known), Size(height, width)).max() < 0.1


def test_something_that_moved_hardly_counts(simulated: SimulatedRun) -> None:
    truth, pixels = simulated.frames[1].truth.map, simulated.frames[1].pixels.copy()
    pixels[80:115, 110:150] = np.roll(pixels[80:115, 110:150], 13, axis=1)
    refined = refined_by_intensity(simulated.frames[-1].pixels, pixels, truth)
    assert refined is not None
    assert distances(refined.map, truth, Size(200, 300)).max() < 0.05


def test_the_pyramid_finds_what_lies_far_off(simulated: SimulatedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless that is too far to be believed."""
    truth, pixels = simulated.frames[1].truth.map, simulated.frames[1].pixels
    start = moved(truth, similarity(1.0, 0.0, (10.0, -7.0)))
    refined = refined_by_ecc(simulated.frames[-1].pixels, pixels, start)
    assert refined is not None
    assert distances(refined.map, truth, Size(200, 300)).max() < 0.1
    monkeypatch.setattr("anyzoom.align.refine.FARTHEST", 0.03)
    assert refined_by_ecc(simulated.frames[-1].pixels, pixels, start) is None


@METHODS
@pytest.mark.parametrize(("right", "down"), [(30, 12), (-30, -12)])
def test_what_the_frame_does_not_show_does_not_count(method: str, right: int, down: int) -> None:
    wide = dead_leaves(Size(150, 220), seed=3)
    frame = wide[15 - down // 2 :, 20 - right // 2 :][:120, :180]
    reference = wide[15 + down // 2 :, 20 + right // 2 :][:120, :180]
    plain = Lens((89.5, 59.5), 0.0, 90.0)
    start = FrameMap(reference=plain, frame=plain, matrix=similarity(1.0, 0.0, (float(right), float(down))))
    refined = REFINEMENTS[method](reference, frame, start)
    assert refined is not None
    assert refined.moved_px < 0.01


def test_a_shift_doubles_from_level_to_level() -> None:
    grey, mask = np.zeros((4, 4), np.float32), np.ones((4, 4), np.uint8)
    step = np.array(((0, 0, 1), (0, 0.1, 0)))
    warp = refine._downwards([(grey, grey, mask)] * 3, lambda _, warp: warp + step)
    assert warp is not None
    np.testing.assert_allclose(warp, ((1, 0, 7), (0, 1.3, 0)))


def test_a_homography_stays_one(shared: Path) -> None:
    reference, size, maps = true_maps(shared / "data" / "zoom" / "wall_a")
    path, truth = maps[4]
    tilted = moved(truth, ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (1e-6, 0.0, 1.0)))
    refined = refined_by_ecc(pixels_of(reference), pixels_of(path), tilted)
    assert refined is not None
    assert refined.map.matrix[2][0] != 0
    assert distances(refined.map, truth, size).max() < distances(tilted, truth, size).max()


def test_nothing_in_common_is_no_answer() -> None:
    leaves, other = dead_leaves(Size(120, 180), seed=1), dead_leaves(Size(120, 180), seed=2)
    plain = Lens((89.5, 59.5), 0.0, 90.0)
    start = FrameMap(reference=plain, frame=plain, matrix=IDENTITY)
    flat = np.full_like(leaves, 90)
    for picture in (flat, other, bare_wall(Size(120, 180))):
        for method in REFINEMENTS.values():
            refined = method(leaves, picture, start)
            assert refined is None or refined.correlation < 0.5
    assert refined_by_ecc(leaves, flat, start) is None
    assert refined_by_intensity(leaves, flat, start) is None
    away = moved(start, similarity(1.0, 0.0, (500.0, 0.0)))
    assert refined_by_intensity(leaves, leaves, away) is None
    assert refined_by_ecc(leaves, leaves, away) is None
