"""CLIT, the cascaded local implicit transformer, and LIT, its first stage alone: Chen et al., "Cascaded Local
Implicit Transformer for Arbitrary-Scale Super-Resolution", CVPR 2023.

A stage looks at a grid of features. A point's query is interpolated from the grid and attends, head by head, to the
7 x 7 grid pixels around the nearest one, with a bias that depends on their relative positions. The 49 values, each
scaled by its attention but not summed, and the size of an output pixel go through one MLP to a colour, which is added
to the bilinearly enlarged picture. The first stage's grid is the LR picture; a cascade goes on with finer grids,
resampled from the same features, and each stage adds its colour to 0.75 times the sum before it.

The released `clit.py` is followed: it has neither the frequency encoding of the paper's text nor an ensemble.

The stages' grids follow from the output size. A stage magnifies by 4 at most, each axis by itself, so the grids are
1, 4 and 16 times as large as the picture, but never larger than the output; up to x4 the first stage works alone, up
to x16 the first two. The last stage there is takes whatever scale is left: a single stage serves x6 or x30 too.

`query` is the network as published. `render` (`clit_grid`) computes the same pixels of a regular grid much faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, autocast, cat, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders import clit_grid
from anyzoom.models.decoders.ensemble import NUDGE, bilinear_of_points, rows_of
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.network import Decoder, Encoded

BASE = 4  # a stage magnifies by at most so much, the last one excepted
CARRIED = 0.75  # how much of the earlier stages' sum a stage keeps
FREQUENCIES = 16  # of the position bias, per axis; from 0 to 2**OCTAVES - 1
OCTAVES = 10


class ClitConfig(BaseModel):
    """The paper's network: 15,689,489 parameters on 64 feature channels; 10,509,070 with two stages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=256, ge=1, le=4096)  # channels of queries, keys and values
    heads: int = Field(default=8, ge=1)  # divide the width
    radius: int = Field(default=3, ge=1, le=15)  # of the window of attention: 7 x 7
    hidden: tuple[int, ...] = Field(default=(256, 256, 256, 256), min_length=1)  # widths of each MLP's hidden layers
    stages: int = Field(default=3, ge=1, le=3)

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> ClitConfig:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a width of {self.width} equally.")
        return self


class LitConfig(ClitConfig):
    """The paper's network: 5,328,651 parameters on 64 feature channels."""

    stages: int = Field(default=1, ge=1, le=1)


class Maps(NamedTuple):
    """What one stage looks at, as far as a tile's features reach, as rows of tables."""

    size: Size  # of the whole grid
    window: Window  # h w pixels of it; on every side `radius` more than are known, zeros where the picture ends
    queries: Tensor  # (b h w) f
    keys: Tensor
    values: Tensor


class Stage(nn.Module):
    """The weights of one stage."""

    def __init__(self, config: ClitConfig) -> None:
        super().__init__()
        self.queries, self.keys, self.values = (nn.Conv2d(config.width, config.width, 3, padding=1) for _ in range(3))
        window = (2 * config.radius + 1) ** 2
        self.mlp = Mlp([window * config.width + 2, *config.hidden, 3], "gelu")


