"""Bilinear interpolation at any points and on a grid, tile by tile."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from anyzoom.grid import Size, Window, owned_window, pixel_centres, size_for
from anyzoom.models import Encoded
from anyzoom.models.decoders.ensemble import bilinear_of_block, bilinear_of_points, linear_two, nearest_two, shares
from anyzoom.models.decoders.fast import axes_of


def test_linear_weights_in_numbers() -> None:
    """Five pixels, centres at 0.5 to 4.5 pixels: positions in pixels -> two pixels and their weights."""
    expected = {0.0: (0, 1, 0.0), 0.5: (0, 1, 0.0), 1.25: (0, 1, 0.75), 1.5: (1, 2, 0.0), 4.2: (3, 4, 0.7)}
    expected |= {4.5: (3, 4, 1.0), 4.9: (3, 4, 1.0)}  # beyond the outermost centres nothing changes
    for pixels, (before, after, share) in expected.items():
        indices, offsets = linear_two(torch.tensor([2 * pixels / 5 - 1], dtype=torch.float64), 5)
        assert indices.tolist() == [[before, after]]
        assert shares(offsets)[0].tolist() == pytest.approx([1 - share, share])
    alone, offsets = linear_two(torch.tensor([0.3]), 1)
    assert (alone.tolist(), shares(offsets).tolist()) == ([[0, 0]], [[0.5, 0.5]])


def test_interpolation_needs_a_lookup_without_a_nudge() -> None:
    """A little before a centre nearest_two finds the pixels on its other side: nothing here, 1 % of a pixel there."""
    centre = 2 * 10_000.5 / 20_000 - 1
    position = torch.tensor([centre - 0.9e-6], dtype=torch.float64)
    values = torch.zeros(20_000, dtype=torch.float64)
    values[9_999] = 1.0
    found = [
        (values[indices] * shares(offsets)).sum().item()
        for indices, offsets in (lookup(position, 20_000) for lookup in (linear_two, nearest_two))
    ]
    assert found == pytest.approx([0.009, 0.0], abs=1e-6)


@pytest.mark.parametrize("lr_size", [Size(1, 1), Size(1, 7), Size(2, 1), Size(6, 5)], ids=str)
@pytest.mark.parametrize("scale", [1.0, 1.03, 2.0, 3.7, (5.0, 2.5)])
def test_equals_grid_sample(lr_size: Size, scale: float | tuple[float, float]) -> None:
    """PyTorch's own, with border padding; beyond the borders too."""
    values, size = torch.rand(2, 3, *lr_size), size_for(lr_size, scale)
    encoded = Encoded(values, values, Window.whole(lr_size), lr_size)
    centres = pixel_centres(size, values).expand(2, -1, -1, -1)
    for points in (centres, centres * 1.5):
        expected = F.grid_sample(values, points.flip(-1), padding_mode="border", align_corners=False)
        found = bilinear_of_points(encoded, points.flatten(1, 2), values).transpose(1, 2).reshape(expected.shape)
        torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    expected = F.grid_sample(values, centres.flip(-1), padding_mode="border", align_corners=False)
    rows, columns = axes_of(linear_two, encoded, size, Window.whole(size))
    for part in (Window.whole(size), Window(size.height // 2, size.width // 3, size.height, size.width)):
        found = bilinear_of_block(rows, columns, part, values[1])
        torch.testing.assert_close(found, expected[1, :, part.top :, part.left :], rtol=0, atol=2e-6)


@pytest.mark.parametrize("tile", [Window(0, 0, 4, 5), Window(6, 7, 9, 8), Window(10, 9, 14, 16)], ids=str)
def test_a_tile_needs_one_pixel_more(tile: Window) -> None:
    whole, values = Size(14, 16), torch.rand(1, 3, 14, 16)
    size = size_for(whole, (1.03, 3.7))
    owned, seen = owned_window(tile, whole, size), tile.grown(1, whole)
    part = values[..., seen.slices[0], seen.slices[1]]
    found = []
    for encoded in (Encoded(part, part, seen, whole), Encoded(values, values, Window.whole(whole), whole)):
        rows, columns = axes_of(linear_two, encoded, size, owned)
        points = pixel_centres(size, values, owned).view(1, -1, 2)
        found += [bilinear_of_block(rows, columns, Window.whole(owned.size), encoded.lr[0])]
        found += [bilinear_of_points(encoded, points, encoded.lr)[0].t().reshape(3, *owned.size)]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=2e-6)
