"""Colour augmentation: the pair still fits, and what is drawn is what was asked for."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from anyzoom.pairs.augment import Augmentation, augment

Picture = NDArray[np.float32]
STEP = 1 / 255  # LR is rounded to it


@pytest.fixture
def lr() -> Picture:
    """8-bit levels from 102 to 153, far from black and white."""
    levels = np.random.default_rng(1).integers(102, 154, (40, 50, 3))
    return levels.astype(np.float32) / np.float32(255)


def drawn(lr: Picture, seed: int = 0, **choice: object) -> tuple[Picture, Picture]:
    """LR augmented beside itself as the truth."""
    return augment(lr, lr.reshape(-1, 3), Augmentation.model_validate(choice), np.random.default_rng(seed))


def test_by_default_nothing_changes(lr: Picture) -> None:
    changed, colours = drawn(lr)
    assert changed.dtype == colours.dtype == np.float32
    assert np.array_equal(changed, lr)
    assert np.array_equal(colours, lr.reshape(-1, 3))


def test_brightness_is_added(lr: Picture) -> None:
    changed, colours = drawn(lr, brightness_chance=1, brightness=(0.2, 0.2))
    np.testing.assert_allclose(colours, lr.reshape(-1, 3) + 0.2, atol=1e-6)
    np.testing.assert_allclose(changed, lr + 0.2, atol=1e-6)  # 0.2 is 51 levels


def test_contrast_keeps_the_mean(lr: Picture) -> None:
    _, colours = drawn(lr, contrast_chance=1, contrast=(1.5, 1.5))
    assert colours.mean() == pytest.approx(lr.mean(), abs=1e-5)
    np.testing.assert_allclose(colours, (lr - lr.mean()).reshape(-1, 3) * 1.5 + lr.mean(), atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_lr_and_truth_change_alike(lr: Picture, seed: int) -> None:
    """Also where the truth has other colours than LR, it is moved by LR's own line."""
    plan = Augmentation(contrast_chance=1, brightness_chance=1)
    changed, _ = augment(lr, lr[0], plan, np.random.default_rng(seed))
    _, ends = augment(lr, np.array([[0.4] * 3, [0.6] * 3], np.float32), plan, np.random.default_rng(seed))
    slope = (ends[1] - ends[0]) / 0.2
    assert slope[0] != pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(changed, ends[0] + (lr - 0.4) * slope, atol=STEP / 2 + 1e-5)


def test_noise_is_on_lr_alone(lr: Picture) -> None:
    changed, colours = drawn(lr, noise_chance=1, noise=(0.03, 0.03))
    assert np.array_equal(colours, lr.reshape(-1, 3))
    noise = changed - lr
    assert noise.mean() == pytest.approx(0, abs=2e-3)
    assert noise.std() == pytest.approx(0.03, rel=0.05)
    channels = noise.reshape(-1, 3).T
    assert np.abs(np.corrcoef(channels) - np.eye(3)).max() < 0.1


def test_lr_stays_eight_bits_and_all_stays_in_range(lr: Picture) -> None:
    contrasty = ((lr - 0.5) * 4 + 0.5).clip(0, 1)
    changed, colours = drawn(
        contrasty, contrast_chance=1, contrast=(2, 2), brightness_chance=1, brightness=(0.1, 0.1), noise_chance=1
    )
    assert np.array_equal(changed, np.rint(changed * 255) / np.float32(255))
    for one in (changed, colours):
        assert one.dtype == np.float32
        assert one.min() == 0
        assert one.max() == 1


def test_inputs_stay_as_they_are(lr: Picture) -> None:
    kept, truth = lr.copy(), lr[0].copy()
    augment(lr, truth, Augmentation(contrast_chance=1, brightness_chance=1, noise_chance=1), np.random.default_rng(0))
    assert np.array_equal(lr, kept)
    assert np.array_equal(truth, kept[0])


def test_the_generator_alone_decides(lr: Picture) -> None:
    plan = {"contrast_chance": 0.5, "brightness_chance": 0.5, "noise_chance": 0.5}
    one, again, other = drawn(lr, 3, **plan), drawn(lr, 3, **plan), drawn(lr, 4, **plan)
    assert np.array_equal(one[0], again[0])
    assert np.array_equal(one[1], again[1])
    assert not np.array_equal(one[0], other[0])


def test_chances_are_kept_apart(lr: Picture) -> None:
    """Of 200 crops about a quarter is brightened and another quarter, whatever the first, is noisy."""
    small = lr[:4, :4]
    lightened, noisy = np.zeros(200, bool), np.zeros(200, bool)
    for seed in range(200):
        changed, colours = drawn(small, seed, brightness_chance=0.25, noise_chance=0.25, noise=(0.05, 0.05))
        lightened[seed] = not np.array_equal(colours, small.reshape(-1, 3))
        noisy[seed] = np.abs(changed.reshape(-1, 3) - colours).max() > STEP
    assert 30 < lightened.sum() < 70
    assert 30 < noisy.sum() < 70
    assert 3 < (lightened & noisy).sum() < 25


def test_ranges_are_filled(lr: Picture) -> None:
    offsets = [
        float(
            (drawn(lr[:2, :2], seed, brightness_chance=1, brightness=(-0.1, 0.2))[1] - lr[:2, :2].reshape(-1, 3)).mean()
        )
        for seed in range(100)
    ]
    assert -0.1 <= min(offsets) < -0.08
    assert 0.18 < max(offsets) <= 0.2


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"contrast": (1.2, 0.8)}, "should be the smallest and the largest value"),
        ({"contrast": (-1, 1)}, "should not be below 0"),
        ({"noise": (-0.1, 0.1)}, "should not be below 0"),
        ({"noise_chance": 1.1}, "less than or equal to 1"),
        ({"brightness": (0, float("inf"))}, "finite"),
        ({"hue": (0, 1)}, "Extra inputs"),
    ],
)
def test_impossible_ranges_are_refused(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Augmentation.model_validate(choice)
