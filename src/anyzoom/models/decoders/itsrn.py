"""ITSRN, the implicit transformer: Yang, Shen, Yue, Li, "Implicit Transformer Network for Screen Content Image
Continuous Super-Resolution", NeurIPS 2021.

From each of four LR pixels around a point an MLP turns the point's relative position and the scale into the weights
that map the 3 x 3 features there to a colour, to which a second MLP adds a score of the position. A third blends the
four values of every colour channel.

The released code is followed. It looks for the four pixels at (1 - 1 / H) / (h - 1) before and after the point, a
little more than the half LR pixel 1 / h: near an LR pixel's centre it finds those on either side of it, and not
itself. With one LR row there is one to find; the released code divides by zero there.

`query` is the network as published; how `render` saves work is told in `kernels`. Scores and hidden layers depend on
positions alone, and are computed once per distinct pair of offsets where a grid has few of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product

import torch
from einops import rearrange
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, cat

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import NUDGE, pitch_of, rows_of, unfolded
from anyzoom.models.decoders.fast import STRIP, Layer, Scratch, axes_of, crossed, painted, pairs
from anyzoom.models.decoders.kernels import (
    Hidden,
    Kinds,
    applied,
    bordered,
    colours_by_kind,
    colours_by_pixel,
    fewer_by_kind,
    kernels_by_kind,
    kernels_by_unit,
    of_coordinates,
    pixels_of_block,
)
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.network import Decoder, Encoded

MOST_OFFSETS = 16384  # of a table of hidden layers: 16 MiB in float32
ROWS = 4 * STRIP  # of an MLP at a time


class ItsrnConfig(BaseModel):
    """The paper's network: 645,314 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[int, ...] = Field(default=(256, 256, 256, 256), min_length=1)  # of the MLP that makes the weights
    score_hidden: int = Field(default=256, ge=1, le=4096)
    blend_hidden: int = Field(default=256, ge=1, le=4096)


def either_side(positions: Tensor, side: int, cell: Tensor | float) -> tuple[Tensor, Tensor]:
    """The LR pixels a little more than half a pixel before and after each position along one axis.

    positions: `...` in [-1, 1]; cell: an output pixel's length, broadcast to them. Returns indices `... 2` in 0 to
    side - 1 and the positions relative to those pixels' centres, `... 2`, in half LR pixels.
    """
    shift = (1 - torch.as_tensor(cell).to(positions) / 2) / max(side - 1, 1)
    probes = torch.stack([positions - shift, positions + shift], dim=-1) + NUDGE
    indices = ((probes.clamp(-1 + NUDGE, 1 - NUDGE) + 1) * (side / 2)).floor().long().clamp(0, side - 1)
    centres = (2 * indices.to(positions.dtype) + 1) / side - 1
    return indices, (positions.unsqueeze(-1) - centres) * side


