from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from anyzoom.align import fit
from anyzoom.align.fit import Sight, fitted
from anyzoom.geometry import FrameMap, Lens, Matrix, Points, similarity
from anyzoom.grid import Size

SIZE = Size(600, 900)
CENTRE = ((SIZE.width - 1) / 2, (SIZE.height - 1) / 2)
RADIUS = math.hypot(*SIZE) / 2
CORNERS = np.array([(-0.5, -0.5), (899.5, -0.5), (-0.5, 599.5), (899.5, 599.5)])
RATIOS = (4.0, 3.0, 2.2, 1.6, 1.2, 1.05)


def a_map(ratio: float, k1: float, reference_k1: float = 0.004, leaning: float = 0.0) -> FrameMap:
    """Turned by 0.2 degrees and a few pixels off the middle; `leaning` adds perspective."""
    turned = np.array(similarity(1 / ratio, math.radians(0.2), (0, 0)))
    shift = np.array(CENTRE) + np.array((4.3, -2.7)) - turned[:2, :2] @ CENTRE
    plane = np.array(similarity(1 / ratio, math.radians(0.2), (float(shift[0]), float(shift[1]))))
    plane[2, 0] = leaning
    first, second, third = ((float(x), float(y), float(z)) for x, y, z in plane)
    matrix: Matrix = (first, second, third)
    return FrameMap(reference=Lens(CENTRE, reference_k1, RADIUS), frame=Lens(CENTRE, k1, RADIUS), matrix=matrix)


def true_maps() -> list[FrameMap]:
    return [a_map(ratio, 0.004 - 0.02 * math.log(ratio)) for ratio in RATIOS]


def seen(maps: Sequence[FrameMap], noise: float = 0.0, wrong: float = 0.0, points: int = 600) -> list[Sight]:
    """Points all over the reference; noise in pixels, a share of them seen up to 10 pixels away. Ratios 2 % off."""
    rng = np.random.default_rng(7)
    sights = []
    for ratio, one in zip(RATIOS, maps, strict=False):
        reference: Points = rng.uniform((0, 0), (899, 599), (points, 2))
        frame = one.to_frame(reference) + rng.normal(0, noise or 1e-9, (points, 2))
        lost = rng.random(points) < wrong
        frame[lost] += rng.uniform(-10, 10, (lost.sum(), 2))
        sights.append(Sight(reference, frame, ratio * 1.02))
    return sights


def worst(found: Sequence[FrameMap], true: Sequence[FrameMap]) -> float:
    missed = [f.to_frame(CORNERS) - t.to_frame(CORNERS) for f, t in zip(found, true, strict=True)]
    return float(np.linalg.norm(missed, axis=-1).max())


def test_exact_points_give_the_exact_maps() -> None:
    """But for the pull of what is expected of k1."""
    assert worst(fitted(seen(true_maps()), SIZE), true_maps()) < 0.01


def test_noise_and_wrong_matches_are_borne() -> None:
    assert worst(fitted(seen(true_maps(), noise=0.3), SIZE), true_maps()) < 0.15
    assert worst(fitted(seen(true_maps(), noise=0.3, wrong=0.2), SIZE), true_maps()) < 0.2


def test_a_scene_helps_where_one_pair_knows_little() -> None:
    """Few noisy points of one frame: the others tell the reference's distortion, and the curve this frame's."""
    together, alone = [], []
    sights = seen(true_maps(), noise=0.3)
    for i, sight in enumerate(sights):
        few = sight._replace(reference=sight.reference[:60], frame=sight.frame[:60])
        together.append(worst([fitted([*sights[:i], few, *sights[i + 1 :]], SIZE)[i]], [true_maps()[i]]))
        alone.append(worst(fitted([few], SIZE), [true_maps()[i]]))
    assert np.mean(together) < 0.9 * np.mean(alone)


