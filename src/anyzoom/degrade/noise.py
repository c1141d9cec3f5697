"""Noise on sRGB-coded pictures `h w 3`; every function returns a new picture, clipped to [0, 1]."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anyzoom.degrade.sensor import demosaic, exposed, mosaic
from anyzoom.image.colour import decode_srgb, encode_srgb

Picture = NDArray[np.float32]

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
WHITE_COUNTS = 256  # Poisson noise of scale 1 is that of this many photons at white


def _clipped(image: Picture) -> Picture:
    return np.clip(image, 0, 1, out=image)


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> Picture:
    return rng.standard_normal(shape, dtype=np.float32)


def gaussian(image: Picture, sigma: float, rng: np.random.Generator, grey: bool = False) -> Picture:
    """sigma: in units of the range [0, 1]. grey: the same noise on all three channels."""
    shape = (*image.shape[:2], 1) if grey else image.shape
    return _clipped(image + np.float32(sigma) * _normal(shape, rng))


def correlated(image: Picture, sigma: float, rng: np.random.Generator) -> Picture:
    """Gaussian noise whose channels depend on each other: covariance sigma^2 U^T D U (Zhang et al., FFDNet, 2018).

    U is a random orthogonal matrix, D diagonal and uniform on [0, 1].
    """
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    mixing = np.sqrt(rng.random(3))[:, None] * turn  # its Gram matrix is U^T D U
    return _clipped(image + _normal(image.shape, rng) @ (sigma * mixing).astype(np.float32))


def poisson(image: Picture, scale: float, rng: np.random.Generator, grey: bool = False) -> Picture:
    """Photon noise: its standard deviation is scale * sqrt(value / 256). grey: that of the luma, on all channels."""
    light = np.maximum(image @ LUMA[:, None] if grey else image, 0)  # a resampled picture may undershoot
    counted = rng.poisson(light * WHITE_COUNTS).astype(np.float32) / WHITE_COUNTS
    return _clipped(image + np.float32(scale) * (counted - light))


def sensor(
    image: Picture,
    white_electrons: float,
    read_electrons: float,
    gains: tuple[float, float],
    rng: np.random.Generator,
) -> Picture:
    """Noise that passed a camera: added to the mosaic of a Bayer sensor, then developed.

    gains: white balance of red and blue, green is 1; the weaker a colour on the sensor, the noisier it becomes.
    """
    balance: Picture = np.array([gains[0], 1, gains[1]], dtype=np.float32)[:, None, None]
    colours: Picture = image.transpose(2, 0, 1).clip(0, 1)
    light = decode_srgb(colours) / balance
    raw = exposed(mosaic(light, (0, 0)), white_electrons, read_electrons, rng)
    developed = encode_srgb((demosaic(raw, (0, 0)) * balance).clip(0, 1))
    return np.ascontiguousarray(developed.transpose(1, 2, 0))
