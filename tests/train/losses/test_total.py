"""The choice of losses, and their weighted sum."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from anyzoom.errors import CheckpointError, RecipeError
from anyzoom.train.losses import Losses, Perceptual, content_loss, perceptual_for
from anyzoom.train.losses.distances import charbonnier, frequency, gradient


def random(seed: int, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_by_default_it_is_l1() -> None:
    predicted, truth = random(1, 2, 7, 3), random(2, 2, 7, 3)
    total, parts = content_loss(Losses(), predicted, truth)
    assert torch.equal(total, F.l1_loss(predicted, truth))
    assert parts == {"l1": total}


def test_the_sum_is_weighted_and_its_parts_are_not(vgg19: dict[str, Tensor]) -> None:
    predicted, truth = random(1, 1, 3, 16, 17), random(2, 1, 3, 16, 17)
    perceptual = Perceptual(vgg19)
    losses = Losses(l1=0.5, charbonnier=0.25, frequency=2, gradient=3, perceptual=0.125, adversarial=7)
    total, parts = content_loss(losses, predicted.requires_grad_(), truth, perceptual)
    expected = {
        "l1": F.l1_loss(predicted, truth).item(),
        "charbonnier": charbonnier(predicted, truth).item(),
        "frequency": frequency(predicted, truth).item(),
        "gradient": gradient(predicted, truth).item(),
        "perceptual": perceptual(predicted, truth).item(),
    }
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(expected)
    assert total.item() == pytest.approx(sum(getattr(losses, name) * value for name, value in expected.items()))
    assert total.requires_grad
    assert not any(part.requires_grad for part in parts.values())


def test_what_does_not_count_is_not_computed() -> None:
    total, parts = content_loss(Losses(l1=0, charbonnier=2), random(1, 1, 5, 3), random(2, 1, 5, 3))
    assert parts.keys() == {"charbonnier"}
    assert total.item() == pytest.approx(2 * parts["charbonnier"].item())
    total, parts = content_loss(Losses(l1=0, adversarial=1), random(1, 1, 3, 4, 4), random(2, 1, 3, 4, 4))
    assert total.item() == 0
    assert parts == {}


def test_it_is_computed_in_float32() -> None:
    """Transforms know no bfloat16, and a mean of many pixels would be coarse."""
    predicted, truth = random(1, 1, 3, 4, 4).bfloat16(), random(2, 1, 3, 4, 4).bfloat16()
    losses = Losses(frequency=1)
    total, _ = content_loss(losses, predicted, truth)
    assert total.dtype == torch.float32
    assert torch.equal(total, content_loss(losses, predicted.float(), truth.float())[0])


@pytest.mark.parametrize("name", ["frequency", "gradient", "perceptual", "adversarial"])
def test_some_need_pictures(name: str) -> None:
    losses = Losses.model_validate({"l1": 0, name: 0.1})
    assert losses.needs_pictures
    assert losses.compares_colours
    with pytest.raises(AssertionError):
        content_loss(losses, random(1, 1, 5, 3), random(2, 1, 5, 3))


def test_points_are_enough_for_the_others() -> None:
    assert not Losses(charbonnier=1).needs_pictures
    assert Losses(l1=0, charbonnier=1).compares_colours
    special = Losses(l1=0, likelihood=1)
    assert not special.compares_colours
    assert not special.needs_pictures
    assert not Losses(l1=0, deformation=1).compares_colours


def test_the_shapes_must_agree() -> None:
    with pytest.raises(AssertionError):
        content_loss(Losses(), random(1, 1, 5, 3), random(2, 5, 3))


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"l1": 0}, "at least one loss should be above 0"),
        ({"l1": -1}, "greater than or equal to 0"),
        ({"l1": float("nan")}, "finite"),
        ({"l2": 1}, "Extra inputs"),
        ({"adversarial_kind": "wasserstein"}, "'vanilla', 'least-squares', 'hinge' or 'relativistic'"),
        ({"perceptual_sha256": "dcbb9e9d"}, "should match pattern"),
    ],
)
def test_impossible_choices_are_refused(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Losses.model_validate(choice)


def test_a_choice_is_frozen_and_survives_json() -> None:
    losses = Losses(perceptual=1, perceptual_weights=Path("vgg19.pth"), perceptual_sha256="0" * 64)
    assert Losses.model_validate(json.loads(losses.model_dump_json())) == losses
    with pytest.raises(ValidationError, match="frozen"):
        losses.l1 = 2.0


def test_vgg19_is_read_only_where_it_counts(vgg19: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save(vgg19, tmp_path / "vgg19.pth")
    assert perceptual_for(Losses(), tmp_path / "vgg19.pth") is None
    assert isinstance(perceptual_for(Losses(perceptual=1, perceptual_weights=tmp_path / "vgg19.pth")), Perceptual)
    elsewhere = Losses(perceptual=1, perceptual_weights=tmp_path / "gone.pth")
    assert isinstance(perceptual_for(elsewhere, tmp_path / "vgg19.pth"), Perceptual)
    with pytest.raises(CheckpointError, match=r"gone\.pth does not exist"):
        perceptual_for(elsewhere)
    with pytest.raises(CheckpointError, match="has the SHA-256"):
        perceptual_for(Losses(perceptual=1, perceptual_sha256="0" * 64), tmp_path / "vgg19.pth")
    with pytest.raises(RecipeError, match="Name a file of them: --perceptual FILE"):
        perceptual_for(Losses(perceptual=1))
