"""SwinIR's trunk: Liang et al., "SwinIR: Image Restoration Using Swin Transformer", ICCVW 2021.

As arbitrary-scale decoders use it (LTE and after): up to the convolution before the upsampler, without the mean shift
unless asked for.

A block lets the pixels of a window see each other; the windows of every second block lie half a window further down
and to the right, so what one block separates the next one joins. The picture continues as its mirror image below and
to the right up to whole windows, as published. There the authors hand out more features than the picture has pixels,
which decoders then take for the picture's own: everything shifts. Here the features are cut back to the picture's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.grid import Size
from anyzoom.models.network import Encoder, Normalisation, mirrored, normalised

WINDOWS_ON_CPU = 16  # computed together: 2 MiB of queries, keys and values
WINDOWS_ON_GPU = 2048
APART = -100.0  # added to the attention between pixels that are no neighbours


class SwinirConfig(BaseModel):
    """The paper's network for classical super-resolution: 11,603,044 parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int | None = Field(default=64, ge=1, le=1024)  # feature channels handed out; None: the inner ones (CiaoSR)
    inner: int = Field(default=180, ge=1, le=4096)  # feature channels inside
    depths: tuple[int, ...] = Field(default=(6, 6, 6, 6, 6, 6), min_length=1)  # blocks of each stage
    heads: int = Field(default=6, ge=1)  # of the attention; they share the inner channels evenly
    window: int = Field(default=8, ge=2, multiple_of=2)  # pixels on a side
    expansion: float = Field(default=2.0, gt=0)  # hidden over inner channels of a block's perceptron
    stochastic_depth: float = Field(default=0.1, ge=0, lt=1)  # of the last block, in training: how often it is left out
    normalisation: Normalisation = "symmetric"

    @model_validator(mode="after")
    def _check(self) -> SwinirConfig:
        if self.inner % self.heads:
            raise ValueError(f"{self.inner} inner channels cannot be shared evenly by {self.heads} heads.")
        if min(self.depths) < 1:
            raise ValueError(f"every stage needs a block, found depths {self.depths}.")
        return self


class Windows(NamedTuple):
    """How a picture's pixels are sorted into windows; those that need no mask come first."""

    order: Tensor  # n t, for each of the t pixels of n windows its place in the picture, row-major
    back: Tensor  # (h w), for each pixel of the picture its place among (n t)
    unmasked: int  # so many windows hold no strangers
    strangers: Tensor  # the others, t t: true between pixels from opposite ends of the picture
    relative: Tensor  # t t, for a pixel and one that it sees: which row of the table of biases, by where they lie


@lru_cache(maxsize=16)
def sorted_into_windows(size: Size, side: int, shift: int) -> tuple[NDArray[np.int64], int, NDArray[np.bool_]]:
    """Order, unmasked and strangers of Windows, moved by `shift` down and to the right.

    What leaves the picture comes in again at the opposite end: the last window of a row or column is filled with what
    lies before the first one, and masked. No tensors here: what is cached must not belong to one device, or to a trace.
    """
    place = np.roll(np.arange(size.pixels).reshape(size), (-shift, -shift), (0, 1))
    row = np.arange(size.height) >= size.height - shift  # came in from the opposite end
    column = np.arange(size.width) >= size.width - shift
    end = 2 * row[:, None] + column
    order, end = (rearrange(grid, "(n y) (m x) -> (n m) (y x)", y=side, x=side) for grid in (place, end))
    masked = (end != end[:, :1]).any(1)
    unmasked_first = masked.argsort(kind="stable")
    end = end[unmasked_first][len(end) - int(masked.sum()) :]
    return order[unmasked_first], len(order) - len(end), end[:, :, None] != end[:, None, :]


def windows_of(size: Size, side: int, shift: int, device: torch.device) -> Windows:
    """For a picture whose sides are multiples of the windows'."""
    order, unmasked, strangers = sorted_into_windows(size, side, shift)
    row, column = np.divmod(np.arange(side * side), side)
    down, along = row[:, None] - row + side - 1, column[:, None] - column + side - 1
    tables = (order, order.argsort(axis=None), strangers, down * (2 * side - 1) + along)
    order_, back, strangers_, relative = (torch.from_numpy(table).to(device) for table in tables)
    return Windows(order_, back, unmasked, strangers_, relative)


