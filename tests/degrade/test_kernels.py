"""Kernels by their defining properties, and blurring against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anyzoom.degrade.kernels import Kernel, blurred, gaussian, generalized, plateau, sinc

KINDS = {
    "isotropic": gaussian(21, (1.3, 1.3)),
    "anisotropic": gaussian(15, (3.0, 0.7), 0.6),
    "narrow": gaussian(7, (0.1, 0.1)),
    "generalized": generalized(21, (2.0, 1.0), 1.0, 0.5),
    "plateau": plateau(9, (1.5, 2.5), 2.0, 2.0),
    "sinc": sinc(21, math.pi / 3),
    "sinc without blur": sinc(7, math.pi),
    "one pixel": gaussian(1, (2.0, 2.0)),
}


@pytest.mark.parametrize("name", KINDS)
def test_kernels_are_centred_and_of_sum_one(name: str) -> None:
    kernel = KINDS[name]
    assert kernel.dtype == np.float32
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(kernel, kernel[::-1, ::-1], rtol=0, atol=1e-7)
    assert kernel[len(kernel) // 2, len(kernel) // 2] == kernel.max()


def variances(kernel: Kernel) -> tuple[float, float]:
    offsets = np.arange(len(kernel)) - len(kernel) // 2
    return float(kernel.sum(1) @ offsets**2), float(kernel.sum(0) @ offsets**2)


def test_sigmas_are_standard_deviations_and_the_first_is_vertical() -> None:
    assert variances(gaussian(41, (3.0, 1.5))) == pytest.approx((9.0, 2.25), rel=1e-3)
    assert variances(gaussian(41, (3.0, 1.5), math.pi / 2)) == pytest.approx((2.25, 9.0), rel=1e-3)
    slanted = gaussian(41, (3.0, 1.5), math.pi / 4)  # turned from +y towards +x: large where y and x agree
    assert variances(slanted) == pytest.approx((5.625, 5.625), rel=1e-3)
    assert slanted[22, 22] > 1.5 * slanted[22, 18]


def test_beta_one_is_the_gaussian() -> None:
    np.testing.assert_allclose(generalized(21, (2.0, 0.8), 0.7, 1.0), gaussian(21, (2.0, 0.8), 0.7), rtol=0, atol=1e-8)


def test_beta_shapes_the_slope() -> None:
    """At one sigma (q = 1) to the side: exp(-1/2) and 1/2 of the centre; at two (q = 4) beta counts."""
    peaked = generalized(21, (2.0, 2.0), 0.0, 0.5)
    assert peaked[10, 12] / peaked[10, 10] == pytest.approx(math.exp(-0.5), rel=1e-5)
    assert peaked[10, 14] / peaked[10, 10] == pytest.approx(math.exp(-1.0), rel=1e-5)
    flat = plateau(21, (2.0, 2.0), 0.0, 2.0)
    assert flat[10, 12] / flat[10, 10] == pytest.approx(1 / 2, rel=1e-5)
    assert flat[10, 14] / flat[10, 10] == pytest.approx(1 / 17, rel=1e-5)


@pytest.mark.parametrize("cutoff", [math.pi / 5, math.pi / 3, 2.0])
def test_a_sinc_passes_what_is_below_its_cutoff(cutoff: float) -> None:
    response = np.abs(np.fft.fft2(sinc(101, cutoff), s=(256, 256)))
    frequency = np.fft.fftfreq(256) * 2 * math.pi
    radius = np.hypot(frequency[:, None], frequency[None, :])
    # Cut at 101 pixels, the kernel rings at its edges.
    assert np.abs(response[radius < 0.8 * cutoff] - 1).max() < 0.12
    assert response[(radius > 1.2 * cutoff) & (radius < math.pi)].max() < 0.12


def test_the_sinc_is_a_bessel_function() -> None:
    kernel = sinc(7, math.pi)  # J1(pi) = 0.284615...; the limit at the centre is pi / 4
    assert kernel[3, 3] / kernel[3, 4] == pytest.approx((math.pi / 4) / (0.28461534 / 2), rel=1e-5)


@pytest.mark.parametrize("side", [0, 4])
def test_a_kernel_has_a_centre(side: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        gaussian(side, (1.0, 1.0))


@pytest.mark.parametrize("size", [(9, 12), (4, 30), (1, 5), (1, 1)])
@pytest.mark.parametrize("side", [1, 5, 11])
def test_blurring_equals_the_plain_sum(size: tuple[int, int], side: int) -> None:
    rng = np.random.default_rng(3)
    image = rng.random((*size, 3), dtype=np.float32)
    kernel = rng.random((side, side), dtype=np.float32)  # of no symmetry: a flip would show
    margin = side // 2
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect").astype(np.float64)
    expected = np.zeros((*size, 3))
    for row in range(side):
        for column in range(side):
            top, left = 2 * margin - row, 2 * margin - column
            expected += kernel[row, column] * padded[top : top + size[0], left : left + size[1]]
    np.testing.assert_allclose(blurred(image, kernel), expected, rtol=1e-5, atol=1e-5)
