"""RDN's trunk against the formula of the paper, written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from anyzoom.checkpoint import load_upstream
from anyzoom.errors import CheckpointError
from anyzoom.models.encoders.rdn import RDN_A, RDN_B, DenseBlock, RdnConfig, RdnEncoder

SMALL = RdnConfig(width=6, blocks=3, depth=2, growth=4)


def as_published(encoder: RdnEncoder, lr: Tensor) -> Tensor:
    """Every block's convolutions one after the other, then all blocks' results side by side."""
    first = encoder.head(lr * 2 - 1)
    features, results = encoder.shallow(first), []
    for block in encoder.blocks:
        assert isinstance(block, DenseBlock)
        pieces = [features]
        for layer in block.layers:
            pieces.append(F.relu(layer(torch.cat(pieces, dim=1))))
        features = features + block.fusion(torch.cat(pieces, dim=1))
        results.append(features)
    result: Tensor = encoder.tail(encoder.fusion(torch.cat(results, dim=1))) + first
    return result


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (5, 8)])
def test_is_the_published_network_at_any_size(size: tuple[int, int]) -> None:
    torch.manual_seed(2)
    encoder, lr = RdnEncoder(SMALL), torch.rand(2, 3, *size)
    before = lr.clone()
    features = encoder(lr)
    assert features.shape == (2, 6, *size)
    torch.testing.assert_close(features, as_published(encoder, lr), rtol=0, atol=1e-5)
    assert torch.equal(lr, before)


@pytest.mark.parametrize(("config", "expected"), [(RDN_B, 21_973_952), (RdnConfig(), 21_973_952), (RDN_A, 5_467_072)])
def test_parameter_counts(config: RdnConfig, expected: int) -> None:
    with torch.device("meta"):
        encoder = RdnEncoder(config)
    assert sum(p.numel() for p in encoder.parameters()) == expected
    assert encoder.width == 64


def test_reaches_of_the_papers_networks() -> None:
    """Sixteen blocks of eight convolutions, or twenty of six; and three more."""
    with torch.device("meta"):
        assert RdnEncoder(RDN_B).reach == 131
        assert RdnEncoder(RDN_A).reach == 123


@pytest.mark.parametrize(("blocks", "depth"), [(1, 1), (1, 3), (2, 2)])
def test_reach_is_where_a_pixel_stops_to_matter(blocks: int, depth: int) -> None:
    torch.manual_seed(2)
    encoder = RdnEncoder(RdnConfig(width=6, blocks=blocks, depth=depth, growth=4)).double()
    reach = encoder.reach
    assert reach == blocks * depth + 3
    side = 2 * reach + 3
    lr = torch.rand(1, 3, side, side, dtype=torch.float64)
    changed = lr.clone()
    changed[..., reach + 1, reach + 1] += 0.5
    with torch.no_grad():
        moved = (encoder(lr) != encoder(changed)).any(dim=1)[0]
    for places in moved.nonzero(as_tuple=True):
        assert (int(places.min()), int(places.max())) == (1, side - 2)


def test_gradients_reach_all_parameters() -> None:
    torch.manual_seed(2)
    encoder = RdnEncoder(SMALL)
    encoder(torch.rand(1, 3, 5, 5)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_bfloat16_is_close() -> None:
    torch.manual_seed(2)
    encoder, lr = RdnEncoder(SMALL), torch.rand(1, 3, 9, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(encoder(lr).float(), as_published(encoder, lr).float(), rtol=0, atol=0.03)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"RDNconfig": "C"}, "configuration 'C' is not known; known: A, B"),
        ({"no_upsampling": False}, "its own upsampler"),
        ({"RDNkSize": 5}, "kernels of 5"),
        ({"kernel": 3}, "option kernel is not known"),
        ({"RDNconfig": "A"}, "the state dict lacks SFENet1.weight"),
    ],
)
def test_refuses_files_of_other_networks(args: dict[str, Any], words: str) -> None:
    with pytest.raises(CheckpointError, match=words):
        load_upstream("rdn", {"no_upsampling": True, **args}, {})
