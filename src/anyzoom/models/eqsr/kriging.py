"""EQSR's upsampler, the neural Kriging: convolutions on the output grid whose kernels follow content and distance.

Every output pixel takes the nearest LR feature and the encoded position in it. Two blocks then mix each pixel with its
eight neighbours on the output grid: a kernel made from the features there, times a radial function of the distance to
the neighbours' LR pixels; a perceptron follows, whose channels are weighed with their mean over the whole grid. So a
pixel depends on which others are asked for.

`KrigingUpsampler.forward` is the upsampler as published; `kriging_grid` computes the same much faster.
"""

from __future__ import annotations

import math

import torch
from einops import rearrange
from torch import Tensor, autocast, cat, nn
from torch.nn import functional as F

from anyzoom.models.eqsr.encoding import Line

SHARED = 8  # channels that share a kernel
TAPS = 9  # 3 rows of 3


def normalised(norm: nn.LayerNorm, grid: Tensor) -> Tensor:
    """`b c H W` -> the same, normalised over c."""
    done: Tensor = norm(grid.permute(0, 2, 3, 1))
    return done.permute(0, 3, 1, 2)


class KrigingBlock(nn.Module):
    """forward: grid `b c H W`, nearness `b 9 H W` of each neighbour -> `b c H W`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        reach = int((math.log2(width) + 1) / 2)
        reach += 1 - reach % 2
        self.norm_in = nn.LayerNorm(width)
        self.enter = nn.Conv2d(width, width, 1)
        self.narrow = nn.Conv2d(width, width // 4, 3, padding=1)
        self.kernel = nn.Conv2d(width // 4, width // SHARED * TAPS, 1)  # channel g * 9 + tap
        self.leave = nn.Conv2d(width, width, 1)
        self.norm_out = nn.LayerNorm(width)
        self.wide = nn.Conv2d(width, 2 * width, 1)
        self.back = nn.Conv2d(2 * width, width, 1)
        self.gain = nn.Conv1d(1, 1, reach, padding=reach // 2, bias=False)  # across channels

    def forward(self, grid: Tensor, nearness: Tensor) -> Tensor:
        values = self.enter(normalised(self.norm_in, grid))
        kernels = rearrange(self.kernel(F.relu(self.narrow(values))), "b (g t) H W -> b g 1 t H W", t=TAPS)
        neighbours = rearrange(
            F.unfold(values, 3, padding=1), "b (g s t) (H W) -> b g s t H W", t=TAPS, s=SHARED, H=grid.shape[2]
        )
        mixed = (neighbours * (kernels * nearness[:, None, None])).sum(3).flatten(1, 2)
        grid = grid + self.leave(mixed)
        change = self.back(F.gelu(self.wide(normalised(self.norm_out, grid))))
        done: Tensor = grid + change * self.gains(change.mean((2, 3)))[:, :, None, None]
        return done

    def gains(self, means: Tensor) -> Tensor:
        """The channels' means `b c` -> their weights `b c`."""
        done: Tensor = self.gain(means.unsqueeze(1))
        return done.squeeze(1)


class KrigingUpsampler(nn.Module):
    """forward: features `b f h w` and the grid's two axes -> colours `b 3 H W`, DIV2K's mean subtracted."""

    def __init__(self, features: int, code: int, width: int) -> None:
        """code: numbers that encode an offset on one axis."""
        super().__init__()
        self.head = nn.Conv2d(features + 2 * code, width, 1)
        self.blocks = nn.ModuleList(KrigingBlock(width) for _ in range(2))
        self.colour = nn.Conv2d(width, 3, 1)
        self.length = nn.Parameter(torch.tensor(3.0))  # of the radial function, in half LR pixels

    def forward(self, features: Tensor, rows: Line, columns: Line) -> Tensor:
        device = features.device
        batch = torch.arange(len(features), device=device)[:, None, None]
        down, along = rows.nearest.to(device)[:, :, None], columns.nearest.to(device)[:, None]
        found = features.permute(0, 2, 3, 1)[batch, down, along].permute(0, 3, 1, 2)
        height, width = down.shape[1], along.shape[2]
        y = rows.codes[:, :, None].expand(-1, -1, width, -1)
        x = columns.codes[:, None].expand(-1, height, -1, -1)
        places = rearrange([x, y], "xy b H W s -> b (s xy) H W").to(device)
        with autocast(device.type, enabled=False):  # positions need more than bfloat16's eight bits
            grid = F.relu(self.head(cat([found.to(places.dtype), places], dim=1)))
        skip, nearness = grid, self.nearness(rows, columns)
        for block in self.blocks:
            grid = F.relu(block(grid, nearness))
        done: Tensor = self.colour(F.relu(grid + skip))
        return done

    def nearness(self, rows: Line, columns: Line) -> Tensor:
        """The radial function of every neighbour, `b 9 H W`; beyond the grid, where the values are zero, anything."""
        device = self.length.device
        squared = rows.distances.to(device)[:, :, None, :, None] + columns.distances.to(device)[:, None, :, None]
        return rearrange(torch.exp(squared / self.length**2 * -0.5), "b H W v u -> b (v u) H W")
