"""Noise by its statistics; pictures large enough for 3 % of a standard deviation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anyzoom.degrade import noise


def flat(*colour: float) -> NDArray[np.float32]:
    return np.broadcast_to(np.array(colour, dtype=np.float32), (100, 100, 3)).copy()


def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.mark.parametrize("grey", [False, True])
def test_gaussian_noise_has_its_sigma(grey: bool) -> None:
    image = flat(0.5, 0.4, 0.6)
    added = noise.gaussian(image, 0.05, rng(), grey) - image
    np.testing.assert_allclose(added.std((0, 1)), 0.05, rtol=0.03)
    np.testing.assert_allclose(added.mean((0, 1)), 0, atol=0.002)
    together = np.corrcoef(added.reshape(-1, 3).T)[0, 1]
    assert together == pytest.approx(1 if grey else 0, abs=0.04)


def test_correlated_noise_lies_between_grey_and_independent() -> None:
    image = flat(0.5, 0.5, 0.5)
    found = [
        np.cov((noise.correlated(image, 0.05, np.random.default_rng(seed)) - image).reshape(-1, 3).T)
        for seed in range(12)
    ]
    # Covariance sigma^2 U^T D U: the eigenvalues are sigma^2 times uniform numbers of [0, 1].
    eigenvalues = np.linalg.eigvalsh(found) / 0.05**2
    assert eigenvalues.max() < 1.1
    assert eigenvalues.mean() == pytest.approx(0.5, abs=0.15)
    assert np.abs([matrix[0, 1] / np.sqrt(matrix[0, 0] * matrix[1, 1]) for matrix in found]).max() > 0.3


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_poisson_noise_grows_with_the_root_of_light(scale: float) -> None:
    image = flat(0.25, 0.5, 0.04)
    added = noise.poisson(image, scale, rng()) - image
    expected = scale * np.sqrt(np.array([0.25, 0.5, 0.04]) / 256)
    np.testing.assert_allclose(added[..., :2].std((0, 1)), expected[:2], rtol=0.03)
    if scale < 1:  # else the dark channel is clipped
        np.testing.assert_allclose(added[..., 2].std(), expected[2], rtol=0.03)
    np.testing.assert_allclose(added[..., :2].mean((0, 1)), 0, atol=0.002)


def test_grey_poisson_noise_is_that_of_the_luma() -> None:
    image = flat(0.5, 0.25, 0.25)  # luma 0.299 / 2 + 0.701 / 4
    added = noise.poisson(image, 1.0, rng(), grey=True) - image
    np.testing.assert_allclose(added[..., 0], added[..., 1], rtol=0, atol=1e-6)
    assert added[..., 0].std() == pytest.approx(np.sqrt(0.32475 / 256), rel=0.03)


def test_overshoot_is_survived_and_clipped() -> None:
    image = flat(-0.1, 1.1, 0.5)
    for noisy in (
        noise.gaussian(image, 0.01, rng()),
        noise.correlated(image, 0.01, rng()),
        noise.poisson(image, 1.0, rng()),
        noise.sensor(image, 1000, 1, (2, 1.5), rng()),
    ):
        assert noisy.min() == 0
        assert 1 - 1e-6 < noisy.max() <= 1
        assert noisy.dtype == np.float32
    np.testing.assert_array_equal(image, flat(-0.1, 1.1, 0.5))


def test_a_perfect_sensor_changes_nothing_flat() -> None:
    image = flat(0.3, 0.5, 0.7)
    np.testing.assert_allclose(noise.sensor(image, 1e9, 0, (2.0, 1.7), rng()), image, rtol=0, atol=1e-3)


def test_the_sensor_is_noisier_where_it_has_less_light() -> None:
    spread = noise.sensor(flat(0.5, 0.5, 0.5), 1000, 1, (2.4, 1.0), rng()).std((0, 1))
    assert spread[0] > 1.2 * spread[2]  # red is amplified, blue is not
    fewer = noise.sensor(flat(0.5, 0.5, 0.5), 250, 1, (2.4, 1.0), rng()).std((0, 1))
    np.testing.assert_allclose(fewer, 2 * spread, rtol=0.1)
