"""LMI, the local mix implicit network: Fu et al., "Continuous Optical Zooming: A Benchmark for
Arbitrary-Scale Image Super-Resolution in Real World", CVPR 2024.

For every queried point, the sixteen nearest LR pixels (4 x 4) give a token each: feature, colour and relative
position. A meta network turns the sixteen relative positions and the scale into a position code; a token
mixer mixes across the sixteen, a channel mixer within each; the tokens' colours are summed with the areas
reflected through the point.

The released code is followed where it departs from the paper, since the authors' checkpoints depend on it:
GELU (erf) also after the second layer of each mixer, two residuals inside the block and one around it, colour
before position in the channel mixer, the scale as 2 / s of the vertical axis alone.

`query` is the network as published. `render` computes the same pixels of a regular grid much faster.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, autocast, cat, nn, tensor
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders import lmi_grid
from anyzoom.models.network import Decoder, Encoded

TOKENS = 16  # 4 rows of 4, row-major
SHIFTS = (-3.0, -1.0, 1.0, 3.0)  # in half LR pixels
NUDGE = 1e-6  # decides which pixel is nearest when a point lies on a border between two


class LmiConfig(BaseModel):
    """The paper's network: 87,859 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token_hidden: int = Field(default=32, ge=1, le=1024)  # width of the token mixer
    channel_factor: int = Field(default=2, ge=1, le=16)  # width of the channel mixer, in feature channels
    without: Literal["meta network", "coordinates", "token mixer", "colour"] | None = None  # ablations of Table 5


def neighbours(positions: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The four nearest LR pixels of each position along one axis.

    positions: `...` in [-1, 1]. Returns indices `... 4` in 0 to side - 1 and the positions relative to those
    pixels' centres, `... 4`, in half LR pixels. At the borders the outermost pixel repeats.
    """
    shifts = tensor(SHIFTS, dtype=positions.dtype, device=positions.device)
    probes = (positions.unsqueeze(-1) + shifts / side + NUDGE).clamp(-1 + NUDGE, 1 - NUDGE)
    indices = ((probes + 1) * (side / 2)).floor().long().clamp(0, side - 1)
    centres = (2 * indices.to(positions.dtype) + 1) / side - 1
    return indices, (positions.unsqueeze(-1) - centres) * side


class LmiDecoder(Decoder):
    """Colours at any point from features, the LR picture itself and the scale."""

    config: LmiConfig
    reach = 2  # LR pixels on either side of the one under a point
    axes = 1

    def __init__(self, width: int, config: LmiConfig | None = None) -> None:
        super().__init__()
        config = config or LmiConfig()
        self.width, self.config = width, config
        without, coded, beside = config.without, TOKENS, 6  # colour, offsets and pitch beside a token's features
        if without not in ("meta network", "token mixer"):
            self.meta_in = nn.Linear(2 * TOKENS + 1, width)
            self.meta_out = nn.Linear(width, width * TOKENS)  # row c * 16 + t
            coded = 2 * TOKENS
        if without != "token mixer":
            self.token_in = nn.Linear(coded, config.token_hidden)
            self.token_out = nn.Linear(config.token_hidden, TOKENS)
        beside -= {"colour": 3, "coordinates": 2}.get(without or "", 0)
        self.channel_in = nn.Linear(width + beside, config.channel_factor * width)
        self.channel_out = nn.Linear(config.channel_factor * width, width)
        self.colour = nn.Linear(width, 3)

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        height, width = encoded.whole
        rows, row_offsets = neighbours(points[..., 0], height)
        columns, column_offsets = neighbours(points[..., 1], width)
        batch, queries = points.shape[:2]
        here = encoded.window.size
        down, across = rows - encoded.window.top, columns - encoded.window.left
        index = (down.unsqueeze(-1) * here.width + across.unsqueeze(-2)).view(batch, queries * TOKENS)

        def gathered(grid: Tensor) -> Tensor:
            flat = grid.flatten(2).transpose(1, 2)  # b hw c
            start = tensor([here.pixels * b for b in range(batch)], device=index.device).view(-1, 1)
            taken = flat.reshape(-1, grid.shape[1]).index_select(0, (index + start).view(-1))
            return taken.view(batch, queries, TOKENS, grid.shape[1])

        tokens = gathered(encoded.features)
        colours = gathered(encoded.lr * 2 - 1)
        offsets = cat(
            [
                row_offsets.unsqueeze(-1).expand(-1, -1, -1, 4).reshape(batch, queries, TOKENS, 1),
                column_offsets.unsqueeze(-2).expand(-1, -1, 4, -1).reshape(batch, queries, TOKENS, 1),
            ],
            dim=-1,
        )
        areas = offsets.prod(dim=-1).abs() + 1e-9
        weights = areas.flip(-1) / areas.sum(-1, keepdim=True)  # b q t
        pitch = (cell[:, :1] * height).view(batch, 1, 1, 1)  # 2 / s of the vertical axis

        without = self.config.without
        mixed = tokens.transpose(-1, -2)
        if without not in ("meta network", "token mixer"):
            code = cat([offsets.flatten(2), pitch[..., 0].expand(-1, queries, -1)], dim=-1)
            with autocast(code.device.type, enabled=False):  # positions need more than bfloat16's eight bits
                code = F.relu(self.meta_in(code.to(self.meta_in.weight.dtype)))
            mixed = cat([mixed, self.meta_out(code).view(batch, queries, self.width, TOKENS)], dim=-1)
        inner = tokens
        if without != "token mixer":
            mixed = F.gelu(self.token_in(mixed))
            inner = tokens + F.gelu(self.token_out(mixed)).transpose(-1, -2)
        known = [] if without == "colour" else [colours]
        known += [] if without == "coordinates" else [offsets]
        beside = cat([*known, pitch.expand(-1, queries, TOKENS, -1)], dim=-1).to(inner.dtype)
        outer = F.gelu(self.channel_out(F.gelu(self.channel_in(cat([inner, beside], dim=-1)))))
        colour = self.colour(tokens + inner + outer)
        total: Tensor = (colour.to(weights.dtype) * weights.unsqueeze(-1)).sum(dim=-2)
        return total * 0.5 + 0.5

    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        return lmi_grid.render(self.completed(), encoded, size, window)

    @torch.no_grad()
    def completed(self) -> LmiDecoder:
        """The whole network that computes the same as this one: weights of zero for what an ablation lacks."""
        without = self.config.without
        if without is None:
            return self
        whole = LmiDecoder(self.width, self.config.model_copy(update={"without": None})).to(self.colour.weight)
        for parameter in whole.parameters():
            parameter.zero_()
        for name, layer in whole.named_children():
            mine = dict(self.named_children()).get(name)
            if isinstance(layer, nn.Linear) and isinstance(mine, nn.Linear):
                layer.bias.copy_(mine.bias)
                known = layer.weight
                if name == "channel_in":
                    lacks = {"colour": (0, 3), "coordinates": (3, 5)}.get(without, (6, 6))
                    columns = [k for k in range(self.width + 6) if not lacks[0] <= k - self.width < lacks[1]]
                    known[:, columns] = mine.weight
                else:
                    known[:, : mine.in_features] = mine.weight
        return whole
