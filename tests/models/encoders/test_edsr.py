"""EDSR's trunk against the authors' own network, and its facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from anyzoom.checkpoint import load_upstream
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder


@pytest.mark.parametrize("case", ["edsr-a", "edsr-b"])
def test_equals_the_authors_network(case: str, shared: Path) -> None:
    """a: 2 blocks of 16 channels; b: 3 blocks of 24 channels, residuals scaled by 0.1."""
    with safe_open(shared / "parity" / f"{case}.safetensors", "pt") as file:
        facts = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    state = {k.removeprefix("state."): v.float() for k, v in tensors.items() if k.startswith("state.")}
    encoder = load_upstream("edsr", json.loads(facts["constructor_args"]), state)
    assert isinstance(encoder, EdsrEncoder)
    with torch.no_grad():
        features = encoder(tensors["in.lr"])
    torch.testing.assert_close(
        features, tensors["out.feat"], atol=float(facts["tol_atol"]), rtol=float(facts["tol_rtol"])
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (EdsrConfig(), 1_220_416),
        (EdsrConfig(width=256, depth=32, residual_scale=0.1), 38_362_368),
        (EdsrConfig(width=1, depth=0), 28 + 10),
    ],
)
def test_parameter_counts(config: EdsrConfig, expected: int) -> None:
    with torch.device("meta"):
        encoder = EdsrEncoder(config)
    assert sum(p.numel() for p in encoder.parameters()) == expected
    assert encoder.width == config.width


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 1), (5, 8)])
def test_any_size(size: tuple[int, int]) -> None:
    encoder = EdsrEncoder(EdsrConfig(width=4, depth=1))
    lr = torch.rand(2, 3, *size)
    before = lr.clone()
    assert encoder(lr).shape == (2, 4, *size)
    assert torch.equal(lr, before)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_reach_is_where_a_pixel_stops_to_matter(depth: int) -> None:
    torch.manual_seed(2)
    encoder = EdsrEncoder(EdsrConfig(width=6, depth=depth)).double()
    reach = encoder.reach
    assert reach == 2 * depth + 2
    side = 2 * reach + 3
    lr = torch.rand(1, 3, side, side, dtype=torch.float64)
    changed = lr.clone()
    changed[..., reach + 1, reach + 1] += 0.5
    with torch.no_grad():
        moved = (encoder(lr) != encoder(changed)).any(dim=1)[0]
    rows, columns = moved.nonzero(as_tuple=True)
    assert (int(rows.min()), int(rows.max())) == (1, side - 2)
    assert (int(columns.min()), int(columns.max())) == (1, side - 2)


def test_the_residual_scale_scales_the_residual() -> None:
    """With 0 every block is the identity: the trunk is head, last convolution and the long way round."""
    torch.manual_seed(2)
    encoder = EdsrEncoder(EdsrConfig(width=6, depth=2, residual_scale=0.0))
    lr = torch.rand(1, 3, 5, 5)
    shallow = encoder.head(lr * 2 - 1)
    torch.testing.assert_close(encoder(lr), encoder.body[-1](shallow) + shallow)


@pytest.mark.parametrize("residual_scale", [1.0, 0.1])
def test_gradients_reach_all_parameters(residual_scale: float) -> None:
    torch.manual_seed(2)
    encoder = EdsrEncoder(EdsrConfig(width=6, depth=2, residual_scale=residual_scale))
    encoder(torch.rand(1, 3, 5, 5)).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name
