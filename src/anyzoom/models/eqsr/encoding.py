"""How EQSR writes positions and the scale as sines, and the two axes of its output grid.

The released network encodes a number x as x, sin(2^i pi x / 10), cos(2^i pi x / 10) for i = 0 to 39. Phases of up to
1e11 are far beyond what float32 resolves: from about i = 17 on, the sines are a hash of the rounding errors of x, and
the weights were trained on that hash. So `compatible` repeats the released arithmetic in float32 step by step; one
last bit elsewhere changes colours by a quarter of their range. Everything here is found once per row and per column,
always on the processor, so the hash depends neither on the window that is asked for nor on the device.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from anyzoom.models.decoders.ensemble import nearest_one

MEANINGFUL = 16  # more frequencies than these hold rounding errors alone
NEAR = 0.01  # output pixels: a point that lies so near to a pixel's centre is meant to be there


class EncodingConfig(BaseModel):
    """The released network's encoding; for new training rather compatible=False with some ten frequencies."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frequencies: int = Field(default=40, ge=1, le=40)
    compatible: bool = True  # the released order of operations, and the output's height as the groups' scale
    machine: Literal["cpu", "cuda"] = "cpu"  # whose rounding `compatible` repeats: CUDA multiplies by 0.1

    @model_validator(mode="after")
    def _resolved(self) -> EncodingConfig:
        if not self.compatible and self.frequencies > MEANINGFUL:
            raise ValueError(
                f"frequencies is {self.frequencies}: beyond {MEANINGFUL} float32 holds nothing but rounding errors. "
                f"Take about 10, or compatible=True to repeat the released network."
            )
        return self

    @property
    def width(self) -> int:
        """Numbers that encode one."""
        return 1 + 2 * self.frequencies


@dataclass(frozen=True)
class Line:
    """One axis of a grid of points, for each of its `n` rows or columns; in float32 on the processor."""

    nearest: Tensor  # b n, the LR pixel under it
    offsets: Tensor  # b n, from that pixel's centre, half LR pixels
    codes: Tensor  # b n s, the offsets encoded
    distances: Tensor  # b n 3, squared, to the LR centres of the point before, itself and the next; half LR pixels


def encoded(numbers: Tensor, config: EncodingConfig) -> Tensor:
    """`...` in float32 -> `... s`: the number, then sine and cosine of every frequency."""
    parts = [numbers]
    for i in range(config.frequencies):
        phase = numbers * (2**i * math.pi)
        phase = phase * 0.1 if config.machine == "cuda" else phase / 10
        parts += [phase.sin(), phase.cos()]
    return torch.stack(parts, dim=-1)


def scale_code(cell: Tensor, lr_height: int, config: EncodingConfig) -> Tensor:
    """What tells the groups the scale, from an output pixel's height `b` -> `b s`.

    The released network takes 2 / H, whatever the scale; without `compatible` it is 2 / scale.
    """
    height = cell.detach().float().cpu()
    return encoded(height if config.compatible else height * lr_height, config)


def line(positions: Tensor, cell: Tensor, side: int, config: EncodingConfig) -> Line:
    """positions: `b n` in [-1, 1]; cell `b`: an output pixel's extent on this axis; side: LR pixels.

    Positions that are centres of the grid which the cell describes, up to rounding, are taken to be just these.
    """
    given = positions.detach().cpu().double()
    count = (2 / cell.detach().cpu().double()).round().clamp(min=1).unsqueeze(-1)  # b 1, pixels of the whole grid
    index = ((given + 1) / 2 * count - 0.5).round()
    centres = (2 * index + 1) / count - 1
    meant = (centres - given).abs() * count / 2 < NEAR
    if not config.compatible:
        here = torch.where(meant, centres, given)
        nearest, offsets = (found.squeeze(-1) for found in nearest_one(here, side))
        middles = (2 * torch.arange(side, dtype=torch.float64) + 1) / side - 1
    else:
        grid = (-1 + 1 / count).float() + (2 / count).float() * index.float()
        here = torch.where(meant, grid, given.float())
        nearest = _rounded(here, side, config).clamp(0, side - 1)
        middles = -1 + 1 / side + (2 * (1 / side)) * torch.arange(side).float()
        offsets = (here - middles[nearest]) * side
    around = F.pad(middles[nearest].unsqueeze(1), (1, 1), mode="replicate").squeeze(1)  # the ends are never used
    distances = ((around.unfold(-1, 3, 1) - here.unsqueeze(-1)) * side).square()
    return Line(nearest, offsets.float(), encoded(offsets.float(), config), distances.float())


def _rounded(positions: Tensor, side: int, config: EncodingConfig) -> Tensor:
    """The LR pixel that PyTorch's grid_sample finds in float32; halves, as at x1.5, go wherever rounding sends them."""
    if config.machine == "cuda":  # one rounding for product and difference
        return ((((positions + 1).double() * side - 1).float()) / 2).round().long()
    return ((positions + 1) * (side / 2) - 0.5).round().long()
