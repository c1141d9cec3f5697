"""LTE, the local texture estimator, and LTE+: Lee and Jin, "Local Texture Estimator for Implicit Representation
Function", CVPR 2022.

Every LR pixel has waves: amplitudes and frequencies that two convolutions estimate from the features. At a point, each
of the four LR pixels around it (`ensemble`) gives its waves' values there; an MLP makes a colour of them, the colours
are blended, and the bilinear interpolation of the LR picture is added.

LTE and LTE+ (`lte-fast` in the authors' code) are one network whose frequencies are stored in another order. Here they
lie as in LTE+: first those along y, then those along x.

`query` is the network as published. In `render` both convolutions run once per LR pixel, as in the authors' code, the
phase is a constant, and the last layer, which is linear, follows the blending. Three layers per corner remain, so
what counts is that they are packed and that what they work on stays in the cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, autocast, cat, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import (
    CORNERS,
    Corners,
    bilinear_of_block,
    bilinear_of_points,
    corners_of_block,
    corners_of_points,
    linear_two,
    nearest_two,
    pitch_of,
    rows_of,
)
from anyzoom.models.decoders.fast import Scratch, axes_of, flat, in_parts, painted, strips
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.network import Decoder, Encoded

STRIP = 128  # output pixels at a time: 512 KiB of float32 for a layer of 256 numbers at each of their four corners


@dataclass(frozen=True)
class Waves:
    """The waves of a picture's LR pixels at one scale, as tables for `render`."""

    amplitude: Tensor  # (h w) 2k, for k cosines and k sines
    frequency: Tensor  # (h w) 2k, k along y and k along x, in radians per half LR pixel
    phase: Tensor  # k, in radians

    def at(self, index: Tensor, offsets: Tensor, scratch: Scratch) -> Tensor:
        """The waves of the pixels `n` at these offsets from them, `n yx`, in half LR pixels: `n 2k` in float32."""
        count, waves = len(index), len(self.phase)
        frequency = scratch("frequency", count, 2 * waves)
        torch.index_select(self.frequency, 0, index, out=frequency)
        down, along = frequency.view(count, 2, waves).mul_(offsets.unsqueeze(-1)).unbind(1)
        angle = torch.add(down, along, out=scratch("angle", count, waves)).add_(self.phase)
        values = scratch("waves", count, 2 * waves)
        torch.index_select(self.amplitude, 0, index, out=values)
        values[:, :waves].mul_(torch.cos(angle, out=scratch("cosine", count, waves)))
        values[:, waves:].mul_(angle.sin_())
        return values


class Texture(nn.Module):
    """amplitude * [cos, sin](pi (frequency . offset + phase)): what LTE and LINF see of the features.

    Frequencies and angles are never rounded below the precision of the weights: an angle of many turns has no digit
    to spare, and bfloat16 keeps two.
    """

    def __init__(self, width: int, waves: int) -> None:
        super().__init__()
        self.amplitude = nn.Conv2d(width, 2 * waves, 3, padding=1)
        self.frequency = nn.Conv2d(width, 2 * waves, 3, padding=1)
        self.phase = nn.Linear(2, waves, bias=False)  # of an output pixel's height and width

    def forward(self, features: Tensor, corners: Corners, pitch: Tensor) -> Tensor:
        """features `b f h w`, pitch `b yx` -> the waves of every corner at every point, `b t q 2k`."""
        features = features.to(self.phase.weight.dtype)
        amplitudes = rows_of(self.amplitude(features))[corners.index]
        with autocast(features.device.type, enabled=False):
            frequencies = rows_of(self.frequency(features.to(self.phase.weight.dtype)))[corners.index]
            down, along = frequencies.chunk(2, dim=-1)
            half_turns = down * corners.offsets[..., :1] + along * corners.offsets[..., 1:]
            angles = math.pi * (half_turns + self.phase(pitch)[:, None, None])
            return amplitudes * cat([angles.cos(), angles.sin()], dim=-1)

    def waves(self, features: Tensor, pitch: Tensor) -> list[Waves]:
        """features `b f h w`, pitch `yx` -> the tables of every picture."""
        kernel, bias = (parameter.to(features.dtype) for parameter in self.amplitude.parameters())
        amplitudes = F.conv2d(features, kernel, bias, padding=1)
        frequencies = self.frequency(features.float()) * math.pi
        phase = self.phase(pitch) * math.pi
        return [Waves(flat(a.float()), flat(f), phase) for a, f in zip(amplitudes, frequencies, strict=True)]


class LteConfig(BaseModel):
    """The paper's network: 493,827 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waves: int = Field(default=128, ge=1, le=4096)  # of every LR pixel; the convolutions have twice as many channels
    hidden: tuple[int, ...] = Field(default=(256, 256, 256), min_length=1)  # widths of the MLP's hidden layers
    clip_cell: float | None = Field(default=None, ge=1)  # beyond this scale the cell is that of this scale


class LteDecoder(Decoder):
    """Colours at any point from the waves of the LR pixels around it."""

    reach = 2  # LR pixels on either side of the one under a point: a corner and its 3 x 3 neighbours
    axes = 2

    def __init__(self, width: int, config: LteConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LteConfig()
        self.least_pitch = 2 / config.clip_cell if config.clip_cell else 0.0  # an output pixel, in half LR pixels
        self.texture = Texture(width, config.waves)
        self.mlp = Mlp([2 * config.waves, *config.hidden, 3])

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        corners = corners_of_points(encoded, points)
        pitch = pitch_of(encoded, cell).clamp(min=self.least_pitch)
        colours = self.mlp(self.texture(encoded.features, corners, pitch))  # b t q 3
        blended: Tensor = (colours * corners.weights.unsqueeze(-1)).sum(1)
        return blended * 0.5 + bilinear_of_points(encoded, points, encoded.lr)

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        return in_parts(self._render, encoded, size, window, self.reach)

    def _render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        features, dtype, lr = encoded.features, encoded.features.dtype, encoded.lr.float()
        pitch = lr.new_tensor([max(2 * n / m, self.least_pitch) for n, m in zip(encoded.whole, size, strict=True)])
        waves = self.texture.waves(features, pitch)
        hidden, last = self.mlp.packed(dtype)[:-1], self.mlp.linears[-1]
        rows, columns = axes_of(nearest_two, encoded, size, window)
        between_rows, between_columns = axes_of(linear_two, encoded, size, window)
        tile_width = encoded.window.size.width

        def block(number: int, part: Window, scratch: Scratch) -> Tensor:
            corners = corners_of_block(rows, columns, part, tile_width)
            blended = scratch("blended", part.size.pixels, last.in_features)
            for strip in strips(part.size, STRIP if lr.device.type == "cpu" else part.size.pixels):
                index, offsets = corners.index[:, strip].flatten(), corners.offsets[:, strip].reshape(-1, 2)
                values = waves[number].at(index, offsets, scratch).to(dtype)
                for layer in hidden:
                    values = layer(values)
                weights = corners.weights[:, strip].unsqueeze(-1).to(dtype)
                torch.sum(values.view(CORNERS, len(weights[0]), -1).mul_(weights), 0, out=blended[strip])
            colours = torch.addmm(last.bias, blended, last.weight.t()).t().reshape(3, *part.size)
            return colours * 0.5 + bilinear_of_block(between_rows, between_columns, part, lr[number])

        return painted(lr, len(lr), window, block)
