"""The second-order pipeline: what it draws, in which order, and the sizes between."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from anyzoom.degrade import noise, realesrgan
from anyzoom.degrade.degradation import Draws
from anyzoom.degrade.realesrgan import RESIZES, RealEsrgan
from anyzoom.grid import Size

SHAPES = set(RealEsrgan().kernel_shapes)


def picture(height: int = 12, width: int = 15) -> NDArray[np.float32]:
    return np.random.default_rng(9).random((height, width, 3), dtype=np.float32)


@pytest.fixture(scope="module")
def many() -> list[Draws]:
    """Of 200 tiny photographs."""
    return [RealEsrgan().shrink(picture(), Size(4, 5), np.random.default_rng(seed)).draws for seed in range(200)]


def seen(many: Iterable[Draws], name: str) -> set[object]:
    return {draws[name] for draws in many if name in draws}


def test_every_branch_is_reached(many: list[Draws]) -> None:
    assert len(SHAPES) == 7
    for order in ("first", "second"):
        assert seen(many, f"{order} kernel") == SHAPES
        assert seen(many, f"{order} kernel size") == set(range(7, 22, 2))
        assert seen(many, f"{order} resize") == {"up", "down", "keep"}
        assert seen(many, f"{order} resize kernel") == set(RESIZES)
        assert seen(many, f"{order} gaussian") == {True, False}
        assert seen(many, f"{order} grey") == {True, False}
    assert seen(many, "first blur") == {True}
    for name in ("second blur", "last jpeg before sinc", "last sinc"):
        assert seen(many, name) == {True, False}
    assert seen(many, "last resize kernel") == set(RESIZES)


def test_chances_are_the_papers(many: list[Draws]) -> None:
    """Within three standard deviations of 200 draws."""
    for name, value, chance in (
        ("first resize", "down", 0.7),
        ("second resize", "down", 0.4),
        ("second resize", "keep", 0.3),
        ("second blur", True, 0.8),
        ("first gaussian", True, 0.5),
        ("first grey", True, 0.4),
        ("last sinc", True, 0.8),
        ("first kernel", "isotropic", 0.9 * 0.45),
    ):
        share = np.mean([draws[name] == value for draws in many])
        assert share == pytest.approx(chance, abs=3 * math.sqrt(chance * (1 - chance) / 200)), name


def test_draws_stay_in_the_papers_ranges(many: list[Draws]) -> None:
    ranges = {
        "first sigma": (0.2, 3),
        "second sigma": (0.2, 1.5),
        "first gaussian sigma": (1, 30),
        "second gaussian sigma": (1, 25),
        "first poisson scale": (0.05, 3),
        "second poisson scale": (0.05, 2.5),
        "first quality": (30, 95),
        "last quality": (30, 95),
        "last cutoff": (math.pi / 3, math.pi),
    }
    for name, (low, high) in ranges.items():
        values = [float(str(draws[name])) for draws in many if name in draws]
        assert low <= min(values) < low + 0.2 * (high - low), name
        assert high - 0.2 * (high - low) < max(values) <= high, name
    for draws in many:
        if draws["first kernel"] == "sinc":
            lowest = math.pi / 5 if float(str(draws["first kernel size"])) >= 13 else math.pi / 3
            assert lowest <= float(str(draws["first cutoff"])) <= math.pi


def test_the_last_steps_come_in_the_order_drawn(many: list[Draws]) -> None:
    for draws in many:
        keys = list(draws)
        jpeg_first = keys.index("last quality") < keys.index("last resize kernel")
        assert jpeg_first == draws["last jpeg before sinc"]
        assert keys.index("last resize kernel") < keys.index("last sinc")
        assert keys.index("first quality") < keys.index("second blur")


@pytest.mark.parametrize("direction", ["down", "keep", "up"])
@pytest.mark.parametrize(
    ("lr", "smallest"),  # HR is 48 x 60; smallest: what the first resize may leave of its height and width
    [
        (Size(12, 15), (0.15, 0.15)),  # the paper's, at x4
        (Size(24, 30), (0.3, 0.3)),
        (Size(48, 15), (0.6, 0.15)),
        (Size(48, 60), (0.6, 0.6)),
    ],
)
def test_sizes_between_follow_the_final_size(
    lr: Size, smallest: tuple[float, float], direction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Size] = []

    def spy(image: NDArray[np.float32], size: Size, kernel: str) -> NDArray[np.float32]:
        asked.append(size)
        return np.full((*size, 3), 0.5, np.float32)

    monkeypatch.setattr(realesrgan, "resized", spy)
    order = {"resize": {direction: 1}, "blur_chance": 0, "gaussian_chance": 1}
    degradation = RealEsrgan.model_validate({"first": order, "second": order, "last_sinc_chance": 0})
    for seed in range(30):
        degradation.shrink(picture(48, 60), lr, np.random.default_rng(seed))
    assert set(asked[2::3]) == {lr}
    for axis, hr in enumerate((48, 60)):
        for sizes, kept, low, high in (
            (asked[0::3], hr, smallest[axis], 1.5),
            (asked[1::3], lr[axis], 0.3, 1.2),
        ):
            ends = {"down": (low, 1), "keep": (1, 1), "up": (1, high)}[direction]
            reached = [size[axis] / kept for size in sizes]
            rounded = 0.5 / kept + 1e-9
            near = 0.15 * (ends[1] - ends[0])
            assert ends[0] - rounded <= min(reached) <= ends[0] + near + rounded
            assert ends[1] - near - rounded <= max(reached) <= ends[1] + rounded


def test_noise_is_as_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, float, bool]] = []

    def spy(kind: str) -> Callable[..., NDArray[np.float32]]:
        def add(
            image: NDArray[np.float32], strength: float, rng: np.random.Generator, grey: bool
        ) -> NDArray[np.float32]:
            calls.append((kind, strength, grey))
            return image

        return add

    for kind in ("gaussian", "poisson"):
        monkeypatch.setattr(noise, kind, spy(kind))
    for seed in range(12):
        draws = RealEsrgan().shrink(picture(), Size(4, 5), np.random.default_rng(seed)).draws
        for order in ("first", "second"):
            kind, strength, grey = calls.pop(0)
            assert (kind == "gaussian") == draws[f"{order} gaussian"]
            assert grey == draws[f"{order} grey"]
            if kind == "gaussian":
                assert strength == float(str(draws[f"{order} gaussian sigma"])) / 255
            else:
                assert strength == draws[f"{order} poisson scale"]


def test_a_part_of_the_second_order_can_be_set_alone() -> None:
    changed = RealEsrgan.model_validate({"second": {"blur_chance": 1}}).second
    assert changed == RealEsrgan().second.model_copy(update={"blur_chance": 1})
    assert changed.sigma == (0.2, 1.5)


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"first": {"sigmma": (1, 2)}}, "first.sigmma"),
        ({"first": {"resize": {"sideways": 1}}}, "first.resize"),
        ({"kernel_shapes": {"sinc": 0}}, "at least one choice"),
        ({"second": {"largest": 0.9}}, "second.largest"),
        ({"first": {"sigma": (0, 1)}}, "first.sigma"),
    ],
)
def test_impossible_configurations_are_refused(config: dict[str, object], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        RealEsrgan.model_validate(config)
