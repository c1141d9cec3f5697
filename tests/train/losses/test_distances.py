"""Distances against literal numbers and plain formulas."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from anyzoom.train.losses.distances import charbonnier, frequency, gradient


def picture(seed: int, height: int = 5, width: int = 6, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_charbonnier_is_l1_with_a_round_bottom() -> None:
    truth = torch.tensor([0.5, 0.5, 0.5], dtype=torch.float64)
    predicted = torch.tensor([0.5, 0.5 + 3e-3, 0.1], dtype=torch.float64)
    expected = (1e-3 + math.sqrt(10) * 1e-3 + math.sqrt(0.16 + 1e-6)) / 3
    assert charbonnier(predicted, truth).item() == pytest.approx(expected, rel=1e-12)
    level = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(charbonnier(level, truth[:1]), level)
    assert slope.item() == 0  # where L1 has a corner


def test_frequency_equals_the_plain_transform() -> None:
    predicted, truth = picture(1), picture(2)
    height, width = predicted.shape[-2:]
    down, across = (
        torch.exp(-2j * math.pi * torch.outer(torch.arange(side), torch.arange(side)).double() / side) / math.sqrt(side)
        for side in (height, width)
    )
    difference = down @ (predicted.to(torch.complex128) @ across) - down @ (truth.to(torch.complex128) @ across)
    expected = (difference.real.abs().mean() + difference.imag.abs().mean()) / 2
    assert frequency(predicted, truth).item() == pytest.approx(expected.item(), rel=1e-12)


def test_frequency_of_a_constant_error() -> None:
    truth = torch.full((1, 3, 4, 9), 0.25)
    # All of it is in one of 36 frequencies: 0.1 * sqrt(36), in its real part alone.
    assert frequency(truth + 0.1, truth).item() == pytest.approx(0.1 * 6 / 36 / 2, rel=1e-5)


def test_gradient_counts_slopes_and_their_signs() -> None:
    flat = torch.zeros(1, 3, 4, 5)
    right = torch.arange(5.0).expand(1, 3, 4, 5) / 10
    down = torch.arange(4.0).view(4, 1).expand(1, 3, 4, 5) / 5
    assert gradient(flat + 0.7, flat).item() == 0
    assert gradient(right, flat).item() == pytest.approx(0.1)
    assert gradient(down, flat).item() == pytest.approx(0.2)
    assert gradient(right, -right).item() == pytest.approx(0.2)
    assert gradient(right + down, flat).item() == pytest.approx(0.3)


@pytest.mark.parametrize("measure", [charbonnier, frequency, gradient])
def test_none_depends_on_the_batch(measure: Callable[[Tensor, Tensor], Tensor]) -> None:
    predicted, truth = picture(3), picture(4)
    alone = [measure(predicted[i : i + 1], truth[i : i + 1]).item() for i in range(2)]
    assert measure(predicted, truth).item() == pytest.approx(sum(alone) / 2, rel=1e-12)