def test_a_homography_would_not_do() -> None:
    """Distortion of a usual size, taken for a plane, misses corners by more than a pixel."""
    flat = [s._replace(k1=0.0) for s in seen(true_maps())]
    assert worst(fitted(flat, SIZE, reference_k1=0.0, homography=True), true_maps()) > 0.5


def test_what_calibration_knows_stays() -> None:
    true = true_maps()
    sights = [s._replace(k1=one.frame.k1) for s, one in zip(seen(true, noise=0.3), true, strict=True)]
    found = fitted(sights, SIZE, reference_k1=0.004)
    assert [one.frame.k1 for one in found] == [one.frame.k1 for one in true]
    assert {one.reference.k1 for one in found} == {0.004}
    assert worst(found, true) < 0.8 * worst(fitted(seen(true, noise=0.3), SIZE), true)


def test_points_of_reduced_pictures_are_as_uncertain_as_they_look() -> None:
    """The same scene with twice the pixels, matched at half its size: the same maps, with twice the pixels."""
    sights = seen(true_maps(), noise=0.3, wrong=0.2)
    large = [
        s._replace(reference=2 * s.reference + 0.5, frame=2 * s.frame + 0.5, pixel=2.0)  # pixel centres at integers
        for s in sights
    ]
    found = fitted(large, Size(2 * SIZE.height, 2 * SIZE.width))
    for one, other in zip(found, fitted(sights, SIZE), strict=True):
        assert one.to_frame(2 * CORNERS + 0.5) == pytest.approx(2 * other.to_frame(CORNERS) + 0.5, abs=1e-5)


def test_a_homography_only_where_the_points_demand_it() -> None:
    level, leaning = a_map(2.0, -0.01), a_map(2.0, -0.01, leaning=1e-5)
    sights = seen([level, leaning], noise=0.3)
    sights = [s._replace(ratio=2.0) for s in sights]
    first, second = fitted(sights, SIZE, homography=True)
    assert np.array(first.matrix)[2].tolist() == [0, 0, 1]
    assert second.matrix[2][0] == pytest.approx(1e-5, rel=0.1)
    assert worst([second], [leaning]) < 0.2
    assert worst(fitted(sights, SIZE)[1:], [leaning]) > 0.5


def test_the_jacobian() -> None:
    points = np.random.default_rng(1).uniform(-0.8, 0.8, (20, 2))
    values = np.array([0.5, 0.01, 0.02, -0.03, -0.02, 0.01])
    _, change = fit._similar(values, points)
    for i in range(6):
        step = np.zeros(6)
        step[i] = 1e-6
        difference = (fit._similar(values + step, points)[0] - fit._similar(values - step, points)[0]) / 2e-6
        assert change[..., i] == pytest.approx(difference, abs=1e-8)


def test_a_straight_line_of_k1_is_not_bent_however_it_is_sampled() -> None:
    for ratios in ([4.0, 2.0], [4.0, 3.0, 1.7, 1.1], list(np.geomspace(4, 1.02, 60))):
        values = np.zeros(5 * len(ratios) + 1)
        values[4::5] = 0.01 * np.log(ratios)
        bends = fit._prior(ratios)[len(ratios) + 1 :]
        assert bends @ values == pytest.approx(0, abs=1e-9)
        values[4::5] = 0.01 * np.log(ratios) ** 2
        assert np.sum((bends @ values) ** 2) == pytest.approx((0.02 / fit.BEND) ** 2 * math.log(4), rel=0.55)


def test_order_and_repetition_do_not_matter() -> None:
    sights = seen(true_maps(), noise=0.3)
    found = fitted(sights, SIZE)
    assert found == fitted(sights, SIZE)
    assert worst(fitted(sights[::-1], SIZE)[::-1], found) < 1e-6
    twice = fitted([*sights, sights[2]], SIZE)
    assert worst([twice[2]], [twice[-1]]) < 0.02


def test_no_frames() -> None:
    assert fitted([], SIZE) == []