def nearest(positions: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The grid pixel nearest to each position along one axis, and the position relative to its centre.

    positions: `...` in [-1, 1]. Returns indices `...` in 0 to side - 1 and offsets `...` in half grid pixels. A
    position midway between two centres, where rounding decided in the released code, belongs to the later one; the
    nudge makes it so for positions in float32.
    """
    probes = (positions + NUDGE).clamp(-1 + NUDGE, 1 - NUDGE)
    indices = ((probes + 1) * (side / 2)).floor().long().clamp(0, side - 1)
    centres = (2 * indices.to(positions.dtype) + 1) / side - 1
    return indices, (positions - centres) * side


def steps(radius: int, like: Tensor) -> Tensor:
    """-radius to radius, `n`."""
    return torch.arange(-radius, radius + 1, dtype=like.dtype, device=like.device)


def taps(offsets: Tensor) -> Tensor:
    """Bilinear weights of the grid pixels before, under and after a position, from its offset: `... 3`."""
    return (1 - (offsets.unsqueeze(-1) / 2 - steps(1, offsets)).abs()).clamp(min=0)


def waves(offsets: Tensor) -> Tensor:
    """Sines, then cosines, of offsets in half grid pixels: `...` -> `2 ... n`."""
    frequencies = 2 ** torch.linspace(0, OCTAVES, FREQUENCIES, dtype=torch.float64) - 1
    phases = offsets.unsqueeze(-1) * frequencies.to(offsets)
    return torch.stack([phases.sin(), phases.cos()])


def convolved(layer: nn.Conv2d, grid: Tensor) -> Tensor:
    """The layer in the dtype of the grid."""
    bias = None if layer.bias is None else layer.bias.to(grid.dtype)
    return F.conv2d(grid, layer.weight.to(grid.dtype), bias, padding=1)


def between(side: int, span: tuple[int, int], grid_side: int, like: Tensor) -> tuple[int, Tensor]:
    """Bilinear interpolation along one axis, from a range of its `side` pixels to a grid, zeros beyond the picture.

    Returns the first grid pixel for which the range suffices and the matrix `n range` of it and those that follow.
    """
    start, stop = span
    places = (2 * torch.arange(grid_side, dtype=torch.float64) + 1) * side / (2 * grid_side) - 0.5
    before = places.floor()
    known = ((before >= start) | (start == 0)) & ((before + 1 < stop) | (stop == side))
    inside = torch.arange(start, stop, dtype=torch.float64)
    weights = (1 - (places[known, None] - inside).abs()).clamp(min=0)
    return int(known.byte().argmax()), weights.to(like)


def resampled(shallow: Tensor, encoded: Encoded, size: Size) -> tuple[Tensor, Window]:
    """Features `b f h w` on the centres of a grid of that size, and the part of the grid that they reach."""
    if size == encoded.whole:
        return shallow, encoded.window
    tile, whole = encoded.window, encoded.whole
    top, down = between(whole.height, (tile.top, tile.bottom), size.height, shallow)
    left, along = between(whole.width, (tile.left, tile.right), size.width, shallow)
    pixels = shallow.permute(0, 2, 3, 1)  # b h w f
    rows = torch.matmul(down, pixels.flatten(2)).view(len(pixels), -1, *pixels.shape[2:])
    grid = torch.matmul(along, rows).permute(0, 3, 1, 2)
    return grid, Window(top, left, top + len(down), left + len(along))


class ClitDecoder(Decoder):
    """Colours at any point, by one stage (LIT) or up to three."""

    reach: int
    axes = 2

    def __init__(self, width: int, config: ClitConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ClitConfig()
        self.heads, self.radius = config.heads, config.radius
        # The window, two convolutions, and one more for a point on the border of a pixel, which may belong to the next;
        # grids of a cascade lie between the LR pixels.
        self.reach = config.radius + (3 if config.stages == 1 else 4)
        self.head = nn.Conv2d(width, config.width, 3, padding=1)
        self.stages = nn.ModuleList(Stage(config) for _ in range(config.stages))
        self.bias = nn.Linear(4 * FREQUENCIES, config.heads)  # of sines of rows and of columns, cosines of both

    def grids(self, whole: Size, size: Size) -> list[Size]:
        """The grids that the stages look at for an output of that size; those that are not needed are left out."""
        found = [whole]
        for power in range(1, len(self.stages)):
            finer = [BASE**power * side for side in whole]
            if all(side <= most for side, most in zip(size, finer, strict=True)):
                break
            # An axis that is done keeps the grid of the output; none is coarser than the picture.
            found.append(Size(*(max(lr, min(s, most)) for lr, s, most in zip(whole, size, finer, strict=True))))
        return found

    def active(self) -> Sequence[Stage]:
        return [stage for stage in self.stages if isinstance(stage, Stage)]

    def shallow(self, encoded: Encoded) -> Tensor:
        """What every stage's grid is resampled from, `b f h w`."""
        return convolved(self.head, encoded.features)

    def maps(self, stage: Stage, shallow: Tensor, encoded: Encoded, size: Size) -> Maps:
        """Queries, keys and values on a grid of that size over the whole picture."""
        grid, window = resampled(shallow, encoded, size)
        room = [self.radius] * 4
        queries, keys, values = (
            rows_of(F.pad(convolved(layer, grid), room)) for layer in (stage.queries, stage.keys, stage.values)
        )
        top, left, bottom, right = window
        around = Window(top - self.radius, left - self.radius, bottom + self.radius, right + self.radius)
        return Maps(size, around, queries, keys, values)

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        sizes = [Size(*(max(1, round(2 / pitch)) for pitch in pitches)) for pitches in cell.tolist()]
        plans = [self.grids(encoded.whole, size) for size in sizes]
        if any(plan != plans[0] for plan in plans):
            return cat(
                [
                    self.query(encoded._replace(lr=lr[None], features=features[None]), there[None], pitch[None])
                    for lr, features, there, pitch in zip(encoded.lr, encoded.features, points, cell, strict=True)
                ]
            )
        return self.on_grids(encoded, points, cell, plans[0])

    def on_grids(self, encoded: Encoded, points: Tensor, cell: Tensor, plan: Sequence[Size]) -> Tensor:
        """`query` for outputs whose stages look at these grids: a graph that no scale changes."""
        total, shallow = points.new_zeros(*points.shape[:2], 3), self.shallow(encoded)
        for stage, grid in zip(self.active(), plan, strict=False):
            total = CARRIED * total + self._looked(stage, self.maps(stage, shallow, encoded, grid), points, cell)
        return total * 0.5 + bilinear_of_points(encoded, points, encoded.lr)

    def _looked(self, stage: Stage, maps: Maps, points: Tensor, cell: Tensor) -> Tensor:
        """What a stage adds, `b q 3` in [-1, 1]."""
        row, row_offset = nearest(points[..., 0], maps.size.height)  # b q
        column, column_offset = nearest(points[..., 1], maps.size.width)
        rows = (row - maps.window.top).unsqueeze(-1) + steps(self.radius, row)
        columns = (column - maps.window.left).unsqueeze(-1) + steps(self.radius, column)
        start = torch.arange(len(points), device=row.device).view(-1, 1, 1, 1) * maps.window.size.pixels
        index = rows.unsqueeze(-1) * maps.window.size.width + columns.unsqueeze(-2) + start  # b q 7 7
        middle = slice(self.radius - 1, self.radius + 2)
        weights = taps(row_offset).unsqueeze(-1) * taps(column_offset).unsqueeze(-2)  # b q 3 3
        queries = (maps.queries[index[..., middle, middle]] * weights.unsqueeze(-1)).sum((2, 3))
        queries = rearrange(queries, "b q (n d) -> b q 1 n d", n=self.heads)
        keys = rearrange(maps.keys[index], "b q y x (n d) -> b q (y x) n d", n=self.heads)
        values = rearrange(maps.values[index], "b q y x (n d) -> b q (y x) n d", n=self.heads)

        down = (row_offset.unsqueeze(-1) - 2 * steps(self.radius, row_offset)).unsqueeze(-1).expand(index.shape)
        along = (column_offset.unsqueeze(-1) - 2 * steps(self.radius, row_offset)).unsqueeze(-2).expand(index.shape)
        scores = (queries * keys).sum(-1) * queries.shape[-1] ** -0.5
        attention = F.softmax(scores + self._position_bias(down.flatten(2), along.flatten(2)), dim=2)  # b q j n
        pitch = cell * cell.new_tensor(maps.size)
        weighted = (values * attention.unsqueeze(-1)).flatten(2)
        done: Tensor = stage.mlp(cat([weighted, pitch.unsqueeze(1).expand(-1, weighted.shape[1], -1)], dim=-1))
        return done

    def _position_bias(self, down: Tensor, along: Tensor) -> Tensor:
        """Offsets in half grid pixels, `...` each -> `... heads`."""
        with autocast(down.device.type, enabled=False):  # phases need more than bfloat16's eight bits
            sines, cosines = waves(torch.stack([down, along], dim=-1))
            bias: Tensor = self.bias(cat([sines.flatten(-2), cosines.flatten(-2)], dim=-1).to(self.bias.weight.dtype))
        return bias

    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        return clit_grid.render(self, encoded, size, window)


class LitDecoder(ClitDecoder):
    """The first stage alone."""

    def __init__(self, width: int, config: LitConfig | None = None) -> None:
        super().__init__(width, config or LitConfig())
