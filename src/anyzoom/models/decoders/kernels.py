"""Colours by 3 x 3 kernels that an MLP generates for every point, which Meta-SR and ITSRN share.

A kernel, `p 3` for the p = 9 f features around an LR pixel, is the MLP's last layer applied to its last hidden layer,
m numbers that depend on coordinates alone. So a colour is linear in these m numbers as well as in the features, and
`render` multiplies first what is shared most:

- Where a grid has few distinct offsets, every one has its kernel. Those of a row's offset with all columns' offsets
  are one matrix, and one product gives the colours of all LR pixels under the row at all of them: `colours_by_kind`.
- Else the features meet the last layer first. That leaves 3 (m + 1) numbers, once per LR pixel, and every point takes
  their product with its own m: `colours_by_pixel`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from einops import rearrange
from torch import Tensor, autocast, cat, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.fast import PIXELS_ON_GPU, STRIP, Axis, Layer, Scratch, pairs
from anyzoom.models.decoders.mlp import Mlp

MOST_KERNELS = 4096  # of a grid: 27 MiB of float32 on 64 feature channels
CELLS = 512  # LR pixels of a block: 1.5 MiB of float32 for 3 (m + 1) numbers each
PIXELS = 8192  # of a block at most, so that its rows are long enough for their many small products


def of_coordinates(mlp: Mlp, tokens: Tensor) -> Tensor:
    """The MLP, its first layer never under autocast: coordinates need more than bfloat16's eight bits."""
    first, *others = mlp.linears
    activate = F.relu if mlp.activation == "relu" else F.gelu
    with autocast(tokens.device.type, enabled=False):
        values: Tensor = first(tokens.to(first.weight.dtype))
    for layer in others:
        values = layer(activate(values))
    return values


def applied(kernels: Tensor, patches: Tensor) -> Tensor:
    """kernels `... (p 3)`, features around an LR pixel `... p` -> `... 3`."""
    colours: Tensor = patches.unsqueeze(-2) @ kernels.view(*kernels.shape[:-1], -1, 3)
    return colours.squeeze(-2)


@dataclass(frozen=True)
class Kinds:
    """The offsets of single LR pixels from the points of an axis, those that differ."""

    offsets: Tensor  # kinds
    of: Tensor  # side n, which of them each index has

    @classmethod
    def on(cls, axis: Axis) -> Kinds:
        offsets, kind = torch.unique(axis.distinct, return_inverse=True)
        return cls(offsets, kind[axis.kind])


def fewer_by_kind(last: nn.Linear, rows: Kinds, columns: Kinds, seen: Size) -> bool:
    """Whether colours_by_kind has less to multiply; seen: the encoded tile's size."""
    kernels = len(rows.offsets) * len(columns.offsets)
    by_kind = kernels * last.in_features + rows.of.numel() * seen.width * len(columns.offsets)
    return kernels <= MOST_KERNELS and by_kind < seen.pixels * last.in_features


def kernels_by_kind(last: nn.Linear, hidden: Tensor, dtype: torch.dtype) -> list[Layer]:
    """Hidden layers `R C m` of all kinds -> for each of a row a layer from features `(y x f)` to `(C 3)`."""
    kernels = rearrange(last(hidden), "R C (f y x rgb) -> R (C rgb) (y x f)", y=3, x=3, rgb=3).to(dtype)
    return [Layer.of(kernel, None) for kernel in kernels]


def kernels_by_unit(last: nn.Linear, dtype: torch.dtype) -> Layer:
    """A layer from features `(y x f)` to what each hidden unit adds to a colour, `(3 m)`, and, last, its bias `3`."""
    units = rearrange(last.weight, "(f y x rgb) m -> (rgb m) (y x f)", y=3, x=3, rgb=3)
    bias = rearrange(last.bias, "(f y x rgb) -> rgb (y x f)", y=3, x=3, rgb=3)
    return Layer.of(cat([units, bias]).to(dtype), None)


