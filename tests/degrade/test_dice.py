"""Draws, their names and their order."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from anyzoom.degrade.dice import POSSIBLE, Chance, Dice, KernelSizes, NonNegativeRange, PositiveRange, Qualities, Range


def dice(seed: int = 0) -> Dice:
    return Dice(np.random.default_rng(seed))


def test_draws_are_kept_in_order_under_their_names() -> None:
    rolled = dice()
    drawn = [
        rolled.uniform("third", (2, 3)),
        rolled.integer("first", (5, 9)),
        rolled.happens("second", 1.0),
        rolled.choice("fifth", {"a": 0, "b": 2}),
        " ".join(rolled.order("fourth", ["x", "y", "z"])),
        rolled.log_uniform("last", (0.1, 10)),
    ]
    assert list(rolled.draws) == ["third", "first", "second", "fifth", "fourth", "last"]
    assert list(rolled.draws.values()) == drawn
    assert [type(value) for value in drawn] == [float, int, bool, str, str, float]
    with pytest.raises(AssertionError, match="fifth"):
        rolled.uniform("fifth", (0, 1))


def test_both_ends_of_integers_are_reached() -> None:
    rolled = dice()
    assert {rolled.integer(str(i), (7, 21), step=2) for i in range(200)} == set(range(7, 22, 2))
    assert {rolled.integer(f"one {i}", (9, 9), step=2) for i in range(5)} == {9}


def test_choices_come_in_proportion_to_their_weights() -> None:
    rolled = dice()
    drawn = [rolled.choice(str(i), {"never": 0.0, "rare": 1.0, "often": 3.0}) for i in range(2000)]
    assert drawn.count("never") == 0
    assert drawn.count("rare") / 2000 == pytest.approx(0.25, abs=0.04)
    happened = [rolled.happens(f"chance {i}", 0.25) for i in range(2000)]
    assert np.mean(happened) == pytest.approx(0.25, abs=0.04)
    assert not any(rolled.happens(f"never {i}", 0.0) for i in range(100))


def test_a_logarithmic_range_gives_every_decade_alike() -> None:
    rolled = dice()
    drawn = np.array([rolled.log_uniform(str(i), (0.01, 100)) for i in range(2000)])
    assert drawn.min() >= 0.01
    assert drawn.max() <= 100
    assert np.mean(drawn < 1) == pytest.approx(0.5, abs=0.05)


def test_every_order_comes() -> None:
    rolled = dice()
    assert len({" ".join(rolled.order(str(i), ["a", "b", "c"])) for i in range(60)}) == 6


@pytest.mark.parametrize(
    ("kind", "value", "fault"),
    [
        (Range, (2.0, 1.0), "the smallest and the largest value, in that order"),
        (NonNegativeRange, (-1.0, 1.0), "greater than or equal to 0"),
        (PositiveRange, (0.0, 1.0), "greater than 0"),
        (KernelSizes, (7, 20), "odd"),
        (KernelSizes, (21, 7), "in that order"),
        (Qualities, (0, 95), "greater than or equal to 1"),
        (Qualities, (30, 101), "less than or equal to 100"),
        (Chance, 1.1, "less than or equal to 1"),
        (Annotated[dict[str, float], POSSIBLE], {"a": 0.0}, "at least one choice a weight above 0"),
    ],
)
def test_impossible_ranges_are_refused(kind: Any, value: object, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        TypeAdapter(kind).validate_python(value)
