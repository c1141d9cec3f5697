"""LINF, the local implicit normalizing flow: Yao et al., "Local Implicit Normalizing Flow for Arbitrary-Scale Image
Super-Resolution", CVPR 2023.

An LR pixel hides many possible textures, so the network gives a distribution: of what a colour differs by from the
bilinear interpolation of the LR picture. The waves of the four LR pixels around a point (LTE's `Texture`), weighted
and laid side by side, go through an MLP, whose outputs are the scales and shifts of a flow: a chain of invertible maps
between that difference and three standard normal numbers, the latent. The latent 0 gives one picture without chance:
`query` and `render`. `sample` draws latents, `log_probability` is what the network is trained with.

`query` is the network as published. `render` keeps the waves in tables, as LTE's does, the layers packed, and runs
the flow on planes of whole blocks.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, autocast, nn

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import (
    CORNERS,
    bilinear_of_block,
    bilinear_of_points,
    corners_of_block,
    corners_of_points,
    linear_two,
    nearest_two,
    pitch_of,
)
from anyzoom.models.decoders.fast import Scratch, axes_of, in_parts, painted, strips
from anyzoom.models.decoders.lte import Texture
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.network import Decoder, Encoded

STRIP = 128  # output pixels at a time: 512 KiB of float32 for the waves of their four corners
LEAST_SCALE = 1e-4  # of a step of the flow, which divides by it


class LinfConfig(BaseModel):
    """The paper's network for single pixels: 705,216 parameters on 64 feature channels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    waves: int = Field(default=128, ge=1, le=4096)  # of every LR pixel; the convolutions have twice as many channels
    hidden: tuple[int, ...] = Field(default=(256, 256, 256), min_length=1)  # widths of the MLP's hidden layers
    steps: int = Field(default=10, ge=1, le=1000)  # of the flow


