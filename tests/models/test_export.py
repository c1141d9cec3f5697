"""Encoders and pointwise decoders as graphs: torch.export gives the same numbers."""

from __future__ import annotations

import pytest
import torch
from tests.models.test_network import tiny
from torch import Tensor, nn

from anyzoom.grid import Size, Window, cell_of, pixel_centres
from anyzoom.models import Composed, Encoded
from anyzoom.models.decoders.clit import ClitDecoder
from anyzoom.models.table import DECODERS, ENCODERS

LR = Size(8, 8)


class Query(nn.Module):
    """A decoder's `query` as a function of tensors alone."""

    def __init__(self, network: Composed, size: Size) -> None:
        super().__init__()
        self.decoder, self.size = network.decoder, size

    def forward(self, lr: Tensor, features: Tensor, points: Tensor, cell: Tensor) -> Tensor:
        encoded = Encoded(lr, features, Window.whole(LR), LR)
        if isinstance(self.decoder, ClitDecoder):  # the grids of its stages follow from the scale
            return self.decoder.on_grids(encoded, points, cell, self.decoder.grids(LR, self.size))
        return self.decoder.query(encoded, points, cell)


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders(name: str) -> None:
    network = tiny(f"lmi-{name}")
    assert isinstance(network, Composed)
    lr = torch.rand(1, 3, *LR)
    with torch.no_grad():
        exported = torch.export.export(network.encoder, (lr,)).module()
        torch.testing.assert_close(exported(lr), network.encoder(lr))


@pytest.mark.parametrize("name", DECODERS)
def test_pointwise_decoders(name: str) -> None:
    network = tiny(f"{name}-edsr")
    assert isinstance(network, Composed)
    lr, size = torch.rand(1, 3, *LR), Size(17, 19)
    points, cell = pixel_centres(size, lr).view(1, -1, 2), cell_of(size, lr)[None]
    with torch.no_grad():
        encoded = network.encode(lr)
        if not network.facts.pointwise or encoded.extra:
            assert network.facts.halo is None  # something global enters
            return
        arguments = (lr, encoded.features, points, cell)
        exported = torch.export.export(Query(network, size), arguments).module()
        torch.testing.assert_close(exported(*arguments), network.query(encoded, points, cell))
