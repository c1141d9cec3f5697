"""What every degradation holds to, whatever it does."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from anyzoom.degrade import DEGRADATIONS
from anyzoom.errors import ScaleError
from anyzoom.grid import Size

HR = Size(61, 84)


def waves() -> NDArray[np.float32]:
    y, x = np.mgrid[: HR.height, : HR.width]
    channels = [0.5 + 0.4 * np.sin(x / (3 + k) + k) * np.cos(y / (4 + k)) for k in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


@pytest.mark.parametrize("size", [HR, Size(60, 79), Size(27, 37), Size(15, 84), Size(61, 9), Size(5, 6), Size(1, 1)])
@pytest.mark.parametrize("name", DEGRADATIONS)
def test_any_smaller_size_is_met_in_8_bits(name: str, size: Size) -> None:
    hr = waves()
    for seed in range(4):
        pixels, draws = DEGRADATIONS[name]().shrink(hr, size, np.random.default_rng(seed))
        assert pixels.shape == (*size, 3)
        assert pixels.dtype == np.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        np.testing.assert_allclose(np.rint(pixels * 255), pixels * 255, rtol=0, atol=1e-4)
        assert json.loads(json.dumps(draws)) == draws
    np.testing.assert_array_equal(hr, waves())  # HR is left as it was


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_chance_is_the_generator_alone(name: str) -> None:
    def run(seed: int) -> tuple[NDArray[np.float32], str]:
        pixels, draws = DEGRADATIONS[name]().shrink(waves(), Size(23, 31), np.random.default_rng(seed))
        return pixels, json.dumps(draws)  # in its order

    first, again, other = run(7), run(7), run(8)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[1] == again[1]
    if name != "bicubic":
        assert first[1] != other[1]
        assert np.abs(first[0] - other[0]).max() > 0.01


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_colour_is_kept_on_average(name: str) -> None:
    colour = np.array([0.6, 0.45, 0.35], dtype=np.float32)
    hr = np.broadcast_to(colour, (*HR, 3))
    shots = [DEGRADATIONS[name]().shrink(hr, Size(20, 28), np.random.default_rng(seed)).pixels for seed in range(16)]
    np.testing.assert_allclose(np.mean(shots, axis=(0, 1, 2)), colour, rtol=0, atol=0.02)


@pytest.mark.parametrize("size", [Size(62, 40), Size(30, 85), Size(0, 9)])
@pytest.mark.parametrize("name", DEGRADATIONS)
def test_nothing_is_enlarged(name: str, size: Size) -> None:
    with pytest.raises(ScaleError, match=rf"cannot make an LR photo of {size} from 84x61: ask for a size"):
        DEGRADATIONS[name]().shrink(waves(), size, np.random.default_rng(0))


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_an_unknown_key_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        DEGRADATIONS[name].model_validate({"sigmma": (1, 2)})


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_a_configuration_survives_json(name: str) -> None:
    degradation = DEGRADATIONS[name]()
    assert DEGRADATIONS[name].model_validate_json(degradation.model_dump_json()) == degradation


STILL = {"gaussian_sigma": (0, 0), "jpeg_quality": (100, 100)}
WITHOUT_NOISE = {
    "bicubic": ("bicubic", {}),
    **{
        way: ("bsrgan", {**STILL, "jpeg_chance": 0, "sensor_chance": 0, "downsampling": {way: 1}})
        for way in ("nearest", "bilinear", "bicubic", "detour")
    },
    "realesrgan": (
        "realesrgan",
        {
            "jpeg_quality": (100, 100),
            "first": {"gaussian_sigma": (0, 0), "poisson_scale": (0, 0)},
            "second": {"gaussian_sigma": (0, 0), "poisson_scale": (0, 0)},
        },
    ),
}


def blob(size: Size) -> NDArray[np.float32]:
    """A soft light at 0.45 of the height and 0.54 of the width, the same on any grid."""
    y = (np.arange(size.height) + 0.5) / size.height - 0.45
    x = (np.arange(size.width) + 0.5) / size.width - 0.54
    light = np.exp(-0.5 * (y[:, None] ** 2 + x[None, :] ** 2) / 0.1**2)
    return np.repeat((0.2 + 0.6 * light)[..., None], 3, axis=-1).astype(np.float32)


def centroid(pixels: NDArray[np.float32]) -> tuple[float, float]:
    """Where the light lies from its true place, in pixels, seen through a window wide enough for all of it."""
    light = pixels.mean(axis=-1, dtype=np.float64) - 0.2
    y = np.arange(light.shape[0]) + 0.5 - 0.45 * light.shape[0]
    x = np.arange(light.shape[1]) + 0.5 - 0.54 * light.shape[1]
    light *= np.exp(-0.5 * ((y / light.shape[0]) ** 2)[:, None] / 0.2**2)
    light *= np.exp(-0.5 * ((x / light.shape[1]) ** 2)[None, :] / 0.2**2)
    return float(light.sum(1) @ y / light.sum()), float(light.sum(0) @ x / light.sum())


@pytest.mark.parametrize("size", [Size(120, 96), Size(60, 48), Size(47, 38), Size(30, 24), Size(31, 80)])
@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_nothing_moves(name: str, size: Size) -> None:
    row, config = WITHOUT_NOISE[name]
    hr = blob(Size(120, 96))
    for seed in range(6):
        pixels, draws = DEGRADATIONS[row].model_validate(config).shrink(hr, size, np.random.default_rng(seed))
        assert np.abs(centroid(pixels)).max() < 0.05, (centroid(pixels), draws)
