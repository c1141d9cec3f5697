"""ArbSR on a regular grid: the same pixels as `ArbSr.query`, at a fraction of the work and memory.

What makes it fast, all of it exact:
- An output pixel's features are x + E(r, C(r, x)): read, squeezed and expanded, both routed by its phase. Squeezing is
  linear in the LR features, so every LR pixel is squeezed by all experts beforehand; reading commutes with it.
- The last convolution is linear too. Each of its nine taps makes three numbers of an output pixel's features: those
  of x are found per LR pixel and read like the rest, those of the expansion come from one matrix, experts times
  squeezed features -> 9 x 3. The output pixel's own features are never formed.
- What scales and phase decide is found once per distinct phase where there are few, else once per block.
- Blocks have a margin of one output pixel for the nine taps, which are then nine shifted sums.

Per output pixel 1.2 thousand multiply-adds remain (6 thousand when all phases differ) of 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.fast import Axis, Layer, Scratch, bags, flat, painted

if TYPE_CHECKING:
    from anyzoom.models.arbsr import ArbSr

TAPS = 9
MOST_PHASES = 4096  # of the table of distinct phases


@dataclass(frozen=True)
class Decided:
    """What scales and phases decide, for `n` output pixels."""

    row: Tensor  # n: of the first of the four LR pixels that are read, from the one under the output pixel
    column: Tensor  # n
    weights: Tensor  # n 4, of the bilinear interpolation
    routing: Tensor  # n e

    def taken(self, index: Tensor) -> Decided:
        return Decided(self.row[index], self.column[index], self.weights[index], self.routing[index])


@dataclass(frozen=True)
class Embedding:
    """`Upsampling.decided` for pairs of a row's and a column's phase."""

    down: Tensor  # EMBEDDED: first layer's weights
    across: Tensor
    bias: Tensor  # the scales included
    hidden: Layer
    heads: Layer  # offset y, x, and routing

    @classmethod
    def of(cls, net: ArbSr, inverse: Tensor) -> Embedding:
        """inverse: 1 / scale, `yx`."""
        layer = net.upsampling
        first, second = layer.embedding.linears
        heads = torch.cat([layer.offset.weight.flip(0), layer.routing.weight])
        biases = torch.cat([layer.offset.bias.flip(0), layer.routing.bias])
        return cls(
            first.weight[:, 2],
            first.weight[:, 3],
            first.bias + first.weight[:, :2] @ inverse.flip(0),
            Layer.of(second.weight, second.bias, "relu"),
            Layer.of(heads, biases),
        )

    def __call__(self, rows: Tensor, columns: Tensor) -> Decided:
        """rows `R 1` and columns `C 1`: phases in LR pixels -> of all pairs, row-major."""
        down = rows * self.down + self.bias
        hidden = rearrange((down[:, None] + columns * self.across).relu_(), "R C f -> (R C) f")
        decided = self.heads(self.hidden(hidden))
        phases = torch.stack(torch.meshgrid(rows[:, 0], columns[:, 0], indexing="ij"), dim=-1).view(-1, 2)
        places = phases + decided[:, :2]
        first = places.floor()
        after = places - first
        (up, left), (below, right) = (1 - after).unbind(1), after.unbind(1)
        weights = torch.stack([up * left, up * right, below * left, below * right], dim=1)
        return Decided(first[:, 0].long(), first[:, 1].long(), weights, decided[:, 2:].sigmoid())


def phases(positions: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """The LR pixel under each position along one axis, and the phase in LR pixels; both `... 1`."""
    from anyzoom.models.arbsr import cells

    under, phase = cells((positions.unsqueeze(-1) + 1) * (side / 2))
    return under.long(), phase


@torch.no_grad()
def render(net: ArbSr, trunk: Tensor, lr: Size, size: Size, window: Window) -> Tensor:
    """A window of the output grid, `b 3 H W` in float32, of the trunk's features `b f h w`, computed in their dtype."""
    from anyzoom.models.arbsr import LEVELS

    layer, dtype, device = net.upsampling, trunk.dtype, trunk.device
    experts, squeezed, width = layer.compress.shape
    taps = rearrange(net.tail.weight, "c f y x -> (y x c) f") / LEVELS
    linear = torch.cat([layer.compress.view(-1, width), taps]).to(dtype)
    # Zeros all around, so that what is read outside the picture is found there.
    bordered = F.pad(F.conv2d(trunk, linear[..., None, None]), [1] * 4)
    tables = [flat(picture) for picture in bordered]
    expand = torch.einsum("tf,efs->est", taps, layer.expand).flatten(0, 1).to(dtype)  # (e s) (taps c)
    base = net.base.view(3, 1, 1)

    seen = window.grown(1, size)
    rows = Axis.of(phases, (size.height, seen.top, seen.bottom), lr.height, 0, device)
    columns = Axis.of(phases, (size.width, seen.left, seen.right), lr.width, 0, device)
    sides = zip(lr, size, strict=True)
    embedding = Embedding.of(net, torch.tensor([of_lr / of_hr for of_lr, of_hr in sides], device=device))
    kinds = len(rows.distinct) * len(columns.distinct)
    known = None
    if kinds <= min(MOST_PHASES, window.size.pixels // 4):
        known = embedding(rows.distinct, columns.distinct)

    def block(number: int, part: Window, _: Scratch) -> Tensor:
        part = part.within(seen.within(window))  # in the pixels of `seen`
        margin = part.grown(1, seen.size)
        here, across = margin.slices
        if known is None:
            decided = embedding(rows.offsets[here], columns.offsets[across])
        else:
            decided = known.taken((rows.kind[here, None] * len(columns.distinct) + columns.kind[across]).flatten())
        top = (rows.neighbours[here] + 1).expand(*margin.size).flatten() + decided.row
        left = (columns.neighbours[across, 0] + 1).expand(*margin.size).flatten() + decided.column
        starts = [(top + step).clamp(0, lr.height + 1) * (lr.width + 2) for step in (0, 1)]
        steps = [(left + step).clamp(0, lr.width + 1) for step in (0, 1)]
        index = torch.stack([start + step for start in starts for step in steps], dim=1).int()
        read = bags(index, tables[number], decided.weights.to(dtype))
        routing = decided.routing.to(dtype).unsqueeze(-1)  # n e 1
        small = (read[:, : experts * squeezed].view(-1, experts, squeezed) * routing).sum(1, keepdim=True)
        tapped = torch.addmm(read[:, experts * squeezed :], (small * routing).flatten(1), expand)
        above, before = 1 - part.top + margin.top, 1 - part.left + margin.left  # 1 at the border of the output
        below, behind = 1 - margin.bottom + part.bottom, 1 - margin.right + part.right
        nine = F.pad(tapped.t().float().view(TAPS, 3, *margin.size), [before, behind, above, below])
        out = base.expand(3, *part.size).clone()
        for tap in range(TAPS):
            y, x = divmod(tap, 3)
            out += nine[tap, :, y : y + part.size.height, x : x + part.size.width]
        return out

    return painted(trunk, len(trunk), window, block)