class Flow(nn.Module):
    """Invertible maps between differences of colour `3 n` and latents `3 n`.

    Towards the latent every step mixes the channels and then scales and shifts them; a last mixing ends it. The
    mixings are the network's, scales and shifts those of each point: `k kind rgb n`, kinds scale (raw) and shift.
    Always in the precision of the weights: the way back divides by the scales of all steps, which may be 1e-4.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        linears = [nn.Linear(3, 3) for _ in range(steps + 1)]
        for linear in linears:
            nn.init.orthogonal_(linear.weight)  # a random matrix may be next to singular
        self.mixings = nn.ModuleList(linears)

    def difference(self, latent: Tensor, given: Tensor) -> Tensor:
        """From the latent back to the colour."""
        matrices, constants = self._mixings()
        inverses = torch.linalg.inv(matrices)
        values: Tensor = inverses[-1] @ (latent - constants[-1])
        for step in reversed(range(len(given))):
            raw, shift = given[step]
            values = inverses[step] @ ((values - shift) / scale_of(raw) - constants[step])
        return values

    def log_probability(self, difference: Tensor, given: Tensor) -> Tensor:
        """The logarithm of the density of differences `3 n`: `n`."""
        matrices, constants = self._mixings()
        scales = scale_of(given[:, 0])
        values = difference
        for step, shift in enumerate(given[:, 1]):
            values = (matrices[step] @ values + constants[step]) * scales[step] + shift
        latent = matrices[-1] @ values + constants[-1]
        volume: Tensor = scales.log().sum((0, 1)) + torch.linalg.slogdet(matrices).logabsdet.sum()
        return volume - 0.5 * (latent.square() + math.log(2 * math.pi)).sum(0)

    def _mixings(self) -> tuple[Tensor, Tensor]:
        """Matrices `k 3 3` and constants `k 3 1` of all steps and the last."""
        layers = [layer for layer in self.mixings if isinstance(layer, nn.Linear)]
        return torch.stack([layer.weight for layer in layers]), torch.stack([layer.bias[:, None] for layer in layers])


def scale_of(raw: Tensor) -> Tensor:
    """Of a step of the flow, from a number of the MLP."""
    return torch.sigmoid(raw + 2) + LEAST_SCALE


class LinfDecoder(Decoder):
    """Colours, and how probable they are, at any point from the waves of the LR pixels around it."""

    reach = 2  # LR pixels on either side of the one under a point: a corner and its 3 x 3 neighbours
    axes = 2

    def __init__(self, width: int, config: LinfConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or LinfConfig()
        self.texture = Texture(width, config.waves)
        self.mlp = Mlp([CORNERS * 2 * config.waves, *config.hidden, 6 * config.steps])
        self.flow = Flow(config.steps)

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1] of the latent 0; the network as published."""
        given = self._given(encoded, points, cell)
        with autocast(given.device.type, enabled=False):
            difference = self.flow.difference(torch.zeros_like(given[0, 0]), given)
        difference = rearrange(difference, "rgb (b q) -> b q rgb", b=len(points))
        return difference * 0.5 + bilinear_of_points(encoded, points, encoded.lr)

    def log_probability(self, encoded: Encoded, points: Tensor, cell: Tensor, colours: Tensor) -> Tensor:
        """The logarithm of the density of colours `b q 3` (in [0, 1]) at points `b q yx`: `b q`.

        As the authors count it, of colours in [-1, 1]; of colours in [0, 1] it is 3 log 2 more.
        """
        given = self._given(encoded, points, cell)
        difference = (colours - bilinear_of_points(encoded, points, encoded.lr)) * 2
        with autocast(given.device.type, enabled=False):
            found = self.flow.log_probability(rearrange(difference, "b q rgb -> rgb (b q)").to(given), given)
        return found.view(points.shape[:2])

    def _given(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """What the flow is given at every point, `k kind rgb (b q)`."""
        corners = corners_of_points(encoded, points)
        waves = self.texture(encoded.features, corners, pitch_of(encoded, cell)) * corners.weights.unsqueeze(-1)
        given: Tensor = self.mlp(rearrange(waves, "b t q k -> b q (t k)"))
        given = rearrange(given, "b q (k kind rgb) -> k kind rgb (b q)", kind=2, rgb=3)
        return given.to(self.mlp.linears[-1].weight.dtype)

    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        return self.sample(encoded, size, window, temperature=0.0, seed=0)

    @torch.no_grad()
    def sample(self, encoded: Encoded, size: Size, window: Window, temperature: float, seed: int) -> Tensor:
        """A window of one picture drawn from the distribution, `b 3 H W`.

        temperature: the latents' standard deviation; 0 is the picture that `render` gives, 1 is what was trained.
        seed: a pixel's draw depends on it and on its place in the whole grid alone, so that windows fit together.
        """
        if not 0 <= temperature < math.inf:
            raise ValueError(f"the temperature is {temperature}; it must be 0 or more.")
        return in_parts(partial(self._sample, temperature, seed), encoded, size, window, self.reach)

    def _sample(self, temperature: float, seed: int, encoded: Encoded, size: Size, window: Window) -> Tensor:
        features, dtype, lr = encoded.features, encoded.features.dtype, encoded.lr.float()
        pitch = lr.new_tensor([2 * n / m for n, m in zip(encoded.whole, size, strict=True)])
        waves = self.texture.waves(features, pitch)
        hidden, last = self.mlp.packed(dtype)[:-1], self.mlp.packed(torch.float32)[-1]
        rows, columns = axes_of(nearest_two, encoded, size, window)
        between_rows, between_columns = axes_of(linear_two, encoded, size, window)
        tile_width = encoded.window.size.width

        def block(number: int, part: Window, scratch: Scratch) -> Tensor:
            corners = corners_of_block(rows, columns, part, tile_width)
            given = scratch("given", self.mlp.linears[-1].out_features, part.size.pixels)
            for strip in strips(part.size, STRIP if lr.device.type == "cpu" else part.size.pixels):
                index = corners.index[:, strip].t().flatten()
                offsets = corners.offsets[:, strip].transpose(0, 1).reshape(-1, 2)
                weights = corners.weights[:, strip].t().reshape(-1, 1)
                values = waves[number].at(index, offsets, scratch).mul_(weights)
                values = values.view(strip.stop - strip.start, -1).to(dtype)
                for layer in hidden:
                    values = layer(values)
                given[:, strip] = last(values.float()).t()
            latent = torch.zeros(3, part.size.pixels, device=lr.device)
            if temperature > 0:
                place = Window(*(a + b for a, b in zip(part, (window.top, window.left) * 2, strict=True)))
                latent = torch.from_numpy(normal_at(place, seed) * temperature).to(latent).view(3, -1)
            steps = rearrange(given, "(k kind rgb) n -> k kind rgb n", kind=2, rgb=3)
            difference = self.flow.difference(latent, steps).view(3, *part.size)
            return difference * 0.5 + bilinear_of_block(between_rows, between_columns, part, lr[number])

        return painted(lr, len(lr), window, block)


def normal_at(window: Window, seed: int) -> NDArray[np.float64]:
    """Three standard normal numbers for every pixel of a window of a grid, `3 H W`, from the seed and its place alone.

    Counters mixed by SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), pairs of their halves by Box and Muller.
    """
    rows, columns = (np.arange(part.start, part.stop, dtype=np.uint64) for part in window.slices)
    pixel = mixed(columns + mixed(rows + mixed(np.array([seed % 2**64], dtype=np.uint64)))[:, None])
    bits = np.stack([pixel, mixed(pixel)])
    high, low = ((half + 0.5) / 2**32 for half in (bits >> np.uint64(32), bits & np.uint64(2**32 - 1)))
    radius, angle = np.sqrt(-2 * np.log(high)), 2 * np.pi * low
    return np.concatenate([radius * np.cos(angle), (radius * np.sin(angle))[:1]])


def mixed(counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One step of SplitMix64; overflow wraps around."""
    bits = counter + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