def bordered(features: Tensor) -> Tensor:
    """`b f h w` -> `b h+2 w+2 f`, zeros around."""
    return F.pad(features, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous()


def around(picture: Tensor, rows: Tensor, columns: Tensor, scratch: Scratch) -> Tensor:
    """The features around the LR pixels of these rows `r` and columns `c`: picture `h+2 w+2 f` -> `(r c) (y x f)`."""
    three = torch.arange(3, device=picture.device)
    index = pairs(rows[:, None] + three, columns[:, None] + three, picture.shape[1])  # y x r c
    patches = scratch("patches", index.numel(), picture.shape[2])
    torch.index_select(picture.flatten(0, 1), 0, index.permute(2, 3, 0, 1).flatten(), out=patches)
    return patches.view(-1, 9 * picture.shape[2])


def colours_by_kind(
    kernels: Sequence[Layer],
    picture: Tensor,
    axes: tuple[Axis, Axis],
    kinds: tuple[Kinds, Kinds],
    part: Window,
    scratch: Scratch,
) -> Tensor:
    """The colours `n n R C 3` of a part of the window from each of a point's LR pixels; picture `h+2 w+2 f`."""
    here, across = part.slices
    down, along = axes[0].neighbours[here], axes[1].neighbours[across]
    row_kind, column_kind, count = kinds[0].of[here], kinds[1].of[across], len(kinds[1].offsets)
    columns, along = torch.unique(along, return_inverse=True)
    chosen = (along * count + column_kind).t().flatten()  # (n C)
    out = torch.empty(down.shape[1], len(down), along.shape[1], len(along), 3, device=picture.device)
    for first, own in enumerate(out):
        for kind in torch.unique(row_kind[:, first]).tolist():
            rows = (row_kind[:, first] == kind).nonzero().squeeze(1)
            products = kernels[kind](around(picture, down[rows, first], columns, scratch))  # (r c) (k 3)
            taken = products.view(len(rows), -1, 3).index_select(1, chosen)
            own[rows] = taken.view(len(rows), along.shape[1], -1, 3).float()
    return out.transpose(1, 2)


class Run(NamedTuple):
    """The stretches of one axis of a block that share an LR pixel, those of one length."""

    cells: Tensor  # runs, LR pixels
    points: Tensor  # runs length, indices along the block


def runs(cells: Tensor) -> list[Run]:
    """cells: `side`, the LR pixel of each index along one axis of a block."""
    found, lengths = torch.unique_consecutive(cells, return_counts=True)
    starts = lengths.cumsum(0) - lengths
    return [
        Run(found[lengths == length], starts[lengths == length, None] + torch.arange(length, device=cells.device))
        for length in torch.unique(lengths).tolist()
    ]


# Rows `r i` and columns `c j` of a block -> the hidden layers of all these points, `(r c) (i j) m`.
Hidden = Callable[[Tensor, Tensor], Tensor]


def colours_by_pixel(
    kernels: Layer,
    picture: Tensor,
    axes: tuple[Axis, Axis],
    hidden: Callable[[int, int], Hidden],
    part: Window,
    scratch: Scratch,
) -> Tensor:
    """As colours_by_kind; hidden: of the number of a point's LR pixel on either axis.

    The points that share an LR pixel are multiplied together, so that its numbers are read once.
    """
    here, across = part.slices
    rows, down = torch.unique(axes[0].neighbours[here], return_inverse=True)
    columns, along = torch.unique(axes[1].neighbours[across], return_inverse=True)
    units = kernels(around(picture, rows, columns, scratch))  # (r c) (3 m) + 3
    out = torch.empty(down.shape[1], along.shape[1], *part.size, 3, device=picture.device)
    strip = 2 * STRIP if picture.device.type == "cpu" else part.size.pixels
    for first, second in product(range(down.shape[1]), range(along.shape[1])):
        hidden_at, own = hidden(first, second), out[first, second]
        for below, beside in product(runs(down[:, first]), runs(along[:, second])):
            height = max(1, strip // (below.points.shape[1] * beside.points.numel()))
            strips = zip(torch.split(below.cells, height), torch.split(below.points, height), strict=True)
            for cells, points in strips:
                taken = units.index_select(0, (cells[:, None] * len(columns) + beside.cells).flatten())
                slopes, constant = taken[:, :-3].view(len(taken), 3, -1), taken[:, -3:, None]
                colours = torch.baddbmm(constant, slopes, hidden_at(points, beside.points).transpose(1, 2))
                own[points[:, None, :, None], beside.points[None, :, None]] = rearrange(
                    colours.float(), "(r c) rgb (i j) -> r c i j rgb", r=len(cells), i=points.shape[1]
                )
    return out


def pixels_of_block(lr: Size, hr: Size, by_kind: bool, like: Tensor) -> int:
    """How many output pixels a block should have."""
    if like.device.type != "cpu":
        return PIXELS_ON_GPU
    return PIXELS if by_kind else min(PIXELS, max(256, CELLS * hr.pixels // lr.pixels))
