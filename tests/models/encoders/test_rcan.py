"""RCAN's trunk against the formula of the paper, written out."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from anyzoom.models.encoders.rcan import AttentionBlock, RcanConfig, RcanEncoder, ResidualGroup

SMALL = RcanConfig(width=8, groups=2, blocks=2, reduction=4)


def as_published(encoder: RcanEncoder, lr: Tensor) -> Tensor:
    shallow = encoder.head(lr * 2 - 1)
    *groups, last = encoder.body
    features = shallow
    for group in groups:
        assert isinstance(group, ResidualGroup)
        *blocks, end = group.body
        inside = features
        for block in blocks:
            assert isinstance(block, AttentionBlock)
            change = block.second(F.relu(block.first(inside)))
            means = F.adaptive_avg_pool2d(change, 1)
            weights = torch.sigmoid(block.attention.excite(F.relu(block.attention.squeeze(means))))
            inside = inside + weights * change
        features = features + end(inside)
    result: Tensor = last(features) + shallow
    return result


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (5, 8)])
def test_is_the_published_network_at_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(2)
    encoder, lr = RcanEncoder(SMALL), torch.rand(2, 3, *size)
    before = lr.clone()
    features = encoder(lr)
    assert features.shape == (2, 8, *size)
    torch.testing.assert_close(features, as_published(encoder, lr), rtol=0, atol=1e-5)
    assert torch.equal(lr, before)


def test_parameter_counts() -> None:
    """The groups and the convolution after them have 15,293,408 in ArbSR's files, too."""
    with torch.device("meta"):
        encoder = RcanEncoder()
    assert sum(p.numel() for p in encoder.parameters()) == 15_295_200
    assert sum(p.numel() for p in encoder.body.parameters()) == 15_293_408


def test_every_feature_depends_on_every_pixel() -> None:
    torch.manual_seed(2)
    encoder = RcanEncoder(SMALL).double()
    assert encoder.reach is None
    lr = torch.rand(1, 3, 40, 40, dtype=torch.float64)
    changed = lr.clone()
    changed[..., 0, 0] += 0.5
    with torch.no_grad():
        assert (encoder(lr) != encoder(changed)).any(dim=1).all()


def test_gradients_reach_all_parameters() -> None:
    torch.manual_seed(2)
    encoder = RcanEncoder(RcanConfig(width=32, groups=1, blocks=1, reduction=2))
    encoder(torch.rand(1, 3, 5, 5)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_refuses_an_attention_of_nothing() -> None:
    with pytest.raises(ValidationError, match="a reduction of 16 leaves nothing of 8 channels"):
        RcanConfig(width=8)
