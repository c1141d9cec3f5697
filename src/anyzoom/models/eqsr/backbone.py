"""EQSR's backbone: groups of window attention, each begun by a convolution that is told the scale.

Attention follows HAT (Chen et al., "Activating More Pixels in Image Super-Resolution Transformer", CVPR 2023) without
its channel attention branch, which the released code has switched off. A group's first part is the paper's adaptive
feature extractor. Pictures are kept as `b h w f`, which convolutions see as channels-last.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, autocast, cat, nn
from torch.nn import functional as F

MASKED = -100.0  # added to the attention between tokens that only the cyclic shift made neighbours


def convolved(layer: nn.Conv2d, tokens: Tensor) -> Tensor:
    """`b h w f` -> `b h w f`."""
    done: Tensor = layer(tokens.permute(0, 3, 1, 2))
    return done.permute(0, 2, 3, 1)


class ModulatedConvolution(nn.Module):
    """A 3 x 3 convolution whose kernel (1 + y_i) k_oi is scaled by the style y and normalised per output channel.

    Both factors are applied to the channels instead of the kernel, so a batch may hold different scales.
    """

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width, width, 3, 3))
        self.style = nn.Linear(style, width)
        nn.init.kaiming_normal_(self.weight, nonlinearity="leaky_relu")

    def forward(self, tokens: Tensor, code: Tensor) -> Tensor:
        """tokens `b h w f`, code `b s`."""
        with autocast(tokens.device.type, enabled=False):
            factors = 1 + self.style(code)  # b f
            energy = self.weight.square().sum((2, 3))  # o i
            norm = torch.rsqrt(factors.square() @ energy.t() + 1e-8)
        scaled = (tokens * factors[:, None, None]).permute(0, 3, 1, 2)
        done = F.conv2d(scaled, self.weight, padding=1).permute(0, 2, 3, 1)
        return done * norm[:, None, None]


class Extractor(nn.Module):
    """The adaptive feature extractor; there is no way around its first layer."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        squeezed = max(1, width // 4)
        self.enter = nn.Conv2d(width, width, 1)
        self.norm_in = nn.LayerNorm(width)
        self.modulated = ModulatedConvolution(width, style)
        self.norm_out = nn.LayerNorm(width)
        self.squeeze = nn.Linear(width, squeezed, bias=False)
        self.excite = nn.Linear(squeezed, width, bias=False)
        self.leave = nn.Conv2d(width, width, 1)

    def forward(self, tokens: Tensor, code: Tensor) -> Tensor:
        tokens = convolved(self.enter, tokens)
        tokens = tokens + self.modulated(F.gelu(self.norm_in(tokens)), code)
        change = F.gelu(self.norm_out(tokens))
        gate = torch.sigmoid(self.excite(F.silu(self.squeeze(change.mean((1, 2))))))
        return tokens + convolved(self.leave, change * gate[:, None, None])


