"""The four LR pixels around a point and their weights: LIIF's local ensemble, which many decoders share.

Chen, Liu, Wang, "Learning Continuous Image Representation with Local Implicit Image Function", CVPR 2021. A point is
moved by half an LR pixel to either side on both axes; the pixels found there are its corners, in the order (up left,
up right, down left, down right), and each is weighted with the area between the point and the opposite corner.

The areas are products of two lengths, so the weights are products of one weight per axis. Kept apart they stay right
where the published formula collapses: in the middle of the last row or column both moves find the same pixel, at a
distance of zero, and all four areas vanish; rounding decides there. Here the axis has two equal weights then, and the
other axis keeps its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from anyzoom.grid import Window
from anyzoom.models.decoders.fast import Axis, Lookup, crossed, pairs
from anyzoom.models.network import Encoded

CORNERS = 4
NUDGE = 1e-6  # decides which pixel is nearest when a point lies on a border between two


@dataclass(frozen=True)
class Corners:
    """What a block of points sees; `t` counts the four corners."""

    index: Tensor  # t q, or b t q: rows of the table of LR pixels
    offsets: Tensor  # t q yx: the point minus the corner's centre, in half LR pixels
    weights: Tensor  # t q, their sum is 1


def nearest_two(positions: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The LR pixels half a pixel before and after each position along one axis.

    positions: `...` in [-1, 1]. Returns indices `... 2` in 0 to side - 1 and the positions relative to those
    pixels' centres, `... 2`, in half LR pixels. Outside the picture the outermost pixel is found again.
    """
    shifts = torch.tensor((-1.0, 1.0), dtype=positions.dtype, device=positions.device)
    probes = (positions.unsqueeze(-1) + shifts / side + NUDGE).clamp(-1 + NUDGE, 1 - NUDGE)
    indices = ((probes + 1) * (side / 2)).floor().long().clamp(0, side - 1)
    centres = (2 * indices.to(positions.dtype) + 1) / side - 1
    return indices, (positions.unsqueeze(-1) - centres) * side


def nearest_one(positions: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The LR pixel in which each position lies, without an ensemble; as nearest_two, `... 1`."""
    probes = positions.unsqueeze(-1).clamp(-1 + NUDGE, 1 - NUDGE)
    indices = ((probes + 1) * (side / 2)).floor().long().clamp(0, side - 1)
    centres = (2 * indices.to(positions.dtype) + 1) / side - 1
    return indices, (positions.unsqueeze(-1) - centres) * side


def linear_two(positions: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The two LR pixels between whose centres each position lies, for bilinear interpolation; as nearest_two.

    A position outside the outermost centres is moved to them (border padding). `shares` of the offsets are the
    weights. nearest_two finds the same pixels but for its nudge, which is 1 % of a pixel where a side has 20,000.
    """
    place = (((positions + 1) * side - 1) / 2).clamp(0, side - 1)  # 0 and side - 1 are the outermost centres
    before = place.floor().long().clamp(max=max(side - 2, 0))
    indices = torch.stack([before, (before + 1).clamp(max=side - 1)], dim=-1)
    return indices, (place.unsqueeze(-1) - indices) * 2


def shares(offsets: Tensor) -> Tensor:
    """Weights along one axis from the offsets `... 2` of nearest_two: each pixel has the distance of the other."""
    distances = offsets.abs()
    total = distances.sum(-1, keepdim=True)
    return torch.where(total > 1e-6, distances.flip(-1) / total, 0.5)


def corners_of_points(encoded: Encoded, points: Tensor, lookup: Lookup = nearest_two) -> Corners:
    """For any points `b q yx`; index counts the rows of `rows_of`, everything is `b t q ...`."""
    down, down_offsets = lookup(points[..., 0], encoded.whole.height)
    along, along_offsets = lookup(points[..., 1], encoded.whole.width)
    width = encoded.window.size.width
    row = (down - encoded.window.top).repeat_interleave(2, dim=-1)  # b q t
    column = (along - encoded.window.left).repeat(1, 1, 2)
    start = torch.arange(len(points), device=points.device).view(-1, 1, 1) * encoded.window.size.pixels
    offsets = torch.stack([down_offsets.repeat_interleave(2, dim=-1), along_offsets.repeat(1, 1, 2)], dim=-1)
    weights = (shares(down_offsets).unsqueeze(-1) * shares(along_offsets).unsqueeze(-2)).flatten(-2)
    index = row * width + column + start
    return Corners(index.transpose(1, 2), offsets.transpose(1, 2), weights.transpose(1, 2))


def corners_of_block(rows: Axis, columns: Axis, part: Window, tile_width: int) -> Corners:
    """For a part of a window of the output grid whose axes were found with nearest_two; `q` is row-major."""
    here, across = part.slices
    count = part.size.pixels
    index = pairs(rows.neighbours[here], columns.neighbours[across], tile_width).reshape(CORNERS, count)
    offsets = torch.stack(crossed(rows.offsets[here], columns.offsets[across]), dim=-1).reshape(CORNERS, count, 2)
    down, along = crossed(shares(rows.offsets[here]), shares(columns.offsets[across]))
    return Corners(index, offsets, (down * along).reshape(CORNERS, count))


def bilinear_of_points(encoded: Encoded, points: Tensor, values: Tensor) -> Tensor:
    """values `b c h w` on the LR pixels, for example `encoded.lr`, at any points `b q yx` -> `b q c`.

    Bilinear between pixel centres, the outermost pixels repeated beyond the border of the whole picture: grid_sample
    with border padding. Reaches one LR pixel beyond the one under a point.
    """
    corners = corners_of_points(encoded, points, linear_two)
    weighted: Tensor = rows_of(values)[corners.index] * corners.weights.unsqueeze(-1)
    return weighted.sum(1)


def bilinear_of_block(rows: Axis, columns: Axis, part: Window, values: Tensor) -> Tensor:
    """The same for a part of a window whose axes were found with linear_two: values `c h w` -> `c R C`."""
    here, across = part.slices
    (above, below), (left, right) = rows.neighbours[here].t(), columns.neighbours[across].t()
    down, along = shares(rows.offsets[here])[:, 1:], shares(columns.offsets[across])[:, 1]
    first, last = int(left[0]), int(right[-1]) + 1
    near = values[..., first:last]
    middle = near[:, above].lerp(near[:, below], down.to(values))
    return middle[..., left - first].lerp(middle[..., right - first], along.to(values))


def rows_of(grid: Tensor) -> Tensor:
    """Features `b f h w` of all pictures as rows of one table, `(b h w) f`."""
    return grid.permute(0, 2, 3, 1).reshape(-1, grid.shape[1])


def unfolded(features: Tensor) -> Tensor:
    """The 3 x 3 features around every LR pixel, zeros outside: `b f h w` -> `b (f y x) h w`."""
    columns = F.unfold(features, 3, padding=1)
    return columns.view(len(features), -1, *features.shape[-2:])


def pitch_of(encoded: Encoded, cell: Tensor) -> Tensor:
    """cell `b yx` (2 / H, 2 / W) -> an output pixel's height and width in half LR pixels, `b yx`: 2 / scale."""
    return cell * cell.new_tensor(encoded.whole)
