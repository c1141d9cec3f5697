"""CiaoSR: Cao et al., "CiaoSR: Continuous Implicit Attention-in-Attention Network for Arbitrary-Scale Image
Super-Resolution", CVPR 2023.

The four LR pixels around a point are weighted by attention: the 3 x 3 features around the nearest pixel are the query;
those around each of the four, multiplied with what one MLP makes of them, of the point's position and of the size of an
output pixel, are its key; with the outcome of a second MLP, its value. The values also hold what a non-local attention
(`cross_scale`) finds in the whole picture. A third MLP turns their weighted sum into a colour, to which the bilinear
interpolation of the LR picture is added.

The released code is followed where it departs from the paper, since checkpoints depend on it: the MLPs' outcomes
multiply the features, the non-local attention has one scale, the bilinear interpolation is added, and the size of an
output pixel is given in half LR pixels.

`query` is the network as published. `render` (`ciaosr_grid`) computes the same pixels of a regular grid much faster.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, cat

from anyzoom.grid import Size, Window
from anyzoom.models.decoders import ciaosr_grid
from anyzoom.models.decoders.cross_scale import CrossScaleAttention
from anyzoom.models.decoders.ensemble import NUDGE, bilinear_of_points, pitch_of, rows_of, unfolded
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.network import Decoder, Encoded, Normalisation

MOVES = {1: (0.0,), 2: (-1.0, 1.0), 3: (-1.0, 0.0, 1.0)}  # of a point along one axis, to find its corners


class CiaosrConfig(BaseModel):
    """The released network: 1,428,614 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[int, ...] = Field(default=(256, 256, 256, 256), min_length=1)  # of each of the three MLPs
    local_size: Literal[1, 2, 3] = 2  # LR pixels around a point along one axis
    non_local_scales: tuple[Literal[2, 3, 4], ...] = (2,)  # the paper's text has 2, 3 and 4; none: no such attention


def neighbours(positions: Tensor, side: int, cell: Tensor, local_size: int) -> tuple[Tensor, Tensor]:
    """The LR pixels around each position along one axis and, last, the one in which it lies.

    positions: `...` in [-1, 1]; cell: an output pixel's size, to be broadcast with them. Returns indices
    `... local_size+1` in 0 to side - 1 and the positions relative to those pixels' centres, in half LR pixels.
    The distance to the corners is the authors', (1 - cell) / (side - 1), half an LR pixel only at x2. In a picture of
    one pixel, where they divide by zero, any distance finds that pixel. They leave to rounding in which pixel a point
    on a border lies; here it is the later one, as for the corners.
    """
    moves = torch.tensor((*MOVES[local_size], 0.0), dtype=positions.dtype, device=positions.device)
    distance = ((1 - cell) / max(side - 1, 1)).to(positions).unsqueeze(-1)
    probes = (positions.unsqueeze(-1) + moves * distance + NUDGE).clamp(-1 + NUDGE, 1 - NUDGE)
    indices = ((probes + 1) * (side / 2)).floor().long().clamp(0, side - 1)
    centres = (2 * indices.to(positions.dtype) + 1) / side - 1
    return indices, (positions.unsqueeze(-1) - centres) * side


class CiaosrDecoder(Decoder):
    """Colours at any point from the features around it and the whole picture's."""

    reach = 2  # LR pixels on either side of the one under a point: a corner and its 3 x 3 neighbours
    axes = 2
    normalisation: ClassVar[Normalisation] = "mean"

    def __init__(self, width: int, config: CiaosrConfig | None = None) -> None:
        super().__init__()
        self.config: CiaosrConfig = config or CiaosrConfig()
        scales, hidden = self.config.non_local_scales, self.config.hidden
        self.width = width
        self.context = None if scales else 0
        self.floats_per_pixel = (max(scales) ** 2 + 7) * width if scales else 0
        keys, values = 9 * width, (9 + len(scales)) * width
        self.attention = CrossScaleAttention(width, scales) if scales else None
        self.mlp_key = Mlp([keys + 4, *hidden, keys])
        self.mlp_value = Mlp([values + 4, *hidden, values])
        self.mlp_colour = Mlp([values, *hidden, 3])

    def enrich(self, encoded: Encoded) -> Encoded:
        """Features `b f h w` -> `b (1 s) f h w`: what the attention of every scale finds follows them."""
        if self.attention is None:
            return encoded
        return encoded._replace(features=cat([encoded.features, self.attention(encoded.features)], dim=1))

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        local, beyond = encoded.features[:, : self.width], encoded.features[:, self.width :]
        table = rows_of(cat([unfolded(local), beyond], dim=1))
        (height, width), here, count = encoded.whole, encoded.window, self.config.local_size
        down, down_offsets = neighbours(points[..., 0], height, cell[:, :1], count)
        along, along_offsets = neighbours(points[..., 1], width, cell[:, 1:], count)
        down = down - here.top + torch.arange(len(points), device=points.device).view(-1, 1, 1) * here.size.height
        index = down.unsqueeze(-1) * here.size.width + along.unsqueeze(-2) - here.left  # b q n+1 n+1
        nearest, corners = index[..., -1, -1], index[..., :-1, :-1].flatten(-2).transpose(1, 2)  # b t q
        down_offsets = down_offsets[..., :-1].repeat_interleave(count, dim=-1)
        offsets = torch.stack([down_offsets, along_offsets[..., :-1].repeat(1, 1, count)], dim=-1).transpose(1, 2)
        place = cat([offsets, pitch_of(encoded, cell).view(-1, 1, 1, 2).expand_as(offsets)], dim=-1)

        values = table[corners]  # b t q c
        keys = values[..., : 9 * self.width]
        keys = keys * self.mlp_key(cat([keys, place], dim=-1))
        scores = (table[nearest][..., : 9 * self.width].unsqueeze(1) * keys).sum(-1, dtype=offsets.dtype)
        values = values * self.mlp_value(cat([values, place], dim=-1))
        blended = (values * scores.softmax(1).unsqueeze(-1)).sum(1)
        colours: Tensor = self.mlp_colour(blended)
        return colours + bilinear_of_points(encoded, points, encoded.lr)

    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        return ciaosr_grid.render(self, encoded, size, window)
