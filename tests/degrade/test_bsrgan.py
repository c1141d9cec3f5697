"""The shuffled pipeline: what it draws, in which order, from which ranges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from anyzoom.degrade import noise
from anyzoom.degrade.bsrgan import Bsrgan, between
from anyzoom.degrade.degradation import Draws
from anyzoom.grid import Size

STEPS = {
    "isotropic": "isotropic size",
    "anisotropic": "anisotropic size",
    "downsampling": "downsampling",
    "gaussian": "gaussian",
    "jpeg": "jpeg",
    "sensor": "sensor",
}


def picture() -> NDArray[np.float32]:
    return np.random.default_rng(9).random((28, 24, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def many() -> list[Draws]:
    """Of 80 photographs shrunk by 4 and 3."""
    return [Bsrgan().shrink(picture(), Size(7, 8), np.random.default_rng(seed)).draws for seed in range(80)]


def test_every_branch_is_reached(many: list[Draws]) -> None:
    assert {draws["downsampling"] for draws in many} == {"nearest", "bilinear", "bicubic", "detour"}
    assert {draws["gaussian"] for draws in many} == {"correlated", "colour", "grey"}
    for name in ("early shrink", "jpeg", "sensor"):
        assert {draws[name] for draws in many} == {True, False}
    for name in ("early shrink kernel", "detour kernel", "detour last kernel"):
        assert {draws[name] for draws in many if name in draws} == {"bilinear", "bicubic"}
    assert {str(draws["order"]).split()[0] for draws in many} == set(STEPS)
    assert {draws["isotropic size"] for draws in many} == set(range(7, 22, 2))


def test_steps_follow_the_order_that_was_drawn(many: list[Draws]) -> None:
    for draws in many:
        keys = list(draws)
        assert keys[-1] == "last quality"
        assert [step for key in keys for step in STEPS if STEPS[step] == key] == str(draws["order"]).split()


def test_draws_stay_in_the_papers_ranges(many: list[Draws]) -> None:
    for draws in many:
        for name, low, high in (
            ("isotropic sigma", 0.1, 2.8),
            ("anisotropic variance 1", 0.5, 8),
            ("anisotropic angle", 0, math.pi),
            ("gaussian sigma", 1, 25),
            ("last quality", 30, 95),
            ("sensor electrons", 80, 10_000),
        ):
            if name in draws:
                value = draws[name]
                assert isinstance(value, float | int)
                assert low <= value <= high, name
    shrunk = [draws["isotropic sigma"] for draws in many if draws["early shrink"]]
    assert max(map(float, map(str, shrunk))) <= 2.4  # 2 remains to be shrunk


def test_ranges_between_and_beyond_x2_and_x4() -> None:
    assert between(3, (0.1, 2.4), (0.3, 2.8)) == pytest.approx((0.2, 2.6))
    assert between(1, (0.1, 2.4), (0.3, 2.8)) == pytest.approx((0.1, 2.4))
    assert between(8, (0.1, 2.4), (0.3, 2.8)) == pytest.approx((0.3, 2.8))


def test_the_early_shrink_is_one_on_both_axes() -> None:
    certain = Bsrgan(early_shrink_chance=1)
    for size, possible in ((Size(13, 11), True), (Size(14, 8), False), (Size(28, 24), False)):
        draws = certain.shrink(picture(), size, np.random.default_rng(0)).draws
        assert ("early shrink" in draws) == possible


def test_noise_is_as_drawn_and_at_the_size_of_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[tuple[int, ...], float, bool]] = []
    gaussian = noise.gaussian

    def spy(image: NDArray[np.float32], sigma: float, rng: np.random.Generator, grey: bool) -> NDArray[np.float32]:
        calls.append((image.shape[:2], sigma, grey))
        return gaussian(image, sigma, rng, grey)

    monkeypatch.setattr(noise, "gaussian", spy)
    degradation = Bsrgan.model_validate({"early_shrink_chance": 0, "gaussian": {"colour": 1, "grey": 1}})
    for seed in range(20):
        draws = degradation.shrink(picture(), Size(7, 8), np.random.default_rng(seed)).draws
        size, sigma, grey = calls.pop()
        assert sigma == float(str(draws["gaussian sigma"])) / 255
        assert grey == (draws["gaussian"] == "grey")
        order = str(draws["order"]).split()
        assert size == ((7, 8) if order.index("downsampling") < order.index("gaussian") else (28, 24))


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"downsampling": {"lanczos": 1}}, "downsampling"),
        ({"downsampling": {"nearest": 0}}, "at least one choice"),
        ({"kernel_sizes": (7, 20)}, "odd"),
        ({"jpeg_quality": (95, 30)}, "in that order"),
        ({"detour": 1.5}, "detour"),
    ],
)
def test_impossible_configurations_are_refused(config: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Bsrgan.model_validate(config)
