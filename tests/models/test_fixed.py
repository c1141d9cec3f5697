"""The fixed-scale originals: their tail, their only size, windows and tiles of it."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.errors import ScaleError
from anyzoom.grid import Size, Window, cell_of, pixel_centres
from anyzoom.models import MODELS, fixed
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.fixed import Factor, FixedScale
from anyzoom.models.network import Normalisation

CELL = torch.tensor([[0.1, 0.1]])
FACTORS: list[Factor] = [2, 3, 4]


def a_network(factor: Factor = 4, normalisation: Normalisation = "symmetric") -> FixedScale:
    torch.manual_seed(4)
    return FixedScale(EdsrEncoder(EdsrConfig(width=6, depth=1, normalisation=normalisation)), factor).eval()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def as_published(network: FixedScale, lr: Tensor) -> Tensor:
    """`b 3 H W` by reshaping, without PixelShuffle."""
    features = network.encoder(lr)
    *others, last = (layer for layer in network.tail if isinstance(layer, nn.Conv2d))
    for layer, step in zip(others, fixed.STEPS[network.factor], strict=True):
        batch, width, height, length = features.shape
        many = layer(features).view(batch, width, step, step, height, length)
        features = many.permute(0, 1, 4, 2, 5, 3).reshape(batch, width, step * height, step * length)
    result: Tensor = last(features) * 0.5 + 0.5
    return result


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("block", [1, 3, 64])
def test_is_the_published_network_in_blocks(monkeypatch: pytest.MonkeyPatch, factor: Factor, block: int) -> None:
    monkeypatch.setattr(fixed, "BLOCK", block)
    network, lr = a_network(factor), torch.rand(2, 3, 5, 8)
    with torch.no_grad():
        expected = as_published(network, lr)
    size = Size(5 * factor, 8 * factor)
    assert network.size_of(Size(5, 8)) == size
    close(network(lr, size), expected)
    encoded = network.encode(lr)
    for window in (Window(0, 0, 1, 1), Window(3, 5, 9, 14), Window(size.height - 1, 2, size.height, size.width)):
        close(network.render(encoded, size, window), expected[..., window.slices[0], window.slices[1]])


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        ("edsr-x", {}, 1_517_571),
        ("edsr-x", {"factor": 3}, 1_554_499),
        ("edsr-x", {"encoder": {"width": 256, "depth": 32, "residual_scale": 0.1}}, 43_089_923),
        ("rdn-x", {}, 22_271_107),
        ("swinir-x", {}, 11_900_199),
        ("swinir-x", {"factor": 2}, 11_752_487),
    ],
)
def test_parameter_counts(name: str, config: dict[str, object], expected: int) -> None:
    row = MODELS[name]
    with torch.device("meta"):
        network = row.build(row.config.model_validate(config))
    assert sum(p.numel() for p in network.parameters()) == expected


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("tile", [Window(0, 0, 3, 2), Window(6, 5, 7, 9), Window(9, 8, 12, 11)], ids=str)
def test_a_tile_needs_its_halo_and_no_more(factor: Factor, tile: Window) -> None:
    network, whole = a_network(factor), Size(12, 11)
    assert network.facts.reach == 2
    assert network.facts.halo == 2 * 1 + 2 + 2
    encoded = network.encode(torch.rand(1, 3, *whole))
    size, own = network.size_of(whole), network._enlarged_window(tile)
    expected = network.render(encoded, size, own)
    close(network.render(encoded.cropped(tile.grown(2, whole)), size, own), expected)
    less = network.render(encoded.cropped(tile.grown(1, whole)), size, own)
    assert (less - expected).abs().max() > 1e-4


@pytest.mark.parametrize("size", [Size(20, 31), Size(5, 8), Size(15, 24), Size(32, 20)], ids=str)
def test_knows_one_size_alone(size: Size) -> None:
    network = a_network()
    words = f"only magnifies by 4: a picture of 8x5 to 32x20, not {size}. Ask for scale 4"
    with pytest.raises(ScaleError, match=words):
        network(torch.rand(1, 3, 5, 8), size)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_point_gets_the_pixel_in_which_it_lies(factor: Factor) -> None:
    network, lr = a_network(factor), torch.rand(2, 3, 5, 8)
    size, encoded = Size(5 * factor, 8 * factor), network.encode(lr)
    picture = network.render(encoded, size)
    points = pixel_centres(size, lr).view(1, -1, 2).expand(2, -1, -1)
    for shift in (0, 0.45, -0.45):
        moved = points + shift * cell_of(size, lr)
        found = network.query(encoded, moved, CELL.expand(2, -1))
        close(found.transpose(1, 2).reshape(picture.shape), picture)
    far = torch.tensor([[[-1.5, -1.5], [1.5, 1.5]]]).expand(2, -1, -1)
    corners = torch.stack([picture[..., 0, 0], picture[..., -1, -1]], dim=1)
    close(network.query(encoded, far, CELL.expand(2, -1)), corners)


def test_a_point_in_a_tile() -> None:
    network, whole, tile = a_network(3), Size(12, 11), Window(4, 3, 6, 6)
    encoded = network.encode(torch.rand(1, 3, *whole))
    points = pixel_centres(network.size_of(whole), encoded.lr, network._enlarged_window(tile)).view(1, -1, 2)
    part = encoded.cropped(tile.grown(2, whole))
    close(network.query(part, points, CELL), network.query(encoded, points, CELL))


def test_mean_colours_are_added_again() -> None:
    """The other normalisation, at the input and at the output."""
    network, lr = a_network(normalisation="mean"), torch.rand(1, 3, 4, 5)
    with torch.no_grad():
        expected = network.tail(network.encoder(lr)) + torch.tensor([0.4488, 0.4371, 0.4040]).view(3, 1, 1)
    close(network(lr, Size(16, 20)), expected)


def test_bfloat16_features_are_close() -> None:
    network, lr = a_network(), torch.rand(1, 3, 6, 7)
    encoded = network.encode(lr)
    found = network.render(encoded._replace(features=encoded.features.bfloat16()), Size(24, 28))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, network.render(encoded, Size(24, 28)), rtol=0, atol=0.02)


def test_learns_a_tiny_pair() -> None:
    network = a_network(2).train()
    hr = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(1))
    lr = F.avg_pool2d(hr, 2)
    points, truth = pixel_centres(Size(8, 12), lr).view(1, -1, 2), hr.flatten(2).transpose(1, 2)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (network.query(network.encode(lr), points, CELL) - truth).abs().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


def test_refuses_other_factors() -> None:
    with pytest.raises(ValidationError, match="Input should be 2, 3 or 4"):
        MODELS["edsr-x"].config.model_validate({"factor": 8})
