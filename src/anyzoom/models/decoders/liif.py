"""LIIF, the local implicit image function: Chen, Liu, Wang, "Learning Continuous Image Representation with Local
Implicit Image Function", CVPR 2021.

An MLP maps the 3 x 3 features around an LR pixel, the point's position relative to it and the size of an output
pixel to a colour; the colours from the four nearest LR pixels are blended (`ensemble`).

`query` is the network as published. In `render` the first layer's part on features is a 3 x 3 convolution, computed
once per LR pixel, its part on the output pixel's size a constant, and the last layer, which is linear, follows the
blending.
"""

from __future__ import annotations

import torch
from einops import rearrange
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, cat
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import (
    CORNERS,
    corners_of_block,
    corners_of_points,
    nearest_two,
    pitch_of,
    rows_of,
    unfolded,
)
from anyzoom.models.decoders.fast import STRIP, Scratch, axes_of, flat, painted, strips
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.network import Decoder, Encoded


class LiifConfig(BaseModel):
    """The paper's network: 346,883 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[int, ...] = Field(default=(256, 256, 256, 256), min_length=1)  # widths of the MLP's hidden layers


class LiifDecoder(Decoder):
    """Colours at any point from the features around it."""

    reach = 2  # LR pixels on either side of the one under a point: a corner and its 3 x 3 neighbours
    axes = 2

    def __init__(self, width: int, config: LiifConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LiifConfig()
        self.mlp = Mlp([9 * width + 4, *config.hidden, 3])

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        table = rows_of(unfolded(encoded.features))
        corners = corners_of_points(encoded, points)
        pitch = pitch_of(encoded, cell).view(-1, 1, 1, 2).expand_as(corners.offsets)
        colours = self.mlp(cat([table[corners.index], corners.offsets, pitch], dim=-1))  # b t q 3
        blended: Tensor = (colours * corners.weights.unsqueeze(-1)).sum(1)
        return blended * 0.5 + 0.5

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        features, dtype = encoded.features, encoded.features.dtype
        first, last = self.mlp.linears[0], self.mlp.linears[-1]
        kernel = rearrange(first.weight[:, :-4], "o (f y x) -> o f y x", y=3, x=3).to(dtype)
        pitch = first.weight.new_tensor([2 * lr / hr for lr, hr in zip(encoded.whole, size, strict=True)])
        shallow = F.conv2d(features, kernel, (first.weight[:, -2:] @ pitch + first.bias).to(dtype), padding=1)
        tables = [flat(picture) for picture in shallow]
        place = first.weight[:, -4:-2].t().to(dtype)
        hidden = self.mlp.packed(dtype)[1:-1]
        rows, columns = axes_of(nearest_two, encoded, size, window)
        tile_width = encoded.window.size.width

        def block(number: int, part: Window, scratch: Scratch) -> Tensor:
            corners = corners_of_block(rows, columns, part, tile_width)
            blended = scratch("blended", part.size.pixels, last.in_features)
            for strip in strips(part.size, STRIP):
                values = scratch("first", CORNERS * (strip.stop - strip.start), len(kernel))
                torch.index_select(tables[number], 0, corners.index[:, strip].flatten(), out=values)
                values = values.addmm_(corners.offsets[:, strip].reshape(-1, 2).to(dtype), place).relu_()
                for layer in hidden:
                    values = layer(values)
                weights = corners.weights[:, strip].unsqueeze(-1).to(dtype)
                torch.sum(values.view(*weights.shape[:2], -1) * weights, 0, out=blended[strip])
            colours = torch.addmm(last.bias, blended.float(), last.weight.t())
            return (colours * 0.5 + 0.5).t().view(3, *part.size)

        return painted(features, len(features), window, block)
