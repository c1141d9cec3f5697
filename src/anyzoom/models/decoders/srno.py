"""SRNO, the super-resolution neural operator: Wei, Zhang, "Super-Resolution Neural Operator", CVPR 2023.

The features of the four LR pixels around a point, each times its weight (`ensemble`), the point's position relative
to them and the size of an output pixel are lifted to one vector; two blocks of Galerkin attention, which is linear in
the number of points, and a small MLP turn it into what is added to the bilinearly magnified picture.

The attention averages over all points that are asked for: M = mean of k^T v per head, then q M. So a colour depends
on the set of points, slightly, and the set that counts is the whole output grid. `query` takes the points that it is
given for the whole set, as training does with its random ones. `prepare` finds M of both blocks over the whole grid of
one size; `render` then gives any window of it as it is in the whole picture.

The released code is followed in its layer norm of keys and values, per head: the unbiased standard deviation, with
1e-5 added to the deviation itself.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from einops import rearrange
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, autocast, cat, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders import srno_grid
from anyzoom.models.decoders.ensemble import CORNERS, bilinear_of_points, corners_of_points, pitch_of, rows_of
from anyzoom.models.network import Decoder, Encoded

BLOCKS = 2
STABLE = 1e-5  # added to the deviation of keys and values


class SrnoConfig(BaseModel):
    """The paper's network: 794,883 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=256, ge=2, le=4096)  # channels of a lifted point
    heads: int = Field(default=16, ge=1)  # of the attention; the released code calls them blocks
    hidden: int = Field(default=256, ge=1, le=4096)  # of the last MLP

    @model_validator(mode="after")
    def _whole_heads(self) -> SrnoConfig:
        if self.width % self.heads or self.width // self.heads < 2:
            raise ValueError(f"width {self.width} does not split into {self.heads} heads of 2 or more channels each.")
        return self


class HeadNorm(nn.Module):
    """The layer norm of SRNO. forward: `... heads size` -> the same, each head by itself."""

    def __init__(self, heads: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(heads, size))
        self.bias = nn.Parameter(torch.zeros(heads, size))

    def forward(self, values: Tensor) -> Tensor:
        centred = values - values.mean(-1, keepdim=True)
        deviation = torch.linalg.vector_norm(centred, dim=-1, keepdim=True) / math.sqrt(values.shape[-1] - 1)
        normal: Tensor = centred / (deviation + STABLE)
        return normal * self.weight + self.bias


class GalerkinBlock(nn.Module):
    """Attention without a softmax, over all points at once, then an MLP. forward: `b q c` -> `b q c`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attend = nn.Linear(width, 3 * width)  # rows: head, then query, key, value, then the head's channels
        self.key_norm = HeadNorm(heads, width // heads)
        self.value_norm = HeadNorm(heads, width // heads)
        self.mix_in = nn.Linear(width, width)
        self.mix_out = nn.Linear(width, width)

    def forward(self, points: Tensor) -> Tensor:
        parts = rearrange(self.attend(points), "b q (head part c) -> part b q head c", head=self.heads, part=3)
        with autocast(points.device.type, enabled=False):  # a mean over many points outgrows bfloat16's eight bits
            queries, keys, values = parts.to(self.key_norm.weight.dtype)
            matrix = torch.einsum("bqhk,bqhv->bhkv", self.key_norm(keys), self.value_norm(values)) / points.shape[1]
            attended = torch.einsum("bqhk,bhkv->bqhv", queries, matrix).flatten(2)
        changed: Tensor = self.mix_out(F.gelu(self.mix_in(attended + points)))
        return changed + points


class SrnoDecoder(Decoder):
    """Colours of all points asked for together, from the features around each and an average over all."""

    reach = 1  # of `render`, once the picture is prepared
    context = None  # what `prepare` adds is an average over the whole grid
    axes = 2
    pointwise: ClassVar[bool] = False

    def __init__(self, width: int, config: SrnoConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SrnoConfig()
        self.lift = nn.Linear(CORNERS * (width + 2) + 2, config.width)  # offsets, weighted features, pitch
        self.blocks = nn.ModuleList(GalerkinBlock(config.width, config.heads) for _ in range(BLOCKS))
        self.hidden = nn.Linear(config.width, config.hidden)
        self.colour = nn.Linear(config.hidden, 3)

    @property
    def galerkin(self) -> list[GalerkinBlock]:
        return [block for block in self.blocks if isinstance(block, GalerkinBlock)]

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published.

        The points are the whole set: asked for in two calls, the same points get other colours.
        """
        corners = corners_of_points(encoded, points)
        features = rows_of(encoded.features)[corners.index] * corners.weights.unsqueeze(-1)  # b t q f
        place = rearrange(corners.offsets, "b t q yx -> b q (t yx)")
        pitch = pitch_of(encoded, cell).unsqueeze(1).expand(-1, points.shape[1], -1)
        lifted = self.lift(cat([place, rearrange(features, "b t q f -> b q (t f)"), pitch], dim=-1))
        for block in self.galerkin:
            lifted = block(lifted)
        colours: Tensor = self.colour(F.gelu(self.hidden(lifted)))
        return colours * 0.5 + bilinear_of_points(encoded, points, encoded.lr)

    def prepare(self, encoded: Encoded, size: Size) -> Encoded:
        """With M of both blocks for the output grid of that size, `b head key value` each."""
        return srno_grid.prepare(self, encoded, size)

    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        return srno_grid.render(self, self.prepare(encoded, size), size, window)
