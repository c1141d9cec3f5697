"""Maps between frames, in literal numbers."""

from __future__ import annotations

import math

import numpy as np

from anyzoom.geometry import FrameMap, Lens, similarity

STRAIGHT = Lens((0.0, 0.0), 0.0, 1.0)


def test_a_lens_moves_points_along_the_radius() -> None:
    """p' = c + (p - c) (1 + k1 (|p - c| / radius)^2)."""
    lens = Lens((10.0, 20.0), -0.04, 50.0)
    found = lens.distorted(np.array([[10, 20], [60, 20], [10, 45]], float))
    np.testing.assert_allclose(found, [[10.0, 20.0], [58.0, 20.0], [10.0, 44.75]], atol=1e-12)


def test_undistorting_takes_it_back() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(0, (900, 600), (200, 2))
    for k1 in (-0.08, -0.029, 0.003, 0.05):
        lens = Lens((446.5, 299.6), k1, 540.8)
        np.testing.assert_allclose(lens.distorted(lens.undistorted(points)), points, atol=1e-9)
        np.testing.assert_allclose(lens.undistorted(lens.distorted(points)), points, atol=1e-9)


def test_x_turns_towards_y() -> None:
    quarter = FrameMap(reference=STRAIGHT, frame=STRAIGHT, matrix=similarity(2, math.pi / 2, (3, 4)))
    np.testing.assert_allclose(quarter.to_frame(np.array([[1.0, 0.0], [0.0, 1.0]])), [[3, 6], [1, 4]], atol=1e-12)


def test_a_homography_divides() -> None:
    plane = FrameMap(reference=STRAIGHT, frame=STRAIGHT, matrix=((1, 0, 0), (0, 1, 0), (0.5, 0, 1)))
    np.testing.assert_allclose(plane.to_frame(np.array([[2.0, 4.0]])), [[1, 2]])


def test_there_and_back() -> None:
    reference, frame = Lens((447.6, 294.8), 0.0036, 540.8), Lens((446.5, 299.6), -0.029, 540.8)
    there = FrameMap(reference=reference, frame=frame, matrix=similarity(0.2495, -0.002, (335, 226)))
    points = np.random.default_rng(1).uniform(0, (900, 600), (100, 2))
    np.testing.assert_allclose(there.to_reference(there.to_frame(points)), points, atol=1e-8)
    again = FrameMap.model_validate_json(there.model_dump_json())
    np.testing.assert_array_equal(again.to_frame(points), there.to_frame(points))
    assert there.to_frame(np.empty((0, 2))).shape == (0, 2)
