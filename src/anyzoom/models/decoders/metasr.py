"""Meta-SR: Hu et al., "Meta-SR: A Magnification-Arbitrary Network for Super-Resolution", CVPR 2019.

A small network turns where an output pixel lies in its LR pixel, and the scale, into the weights that map the 3 x 3
features around that LR pixel to the colour: a convolution whose kernel is made for every point.

This is the network as LIIF's repository has it, to which the authors' own weights convert. Places are those of the
pixels' upper left corners: an output pixel belongs to the LR pixel that its corner lies in. Of the two scales only the
vertical one enters.

`query` is the network as published; how `render` saves work is told in `kernels`. The first layer is a sum of a part
per row and a part per column.
"""

from __future__ import annotations

from functools import partial

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, cat

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import NUDGE, rows_of, unfolded
from anyzoom.models.decoders.fast import Scratch, axes_of, painted
from anyzoom.models.decoders.kernels import (
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
from anyzoom.models.network import MEAN, Decoder, Encoded, Normalisation


class MetaSrConfig(BaseModel):
    """The paper's network: 445,120 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: int = Field(default=256, ge=1, le=4096)  # width of the weight network
    normalisation: Normalisation = "symmetric"  # of the colours inside; the authors' own files: "mean"


def under_corner(positions: Tensor, side: int, cell: Tensor | float) -> tuple[Tensor, Tensor]:
    """The LR pixel in which the upper left corner of each output pixel lies, along one axis.

    positions: centres `...` in [-1, 1]; cell: the output pixels' length, broadcast to them. Returns indices `... 1`
    in 0 to side - 1 and where in those pixels the corners lie, `... 1`, in LR pixels from 0 to 1.
    """
    corners = (positions - cell / 2).unsqueeze(-1)
    probes = (corners + NUDGE).clamp(-1 + NUDGE, 1 - NUDGE)
    indices = ((probes + 1) * (side / 2)).floor().long().clamp(0, side - 1)
    return indices, (corners - (2 * indices.to(corners.dtype) / side - 1)) * (side / 2)


class MetaSrDecoder(Decoder):
    """Colours at any point from the 3 x 3 features around one LR pixel."""

    reach = 2  # LR pixels beyond the one under a point: the corner's may be the one before it, then its neighbours
    axes = 1

    def __init__(self, width: int, config: MetaSrConfig | None = None) -> None:
        super().__init__()
        self.config: MetaSrConfig = config or MetaSrConfig()
        self.mlp = Mlp([3, self.config.hidden, 27 * width])

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        (height, width), here = encoded.whole, encoded.window
        row, down = under_corner(points[..., 0], height, cell[:, :1])
        column, along = under_corner(points[..., 1], width, cell[:, 1:])
        start = torch.arange(len(points), device=points.device).view(-1, 1, 1) * here.size.pixels
        index = (row - here.top) * here.size.width + column - here.left + start
        pitch = (cell[:, :1] * (height / 2)).view(-1, 1, 1).expand_as(down)  # 1 / s of the vertical axis
        kernels = of_coordinates(self.mlp, cat([down, along, pitch], dim=-1))
        colours = applied(kernels, rows_of(unfolded(encoded.features))[index.squeeze(-1)])
        return self._to_rgb(colours)

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        features, dtype = encoded.features, encoded.features.dtype
        first = self.mlp.linears[0]
        lookups = [partial(under_corner, cell=2 / side) for side in size]
        rows, columns = axes_of(lookups[0], encoded, size, window, lookups[1])
        constant = first.bias + encoded.whole.height / size.height * first.weight[:, 2]

        def halves(down: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
            """What a row's and a column's offset contribute to the hidden layer, `side m` each."""
            return down * first.weight[:, 0] + constant, along * first.weight[:, 1]

        down, along = halves(rows.offsets, columns.offsets)
        kinds, last, axes = (Kinds.on(rows), Kinds.on(columns)), self.mlp.linears[-1], (rows, columns)
        pictures = bordered(features)
        by_kind = fewer_by_kind(last, *kinds, encoded.window.size)
        if by_kind:
            above, beside = halves(kinds[0].offsets[:, None, None], kinds[1].offsets[:, None])
            few = kernels_by_kind(last, (above + beside).relu_(), dtype)
        else:
            units = kernels_by_unit(last, dtype)

        def block(number: int, part: Window, scratch: Scratch) -> Tensor:
            here, across = part.slices

            def hidden(y: Tensor, x: Tensor) -> Tensor:
                values = scratch("hidden", len(y), len(x), y.shape[1], x.shape[1], last.in_features)
                torch.add(down[here][y][:, None, :, None], along[across][x][:, None], out=values)
                return values.relu_().flatten(0, 1).flatten(1, 2)

            if by_kind:
                colours = colours_by_kind(few, pictures[number], axes, kinds, part, scratch)
            else:
                colours = colours_by_pixel(units, pictures[number], axes, lambda *_: hidden, part, scratch)
            return self._to_rgb(colours[0, 0]).permute(2, 0, 1)

        pixels = pixels_of_block(encoded.whole, size, by_kind, features)
        return painted(features, len(features), window, block, pixels)

    def _to_rgb(self, colours: Tensor) -> Tensor:
        """Colours `... 3` as the network gives them -> RGB in [0, 1]."""
        return colours * 0.5 + 0.5 if self.config.normalisation == "symmetric" else colours + colours.new_tensor(MEAN)
