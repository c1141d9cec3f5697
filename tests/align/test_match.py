from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.align.conftest import DRIFT, FACTORS, FRAME, MakeRun

from anyzoom.align import match
from anyzoom.align.match import View, matched, views
from anyzoom.geometry import Points
from anyzoom.grid import Size

Run = list[NDArray[np.uint8]]  # the frames of conftest's FACTORS


@pytest.fixture(scope="module")
def run(make_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = make_run(tmp_path_factory.mktemp("match") / "scene")
    return [np.asarray(Image.open(path)) for path in sorted(folder.glob("*.png"))]


def seen_by(frame: int, points: Points) -> Points:
    """Where the reference's points lie in a frame, by how conftest draws them."""

    def corner(i: int) -> Points:
        sides = np.array([round(FACTORS[i] * side) for side in FRAME])
        whole = np.array([round(max(FACTORS) * side) + 40 for side in FRAME])
        return np.asarray((whole - sides) // 2 + DRIFT * np.array((-(i % 3), i % 2)), np.float64)

    factor = np.array([round(FACTORS[frame] * side) / side for side in FRAME])
    places: Points = (points + 0.5 + corner(len(FACTORS) - 1) - corner(frame)) / factor - 0.5
    return places


@pytest.mark.parametrize("frame", range(3))
def test_points_are_found_where_they_lie(run: Run, frame: int) -> None:
    found = matched(run[-1], run[frame], FACTORS[frame] * 1.04)
    missed = found.frame - seen_by(frame, found.reference)
    assert len(found.frame) > 250
    assert len(found.frame) > 0.9 * found.found
    assert found.cells == 16
    assert found.pixel == 1
    assert np.sqrt(np.mean(missed**2)) < 0.3
    assert np.abs(missed.mean(axis=0)).max() < 0.03
    assert found.gain.gain == pytest.approx((0.9, 0.9, 0.9) if frame == 0 else (1, 1, 1), rel=0.03)


def test_dark_frames_are_matched_once_their_luminance_is_right(run: Run) -> None:
    bright, dark = (matched(run[-1], frame, FACTORS[0]) for frame in (run[0], np.rint(run[0] / 8).astype(np.uint8)))
    assert dark.inliers_of_stage_1 < 0.85 * bright.inliers_of_stage_1
    assert len(dark.frame) > 0.9 * len(bright.frame)
    assert dark.gain.gain == pytest.approx((7.2, 7.2, 7.2), rel=0.06)


def test_large_frames_are_reduced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "LARGEST", 40_000)
    found = matched(run[-1], run[1], FACTORS[1])
    missed = found.frame - seen_by(1, found.reference)
    assert found.pixel == pytest.approx((480 * 320 / 1.6**2 / 40_000) ** 0.5, rel=0.01)
    assert np.abs(missed.mean(axis=0)).max() < 0.03


def test_frames_without_anything_have_no_matches(run: Run) -> None:
    empty = np.full_like(run[0], 90)
    found = matched(empty, run[0], 2)
    assert (len(found.frame), found.found, found.cells) == (0, 0, 0)
    assert found.keypoints[0] == 0 < found.keypoints[1]
    assert len(matched(run[-1], empty, 2).frame) == 0


def test_views_have_one_scale_and_show_what_is_shared() -> None:
    reference = np.zeros((600, 900, 3), np.uint8)
    small, seen = views(reference, reference, 2.0, 1_000_000)
    assert small.pixels.shape == (300, 450, 3)
    assert (small.factor, seen.factor) == ((2, 2), (1, 1))
    assert seen.pixels.shape == (354, 532, 3)  # 1.18 times as much
    assert seen.corner == (184, 123)
    small, seen = views(reference, reference, 1.05, 1_000_000)
    assert seen.pixels.shape == (600, 900, 3)
    small, seen = views(reference, reference, 2.0, 10_000)
    assert small.pixels.shape[0] * small.pixels.shape[1] == pytest.approx(10_000, rel=0.02)
    assert seen.factor[0] * 2 == pytest.approx(small.factor[0], rel=0.02)


def test_points_of_a_view() -> None:
    view = View(np.zeros((2, 3, 3), np.float32), (10, 20), (4.0, 2.0))
    assert view.to_photograph(np.array([[-0.5, -0.5], [0, 0]])).tolist() == [[9.5, 19.5], [11.5, 20.5]]
    points = np.random.default_rng(0).uniform(0, 50, (9, 2))
    assert view.from_photograph(view.to_photograph(points)) == pytest.approx(points)


def test_keypoints_lie_on_what_they_mark() -> None:
    y, x = np.mgrid[:120, :160]
    centres = np.array([(20.3, 25.6), (60.0, 30.5), (110.7, 40.2), (40.4, 90.9), (120.1, 85.3)])
    blobs = sum(np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8) for a, b in centres)
    found = match._features(np.repeat(50 + 120 * blobs[..., None], 3, axis=2).astype(np.float32)).points
    nearest = np.linalg.norm(found[None] - centres[:, None], axis=-1).min(axis=1)
    assert nearest.max() < 0.03


def test_one_fine_pattern_does_not_take_all_keypoints(run: Run) -> None:
    """Dots of high contrast in a ninth of the picture have the strongest keypoints by far."""
    picture = run[-1].astype(np.float32) / 4 + 90
    dots = np.indices((106, 160)) // 3 % 2
    picture[:106, :160] = 255 * (dots[0] & dots[1])[..., None]
    points = match._features(picture.astype(np.float32)).points
    inside = ((points < (160, 106)).all(axis=1)).sum()
    assert inside <= 6 * match.PER_CELL
    assert len(points) > 3 * inside


def test_pairs_are_mutual_and_unlike_the_second() -> None:
    """By the plain rules, over pairs that grow less alike; the first ten are wanted twice."""
    rng = np.random.default_rng(4)
    first = np.abs(rng.normal(0, 1, (100, 128)))
    grown = np.linspace(0.1, 1.2, 100)[:, None]

    def unlike(shares: NDArray[np.float64], noise: Any) -> NDArray[np.float32]:
        moved = np.abs(shares + rng.normal(0, 1, shares.shape) * noise)
        return np.asarray(np.sqrt(moved / moved.sum(axis=1, keepdims=True)), np.float32)

    wanted, found = unlike(np.concatenate((first, first[:10])), 0.2), unlike(first, grown)
    distances = np.linalg.norm(wanted[:, None] - found[None], axis=-1)
    nearest = [(i, int(row.argmin())) for i, row in enumerate(distances)]
    unlike_second = [(i, j) for i, j in nearest if distances[i, j] < 0.8 * np.sort(distances[i])[1]]
    plain = [(i, j) for i, j in unlike_second if distances[:, j].argmin() == i]
    assert 20 < len(plain) < len(unlike_second) - 5 < len(nearest) - 20
    assert match._paired(wanted, found).tolist() == [list(pair) for pair in plain]
    assert match._paired(wanted[:1], found).shape == (0, 2)


def test_cells() -> None:
    picture = np.zeros((40, 80, 3), np.float32)
    points = np.array([[-0.5, -0.5], [19.4, 9.4], [19.6, 9.6], [79.5, 39.5]])
    assert match._cells(points, picture, Size(4, 4)).tolist() == [0, 0, 5, 15]
