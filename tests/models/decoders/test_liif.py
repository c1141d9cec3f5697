"""LIIF: the fast `render` against the plain `query`, tiles, and where the published formula collapses."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from anyzoom.grid import Size, Window, cell_of, owned_window, pixel_centres, size_for
from anyzoom.models import Encoded
from anyzoom.models.decoders.ensemble import corners_of_points, nearest_two, shares
from anyzoom.models.decoders.liif import LiifConfig, LiifDecoder

WIDTH = 6


def a_decoder() -> LiifDecoder:
    torch.manual_seed(2)
    decoder = LiifDecoder(WIDTH, LiifConfig(hidden=(20, 12)))
    with torch.no_grad():
        for parameter in decoder.parameters():
            parameter.mul_(2)
    return decoder.eval()


def a_picture(size: Size, batch: int = 1) -> Encoded:
    generator = torch.Generator().manual_seed(size.height * 100 + size.width)
    features = torch.randn(batch, WIDTH, *size, generator=generator)
    return Encoded(torch.rand(batch, 3, *size, generator=generator), features, Window.whole(size), size)


def asked(decoder: LiifDecoder, encoded: Encoded, size: Size) -> Tensor:
    """The whole grid through the plain `query`, `b 3 H W`."""
    points = pixel_centres(size, encoded.lr).view(1, -1, 2).expand(len(encoded.lr), -1, -1)
    with torch.no_grad():
        colours = decoder.query(encoded, points, cell_of(size, encoded.lr).expand(len(encoded.lr), -1))
    return colours.transpose(1, 2).reshape(len(encoded.lr), 3, *size)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("lr", [Size(1, 1), Size(1, 7), Size(6, 1), Size(9, 12)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.03, 2.0, 3.0, (3.7, 2.5), (8.0, 1.5)])
def test_render_equals_query(lr: Size, scale: float | tuple[float, float]) -> None:
    decoder, encoded, size = a_decoder(), a_picture(lr, batch=2), size_for(lr, scale)
    expected = asked(decoder, encoded, size)
    assert min(lr) == 1 or expected.std() > 0.1  # else 1e-5 would say little
    close(decoder.render(encoded, size, Window.whole(size)), expected)
    part = Window(size.height // 3, size.width // 2, size.height, size.width)
    rows, columns = part.slices
    close(decoder.render(encoded, size, part), expected[..., rows, columns])


def test_a_tile_renders_as_the_whole() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(14, 15))
    size = size_for(encoded.whole, (2.7, 3.0))
    tile = Window(5, 4, 9, 10)
    part = owned_window(tile, encoded.whole, size)
    rows, columns = part.slices
    expected = decoder.render(encoded, size, Window.whole(size))[..., rows, columns]
    close(decoder.render(encoded.cropped(tile.grown(decoder.reach, encoded.whole)), size, part), expected)
    narrow = decoder.render(encoded.cropped(tile.grown(decoder.reach - 1, encoded.whole)), size, part)
    assert (narrow - expected).abs().max() > 1e-3


def test_bfloat16_is_close() -> None:
    decoder, encoded = a_decoder(), a_picture(Size(8, 8))
    size = size_for(encoded.whole, 3.7)
    expected = asked(decoder, encoded, size)
    half = encoded._replace(features=encoded.features.bfloat16())
    found = decoder.render(half, size, Window.whole(size))
    assert found.dtype == torch.float32
    assert 1e-5 < (found - expected).abs().max() < 0.05 * expected.std() + 0.05


def test_a_pair_can_be_learned() -> None:
    """Gradients reach every weight."""
    decoder, encoded = a_decoder().train(), a_picture(Size(6, 6))
    points, cell = pixel_centres(Size(12, 12), encoded.lr).view(1, -1, 2), cell_of(Size(12, 12), encoded.lr)[None]
    target = torch.rand(1, 144, 3, generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.Adam(decoder.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = (decoder.query(encoded, points, cell) - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in decoder.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_parameter_count() -> None:
    with torch.device("meta"):
        assert sum(p.numel() for p in LiifDecoder(64).parameters()) == 346_883


def test_corners_and_shares_in_numbers() -> None:
    """A quarter LR pixel right of the centre of pixel 2 of 6."""
    position = torch.tensor([(2 * 2 + 1) / 6 - 1 + 0.5 / 6], dtype=torch.float64)
    indices, offsets = nearest_two(position, 6)
    assert indices.tolist() == [[2, 3]]
    assert offsets.tolist() == [pytest.approx([0.5, -1.5])]
    assert shares(offsets).tolist() == [pytest.approx([0.75, 0.25])]


def test_weights_where_all_areas_vanish() -> None:
    """x3, the centre of the last row: both moves along the rows find the last pixel, at a distance of zero.

    The published formula divides areas of 1e-9 by their sum, so that rounding decides. The rows share equally here,
    and the columns keep their weights.
    """
    encoded = a_picture(Size(4, 4))
    point = torch.tensor([[[1 - 1 / 4, (2 * 1 + 1) / 4 - 1 + 2 / 12]]])  # centre of row 3, a third right of column 1
    corners = corners_of_points(encoded, point)
    assert corners.index[0, :, 0].tolist() == [13, 14, 13, 14]
    assert corners.weights[0, :, 0].tolist() == pytest.approx([1 / 3, 1 / 6, 1 / 3, 1 / 6], abs=1e-5)
    decoder = a_decoder()
    cell = torch.tensor([[2 / 12, 2 / 12]])
    nudged = decoder.query(encoded, point + torch.tensor([1e-6, -1e-6]), cell)
    close(nudged, decoder.query(encoded, point, cell))


def test_refuses_a_network_without_hidden_layers() -> None:
    with pytest.raises(ValidationError):
        LiifConfig(hidden=())
