"""Adversarial losses against literal numbers, and who is drawn where."""

from __future__ import annotations

import math
from typing import get_args

import pytest
import torch
from torch.nn import functional as F

from anyzoom.train.losses import AdversarialKind, discriminator_loss, generator_loss

KINDS: tuple[AdversarialKind, ...] = get_args(AdversarialKind)
FAKE, REAL = torch.tensor([-1.0, 2.0]), torch.tensor([0.0, 3.0])


def log_sigmoid(x: float) -> float:
    return -math.log1p(math.exp(-x))


EXPECTED: dict[AdversarialKind, tuple[float, float]] = {  # of the discriminator, of the generator
    "vanilla": (
        -(log_sigmoid(0) + log_sigmoid(3)) / 2 - (log_sigmoid(1) + log_sigmoid(-2)) / 2,
        -(log_sigmoid(-1) + log_sigmoid(2)) / 2,
    ),
    "least-squares": (((1 + 4) / 2 + (1 + 4) / 2) / 2, (4 + 1) / 2 / 2),
    "hinge": ((1 + 0) / 2 + (0 + 3) / 2, -0.5),
    "relativistic": (  # the means are 0.5 and 1.5
        -(log_sigmoid(-0.5) + log_sigmoid(2.5)) / 2 - (log_sigmoid(2.5) + log_sigmoid(-0.5)) / 2,
        -(log_sigmoid(-2.5) + log_sigmoid(0.5)) / 2 - (log_sigmoid(0.5) + log_sigmoid(-2.5)) / 2,
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_literal_values(kind: AdversarialKind) -> None:
    discriminator, generator = EXPECTED[kind]
    assert discriminator_loss(kind, FAKE, REAL).item() == pytest.approx(discriminator, rel=1e-6)
    assert generator_loss(kind, FAKE, REAL).item() == pytest.approx(generator, rel=1e-6)


def test_vanilla_is_binary_cross_entropy() -> None:
    ones, zeros = torch.ones(2), torch.zeros(2)
    entropy = F.binary_cross_entropy_with_logits
    assert discriminator_loss("vanilla", FAKE, REAL).item() == pytest.approx(
        (entropy(REAL, ones) + entropy(FAKE, zeros)).item(), rel=1e-6
    )
    assert generator_loss("vanilla", FAKE).item() == pytest.approx(entropy(FAKE, ones).item(), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_both_sides_pull_where_they_should(kind: AdversarialKind) -> None:
    """The discriminator wants true logits up and predicted ones down, the generator the predicted ones up."""
    fake, real = (torch.full((1, 1, 2, 2), 0.5).requires_grad_() for _ in range(2))
    on_fake, on_real = torch.autograd.grad(discriminator_loss(kind, fake, real), (fake, real))
    assert (on_fake > 0).all()
    assert (on_real < 0).all()
    (on_fake,) = torch.autograd.grad(generator_loss(kind, fake, real), fake)
    assert (on_fake < 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_is_summed_in_float32(kind: AdversarialKind) -> None:
    fake, real = FAKE.bfloat16(), REAL.bfloat16()
    assert discriminator_loss(kind, fake, real).dtype == torch.float32
    assert generator_loss(kind, fake, real).dtype == torch.float32


def test_far_logits_stay_finite() -> None:
    far = torch.tensor([200.0])
    assert discriminator_loss("vanilla", far, -far).item() == pytest.approx(400)
    assert generator_loss("vanilla", -far).item() == pytest.approx(200)


def test_relativistic_needs_true_logits() -> None:
    with pytest.raises(AssertionError):
        generator_loss("relativistic", FAKE)