class Perceptron(nn.Module):
    """`... f` -> `... f` with one hidden layer."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.wide = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, tokens: Tensor) -> Tensor:
        done: Tensor = self.narrow(F.gelu(self.wide(tokens)))
        return done


def spread(table: Tensor, window: int, outer: int) -> Tensor:
    """A table with one bias per relative position, `p heads`, for every query and key: `1 heads s t`.

    Within a window, rows and columns of a position count query minus key. For keys of a larger window around it they
    count key minus query, and begin below zero in the released code, so that its table is rolled.
    """
    side = window + outer - 1
    if outer > window:
        table = table.roll((outer - 2) * (side + 1), 0)  # rows and columns begin at 2 - outer there
    found = table.view(side, side, -1).unfold(0, outer, 1).unfold(1, outer, 1)  # y x heads v u
    found = found.flip(0, 1) if outer > window else found.flip(3, 4)
    return rearrange(found, "y x heads v u -> 1 heads (y x) (v u)")


def windows(band: Tensor, side: int, step: int, heads: int) -> Tensor:
    """The square windows of a band as high as they are, `b side w (heads c)` -> `(b n) heads (side side) c`."""
    cut = band.unfold(2, side, step)
    return rearrange(cut, "b y n (heads c) x -> (b n) heads (y x) c", heads=heads)


class Attention(nn.Module):
    """From every window to itself, or to a larger window around it. forward: tokens `b h w f`, normalised."""

    def __init__(self, width: int, heads: int, window: int, overlap: int = 0) -> None:
        """overlap: pixels by which the windows of keys and values are larger, both sides together."""
        super().__init__()
        self.heads, self.window, self.overlap = heads, window, overlap
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.bias = nn.Parameter(torch.empty((2 * window + overlap - 1) ** 2, heads))
        nn.init.trunc_normal_(self.bias, std=0.02)

    def forward(self, tokens: Tensor, shift: int = 0) -> Tensor:
        window, outer, margin = self.window, self.window + self.overlap, self.overlap // 2
        if shift:
            tokens = tokens.roll((-shift, -shift), (1, 2))
        width = tokens.shape[-1]
        mapped = self.qkv(tokens)
        queries, pairs = mapped[..., :width], mapped[..., width:]
        pairs = F.pad(pairs, (0, 0, margin, margin, margin, margin))  # zeros, not biases, beyond the picture
        bias = spread(self.bias, window, outer).to(queries.dtype)
        rows, columns = tokens.shape[1] // window, tokens.shape[2] // window
        bands = []
        for row in range(rows):
            asked = windows(queries[:, row * window :][:, :window], window, window, self.heads)
            told = windows(pairs[:, row * window :][:, :outer], outer, window, 2 * self.heads)
            keys, values = told.chunk(2, dim=1)
            seen = bias + edges(window, columns, shift, row == rows - 1, bias) if shift else bias
            if shift:
                seen = seen.repeat(len(tokens), 1, 1, 1)
            mixed = F.scaled_dot_product_attention(asked, keys, values, attn_mask=seen)
            bands.append(rearrange(mixed, "(b n) k (y x) c -> b y (n x) (k c)", n=columns, y=window))
        done: Tensor = self.project(cat(bands, dim=1))
        return done.roll((shift, shift), (1, 2)) if shift else done


def edges(window: int, columns: int, shift: int, last: bool, like: Tensor) -> Tensor:
    """What a row of shifted windows must not see, `n 1 s s`; last: the picture's lowest row of windows."""
    wrapped = torch.arange(window, device=like.device) >= window - shift
    down = wrapped if last else torch.zeros_like(wrapped)
    region = torch.zeros(columns, window, window, dtype=torch.int64, device=like.device)
    region += 2 * down[:, None]
    region[-1] += wrapped
    region = region.flatten(1)
    return MASKED * (region[:, :, None] != region[:, None]).to(like).unsqueeze(1)


class Block(nn.Module):
    """Attention, then a perceptron, each added to the tokens; in training now and then left out."""

    def __init__(self, width: int, attention: Attention, hidden: int, shift: int = 0, dropped: float = 0.0) -> None:
        super().__init__()
        self.norm_in = nn.LayerNorm(width)
        self.attention = attention
        self.norm_out = nn.LayerNorm(width)
        self.perceptron = Perceptron(width, hidden)
        self.shift, self.dropped = shift, dropped

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self._kept(self.attention(self.norm_in(tokens), self.shift))
        return tokens + self._kept(self.perceptron(self.norm_out(tokens)))

    def _kept(self, change: Tensor) -> Tensor:
        """Stochastic depth: a picture's change is zero with probability `dropped`, larger otherwise."""
        if not self.training or self.dropped == 0:
            return change
        kept = torch.rand(len(change), 1, 1, 1, device=change.device) >= self.dropped
        return change * kept / (1 - self.dropped)


class Group(nn.Module):
    """The extractor, blocks of attention, one of overlapping attention, a convolution; added to the tokens."""

    def __init__(
        self, width: int, heads: int, window: int, overlap: int, hidden: int, style: int, dropped: list[float]
    ) -> None:
        """dropped: of each block of attention."""
        super().__init__()
        self.extractor = Extractor(width, style)
        self.blocks = nn.ModuleList(
            Block(width, Attention(width, heads, window), hidden, shift=i % 2 * (window // 2), dropped=rate)
            for i, rate in enumerate(dropped)
        )
        self.overlapping = Block(width, Attention(width, heads, window, overlap), hidden)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, tokens: Tensor, code: Tensor) -> Tensor:
        inner = self.extractor(tokens, code)
        for block in self.blocks:
            inner = block(inner)
        return convolved(self.conv, self.overlapping(inner)) + tokens


class Backbone(nn.Module):
    """forward: shallow features `b f h w`, sides multiples of the window, and the scale's code `b s` -> `b f h w`."""

    def __init__(
        self, width: int, heads: int, window: int, overlap: int, hidden: int, style: int, dropped: list[list[float]]
    ) -> None:
        """dropped: of each block of attention of each group."""
        super().__init__()
        self.norm_in = nn.LayerNorm(width)
        self.groups = nn.ModuleList(Group(width, heads, window, overlap, hidden, style, rates) for rates in dropped)
        self.norm_out = nn.LayerNorm(width)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, shallow: Tensor, code: Tensor) -> Tensor:
        tokens = self.norm_in(shallow.permute(0, 2, 3, 1))
        for group in self.groups:
            tokens = group(tokens, code)
        done: Tensor = self.conv(self.norm_out(tokens).permute(0, 3, 1, 2))
        return done + shallow