class ItsrnDecoder(Decoder):
    """Colours at any point from the 3 x 3 features around four LR pixels."""

    reach = 2  # LR pixels on either side of the one under a point: a corner and its 3 x 3 neighbours
    axes = 2

    def __init__(self, width: int, config: ItsrnConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or ItsrnConfig()
        self.mlp = Mlp([4, *config.hidden, 27 * width], "gelu")
        self.score = Mlp([2, config.score_hidden, 1], "gelu")
        self.blend = Mlp([4, config.blend_hidden, 1], "gelu")

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        (height, width), here = encoded.whole, encoded.window
        row, down = either_side(points[..., 0], height, cell[:, :1])
        column, along = either_side(points[..., 1], width, cell[:, 1:])
        start = torch.arange(len(points), device=points.device).view(-1, 1, 1) * here.size.pixels
        row, column = (row - here.top) * here.size.width + start, column - here.left
        pitch = (pitch_of(encoded, cell) / 2).unsqueeze(1).expand_as(points)  # 1 / s
        table = rows_of(unfolded(encoded.features))
        corners = []
        for first, second in product(range(2), range(2)):
            offsets = torch.stack([down[..., first], along[..., second]], dim=-1)
            kernels = of_coordinates(self.mlp, cat([offsets, pitch], dim=-1))
            colours = applied(kernels, table[row[..., first] + column[..., second]])
            corners.append(colours + of_coordinates(self.score, offsets))
        blended: Tensor = self.blend(torch.stack(corners, dim=-1)).squeeze(-1)  # b q 3
        return blended * 0.5 + 0.5

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        features, dtype = encoded.features, encoded.features.dtype
        lookups = [partial(either_side, cell=2 / side) for side in size]
        axes = axes_of(lookups[0], encoded, size, window, lookups[1])
        kinds = Kinds.on(axes[0]), Kinds.on(axes[1])
        count = len(kinds[1].offsets)
        start, last = self.mlp.linears[0], self.mlp.linears[-1]
        pitch = start.weight.new_tensor([lr / hr for lr, hr in zip(encoded.whole, size, strict=True)])
        place = Layer.of(start.weight[:, :2], start.weight[:, 2:] @ pitch + start.bias, "gelu")
        units = partial(through, [place, *self.mlp.packed(dtype)[1:-1]], dtype)
        score = partial(through, self.score.packed(torch.float32), torch.float32)
        blend = partial(through, self.blend.packed(dtype), dtype)

        by_kind = fewer_by_kind(last, *kinds, encoded.window.size)
        few = by_kind or len(kinds[0].offsets) * count <= min(MOST_OFFSETS, window.size.pixels)
        if few:
            pairs_of_offsets = torch.cartesian_prod(kinds[0].offsets, kinds[1].offsets)
            scores, table = score(pairs_of_offsets), units(pairs_of_offsets)
        if by_kind:
            layers = kernels_by_kind(last, table.float().view(-1, count, last.in_features), dtype)
        else:
            layer = kernels_by_unit(last, dtype)
        pictures = bordered(features)

        def block(number: int, part: Window, scratch: Scratch) -> Tensor:
            here, across = part.slices

            def hidden(first: int, second: int) -> Hidden:
                down, along = (kind.of if few else axis.offsets for kind, axis in zip(kinds, axes, strict=True))
                down, along = down[here, first], along[across, second]

                def at(rows: Tensor, columns: Tensor) -> Tensor:
                    y, x = down[rows][:, None, :, None], along[columns][None, :, None]
                    if few:
                        values = table.index_select(0, (y * count + x).flatten())
                    else:
                        shape = (len(rows), len(columns), rows.shape[1], columns.shape[1])
                        values = units(torch.stack([y.expand(shape), x.expand(shape)], dim=-1).flatten(0, -2))
                    return values.view(len(rows) * len(columns), -1, last.in_features)

                return at

            if by_kind:
                colours = colours_by_kind(layers, pictures[number], axes, kinds, part, scratch)
            else:
                colours = colours_by_pixel(layer, pictures[number], axes, hidden, part, scratch)
            if few:
                own = scores[pairs(kinds[0].of[here], kinds[1].of[across], count)]
            else:
                offsets = torch.stack(crossed(axes[0].offsets[here], axes[1].offsets[across]), dim=-1)
                own = score(offsets.flatten(0, -2)).view(*offsets.shape[:-1], 1)
            corners = rearrange(colours.add_(own), "m n R C rgb -> (R C rgb) (m n)").to(dtype)
            blended = blend(corners).float().view(*part.size, 3)
            return (blended * 0.5 + 0.5).permute(2, 0, 1)

        pixels = pixels_of_block(encoded.whole, size, by_kind, features)
        return painted(features, len(features), window, block, pixels)


def through(layers: Sequence[Layer], dtype: torch.dtype, rows: Tensor) -> Tensor:
    """Rows through an MLP's layers, so few at a time that they stay in the cache; dtype: after the first layer."""
    first, *others = layers
    done = []
    for strip in torch.split(rows, ROWS if rows.device.type == "cpu" else len(rows)):
        values = first(strip).to(dtype)
        for layer in others:
            values = layer(values)
        done.append(values)
    return cat(done)