class SwinBlock(nn.Module):
    """x + attention(norm(x)), to that its own + mlp(norm(it)); forward: `b (h w) f` -> `b (h w) f`.

    Without gradients the result is written over the input, a few windows at a time.
    """

    def __init__(self, inner: int, heads: int, window: int, hidden: int, left_out: float) -> None:
        super().__init__()
        self.heads = heads
        self.left_out = left_out
        self.first_norm = nn.LayerNorm(inner)
        self.qkv = nn.Linear(inner, 3 * inner)
        self.biases = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.mixed = nn.Linear(inner, inner)
        self.second_norm = nn.LayerNorm(inner)
        self.widen = nn.Linear(inner, hidden)
        self.narrow = nn.Linear(hidden, inner)
        for layer in (self.qkv, self.mixed, self.widen, self.narrow):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        nn.init.trunc_normal_(self.biases, std=0.02)

    def forward(self, tokens: Tensor, windows: Windows) -> Tensor:
        bias = self.biases[windows.relative].permute(2, 0, 1).unsqueeze(0)  # 1 k t t
        keep = self._kept(tokens)
        usual = WINDOWS_ON_CPU if tokens.device.type == "cpu" else WINDOWS_ON_GPU
        together = max(1, usual // len(tokens))
        parts = [(order, bias) for order in torch.split(windows.order[: windows.unmasked], together)]
        masked = torch.split(windows.order[windows.unmasked :], together)
        for order, strangers in zip(masked, torch.split(windows.strangers, together), strict=True):
            parts.append((order, bias + APART * strangers.unsqueeze(1)))
        parts = [part for part in parts if len(part[0])]
        if torch.is_grad_enabled():
            done = torch.cat([self._inside(tokens[:, order], bias, keep) for order, bias in parts], dim=1)
            return done.flatten(1, 2)[:, windows.back]
        for order, bias in parts:  # no pixel is in two windows
            tokens[:, order] = self._inside(tokens[:, order], bias, keep)
        return tokens

    def _inside(self, tokens: Tensor, bias: Tensor, keep: tuple[Tensor, Tensor] | None) -> Tensor:
        """The block for some windows, `b n t f`; bias of every head and pair of pixels, `1 k t t` or `n k t t`."""
        query, key, value = rearrange(
            self.qkv(self.first_norm(tokens)), "b n t (three k d) -> three (b n) k t d", three=3, k=self.heads
        )
        if len(bias) > 1:
            bias = bias.repeat(len(tokens), 1, 1, 1)
        seen = F.scaled_dot_product_attention(query, key, value, attn_mask=bias.to(query.dtype))
        change = self.mixed(rearrange(seen, "(b n) k t d -> b n t (k d)", b=len(tokens)))
        tokens = tokens + (change if keep is None else change * keep[0])
        change = self.narrow(F.gelu(self.widen(self.second_norm(tokens))))
        result: Tensor = tokens + (change if keep is None else change * keep[1])
        return result

    def _kept(self, tokens: Tensor) -> tuple[Tensor, Tensor] | None:
        """For each picture of a batch and each of the two changes 0, or what makes up for the zeros; None: all stay."""
        if not self.training or self.left_out == 0:
            return None
        stays = 1 - self.left_out
        kept = tokens.new_empty(2, len(tokens), 1, 1, 1).bernoulli_(stays) / stays
        return kept[0], kept[1]


class SwinStage(nn.Module):
    """x + conv(blocks(x)); forward: `b f h w` -> `b f h w`."""

    def __init__(self, blocks: list[SwinBlock], inner: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.convolution = nn.Conv2d(inner, inner, 3, padding=1)

    def forward(self, features: Tensor, straight: Windows, moved: Windows) -> Tensor:
        tokens = rearrange(features, "b f h w -> b (h w) f")
        if not torch.is_grad_enabled():
            tokens = tokens.clone()  # blocks write into it then
        for number, block in enumerate(self.blocks):
            tokens = block(tokens, moved if number % 2 else straight)
        change: Tensor = self.convolution(rearrange(tokens, "b (h w) f -> b f h w", h=features.shape[-2]))
        return change.add_(features)


def normalised_channels(norm: nn.LayerNorm, features: Tensor) -> Tensor:
    """A norm over the channels of `b f h w`."""
    normed: Tensor = norm(rearrange(features, "b f h w -> b h w f"))
    return rearrange(normed, "b h w f -> b f h w")


class SwinirEncoder(Encoder):
    """forward: lr `b 3 h w` in [0, 1] -> features `b f h w`; any h and w."""

    def __init__(self, config: SwinirConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or SwinirConfig()
        inner = config.inner
        self.width = config.width or inner
        self.normalisation = config.normalisation
        self.multiple = config.window
        self.reach = reach_of(config)
        hidden = int(inner * config.expansion)
        # Shallow features, what the first stage got, a stage's input and result, its tokens; windows at work.
        self.floats_per_pixel = 6 * inner
        count, last = 0, max(sum(config.depths) - 1, 1)
        stages = []
        for depth in config.depths:
            blocks = []
            for _ in range(depth):
                left_out = config.stochastic_depth * count / last
                blocks.append(SwinBlock(inner, config.heads, config.window, hidden, left_out))
                count += 1
            stages.append(SwinStage(blocks, inner))
        self.head = nn.Conv2d(3, inner, 3, padding=1)
        self.first_norm = nn.LayerNorm(inner)
        self.stages = nn.ModuleList(stages)
        self.last_norm = nn.LayerNorm(inner)
        self.body = nn.Conv2d(inner, inner, 3, padding=1)
        self.tail = nn.Conv2d(inner, config.width, 3, padding=1) if config.width else None

    def forward(self, lr: Tensor) -> Tensor:
        height, width = lr.shape[-2:]
        shallow = self.head(normalised(mirrored(lr, self.multiple), self.normalisation))
        features = normalised_channels(self.first_norm, shallow)
        size = Size(*features.shape[-2:])
        straight, moved = (windows_of(size, self.multiple, shift, features.device) for shift in (0, self.multiple // 2))
        for stage in self.stages:
            features = stage(features, straight, moved)
        features = self.body(normalised_channels(self.last_norm, features)) + shallow
        if self.tail is not None:
            features = F.leaky_relu(self.tail(features), 0.01)
        return features[..., :height, :width]


def reach_of(config: SwinirConfig) -> int:
    """How far into a tile that begins with a window what lies outside is missed; 151 LR pixels in the paper's network.

    A 3 x 3 convolution carries it one pixel further in, a block to the end of the window that it has got into, and
    windows end at multiples of their side, in every second block half a side further.
    """
    reach = 1
    for depth in config.depths:
        for k in range(depth):
            begin = config.window // 2 if k % 2 else 0
            reach = -(-(reach - begin) // config.window) * config.window + begin
        reach += 1
    return reach + (2 if config.width else 1)
