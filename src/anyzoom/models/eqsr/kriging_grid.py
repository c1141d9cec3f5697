"""EQSR's upsampler on a whole regular grid: the same pixels as `KrigingUpsampler`, with less time and memory.

- The head is linear: its part on features is found once per LR pixel, its part on positions once per row and once per
  column of the output, since the encodings of x and y are separate numbers.
- The grid is worked on in blocks with a margin of one pixel per Kriging block, the 1 x 1 layers in strips that stay in
  the cache, with packed weights. Channels are ordered so that the neighbours' kernels are multiplied in place.
- The distances' function is a product of one factor per row and one per column.
- The channels' mean is taken of the perceptron's hidden layer and led through its last layer, which is linear; the
  resulting gains are folded into that layer.

Each mean needs everything before it, so the grid is walked three times. What the second and third walk begin with is
kept where it is not too large (KEPT), otherwise computed again. Multiply-adds per output pixel at the paper's width:
1.21 million as published; here 1.4 million with the state kept, 2.7 million without.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.fast import (
    BLOCK_ROWS,
    PIXELS_ON_CPU,
    PIXELS_ON_GPU,
    STRIP,
    Activation,
    Layer,
    Scratch,
    blocks,
    flat,
    in_parallel,
    painted,
    strips,
)
from anyzoom.models.eqsr.encoding import Line
from anyzoom.models.eqsr.kriging import SHARED, TAPS, KrigingBlock, KrigingUpsampler

KEPT = 256 << 20  # bytes of state that one picture may keep between the walks


@dataclass(frozen=True)
class Stage:
    """One Kriging block, packed. Inside it the channels that share a kernel lie apart: ordered s g, not g s."""

    block: KrigingBlock
    enter: Layer
    narrow: tuple[Tensor, Tensor]  # weight and bias of the 3 x 3 convolution
    kernel: Layer  # to 9 kernels' g
    leave: Layer
    wide: Layer

    @classmethod
    def of(cls, block: KrigingBlock, dtype: torch.dtype) -> Stage:
        width = block.enter.out_channels
        device = block.enter.weight.device
        order = torch.arange(width, device=device).view(-1, SHARED).t().flatten()
        taps = torch.arange(width // SHARED * TAPS, device=device).view(-1, TAPS).t().flatten()
        weight, bias = weights(block.narrow)
        return cls(
            block,
            enter=packed(weights(block.enter, rows=order), dtype),
            narrow=(weight[:, order].to(dtype, memory_format=torch.channels_last), bias.to(dtype)),
            kernel=packed(weights(block.kernel, rows=taps), dtype),
            leave=packed(weights(block.leave, columns=order), dtype),
            wide=packed(weights(block.wide), dtype, "gelu"),
        )

    def entered(self, rows: Tensor) -> Tensor:
        return self.enter(layer_norm(self.block.norm_in, rows))

    def hidden(self, rows: Tensor) -> Tensor:
        """Of the perceptron, `n c` -> `n 2c`."""
        return self.wide(layer_norm(self.block.norm_out, rows))

    def gains(self, hidden: Tensor) -> Tensor:
        """The mean of the perceptron's hidden layer -> the weights of its output's channels."""
        weight, bias = weights(self.block.back)
        return self.block.gains((weight.flatten(1) @ hidden + bias).unsqueeze(0)).squeeze(0)

    def back(self, gains: Tensor, dtype: torch.dtype) -> Layer:
        """The perceptron's last layer with the gains folded in."""
        weight, bias = weights(self.block.back)
        return packed((weight * gains.view(-1, 1, 1, 1), bias * gains), dtype)


def weights(conv: nn.Conv2d, rows: Tensor | None = None, columns: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Weight and bias, their channels in another order."""
    assert conv.bias is not None
    weight = conv.weight if columns is None else conv.weight[:, columns]
    return (weight, conv.bias) if rows is None else (weight[rows], conv.bias[rows])


def packed(pair: tuple[Tensor, Tensor], dtype: torch.dtype, activation: Activation = "none") -> Layer:
    """A 1 x 1 convolution as a layer of rows."""
    return Layer.of(pair[0].flatten(1).to(dtype), pair[1].to(dtype), activation)


def in_strips(rows: Tensor) -> list[Tensor]:
    return [rows[start : start + STRIP] for start in range(0, len(rows), STRIP)]


def layer_norm(norm: nn.LayerNorm, rows: Tensor) -> Tensor:
    return F.layer_norm(rows, norm.normalized_shape, norm.weight.to(rows), norm.bias.to(rows), norm.eps)


@dataclass(frozen=True)
class Grid:
    """The upsampler on the output grid of one picture. A block's rough state is its result before its perceptron."""

    stages: tuple[Stage, ...]
    table: Tensor  # (h w) c: what every LR pixel adds to the head
    rows: Tensor  # H c: what every row's offset adds
    columns: Tensor  # W c
    first: Tensor  # H: where the row of LR pixels under it begins in the table
    along: Tensor  # W: the column of LR pixels under it
    nearness: tuple[Tensor, Tensor]  # H 3, W 3: factors of the radial function
    colour: tuple[Tensor, Tensor]  # c 3 and 3, in float32

    @property
    def size(self) -> Size:
        return Size(len(self.first), len(self.along))

    def prepared(self) -> tuple[Tensor, Tensor | None]:
        """The gains of both blocks `k c`, and the last block's rough state `H W c` if it may be kept."""
        height, width = self.size
        lead = self._lead()
        keeps = self.size.pixels * self.table[0].nbytes <= KEPT
        room = self.table.new_empty(height + lead + 1, width, self.table.shape[1]) if keeps else None
        gains: list[Tensor] = []
        kept: Tensor | None = None
        for number, stage in enumerate(self.stages):
            # The second state is written over the first, so far above it that no row is lost before it has been read.
            start = 0 if number else lead + 1
            state = None if room is None else room[start : start + height]
            gains.append(stage.gains(self._walked(number, gains, kept, state)))
            kept = state
        return torch.stack(gains), kept

    def painted(self, window: Window, gains: Tensor | None) -> Tensor:
        """A window of the grid, `3 R C`; with the gains that `prepared` found, or else prepared now."""
        gains, state = self.prepared() if gains is None else (gains, None)
        backs = self._backs(gains)

        def block(_: int, part: Window, scratch: Scratch) -> Tensor:
            here = Window(
                part.top + window.top, part.left + window.left, part.bottom + window.top, part.right + window.left
            )
            values = self._entering(len(self.stages), here, backs, state, scratch)
            values.add_(self._head(here, scratch)).relu_()
            weight, bias = self.colour
            return torch.addmm(bias, values.float(), weight).t().view(3, *part.size)

        return painted(self.table, 1, window, block)[0]

    def _blocks(self) -> list[Window]:
        return blocks(self.size, PIXELS_ON_CPU if self.table.device.type == "cpu" else PIXELS_ON_GPU)

    def _lead(self) -> int:
        """Rows that are worked on at a time where order matters: enough blocks for every thread."""
        parts = self._blocks()
        beside = sum(part.top == 0 for part in parts)
        return BLOCK_ROWS * -(-2 * torch.get_num_threads() // beside)

    def _backs(self, gains: Iterable[Tensor]) -> list[Layer]:
        """The last layers of the blocks whose gains are known."""
        return [stage.back(gain, self.table.dtype) for stage, gain in zip(self.stages, gains, strict=False)]

    def _walked(self, number: int, gains: list[Tensor], kept: Tensor | None, state: Tensor | None) -> Tensor:
        """The mean over the grid of a block's hidden layer, `2c`; its rough state is written to `state`.

        gains: of the blocks before; kept: the rough state of the block before, where there is one.
        """
        stage, backs = self.stages[number], self._backs(gains)
        sums: dict[Window, Tensor] = {}

        def walk(part: Window, scratch: Scratch) -> None:
            rough = self._rough(number, part, backs, kept, scratch)
            if state is not None:
                state[part.slices].copy_(rough.view(*part.size, -1))
            hidden = (stage.hidden(strip) for strip in in_strips(rough))
            sums[part] = torch.stack([strip.sum(0, dtype=torch.float32) for strip in hidden]).sum(0)

        parts, lead = self._blocks(), self.size.height if kept is None else self._lead()
        for _, together in groupby(parts, key=lambda part: part.top // lead):
            in_parallel(walk, list(together), self.table)
        return torch.stack([sums[part] for part in parts]).sum(0) / self.size.pixels

    def _head(self, part: Window, scratch: Scratch) -> Tensor:
        """What enters the first block, `n c`."""
        down, along = part.slices
        index = (self.first[down, None] + self.along[along]).flatten()
        values = scratch("head", len(index), self.table.shape[1])
        torch.index_select(self.table, 0, index, out=values)
        values.view(*part.size, -1).add_(self.rows[down, None]).add_(self.columns[along])
        return values.relu_()

    def _entering(self, number: int, part: Window, backs: list[Layer], kept: Tensor | None, scratch: Scratch) -> Tensor:
        """What enters the block of that number, or leaves the last one, `n c`; kept as in _walked."""
        if number == 0:
            return self._head(part, scratch)
        before = number - 1
        if kept is None:
            values = self._rough(before, part, backs, None, scratch)
        else:
            values = scratch("kept", part.size.pixels, self.table.shape[1])
            values.view(*part.size, -1).copy_(kept[part.slices])
        for strip in in_strips(values):
            strip.add_(backs[before](self.stages[before].hidden(strip))).relu_()
        return values

    def _rough(self, number: int, part: Window, backs: list[Layer], kept: Tensor | None, scratch: Scratch) -> Tensor:
        """The rough state of a part of the grid, `n c`."""
        stage, width = self.stages[number], self.table.shape[1]
        around = part.grown(1, self.size)
        entering = self._entering(number, around, backs, kept, scratch)
        values = scratch(f"values {number}", part.size.height + 2, part.size.width + 2, width)
        inside = around.within(Window(part.top - 1, part.left - 1, part.bottom, part.right))
        values[: inside.top], values[inside.bottom :] = 0, 0  # beyond the grid
        values[:, : inside.left], values[:, inside.right :] = 0, 0
        for strip in strips(around.size, STRIP):
            rows = slice(inside.top + strip.start // around.size.width, inside.top + strip.stop // around.size.width)
            entered = stage.entered(entering[strip])
            values[rows, inside.left : inside.right] = entered.view(-1, around.size.width, width)
        narrow = F.conv2d(values.permute(2, 0, 1).unsqueeze(0), *stage.narrow).relu_()
        narrow = narrow.permute(0, 2, 3, 1).reshape(part.size.pixels, -1)

        down, along = (factor[side] for factor, side in zip(self.nearness, part.slices, strict=True))
        own = part.within(around)
        skip = entering.view(*around.size, width)[own.slices]
        rough = scratch(f"rough {number}", *part.size, width)
        for strip in strips(part.size, STRIP):
            top, bottom = strip.start // part.size.width, strip.stop // part.size.width
            shape = (bottom - top, part.size.width, TAPS, width // SHARED)
            near = (down[top:bottom, None, :, None] * along[:, None]).flatten(2).unsqueeze(-1)
            kernels = stage.kernel(narrow[strip]).view(shape).mul_(near)
            mixed = scratch("mixed", *shape[:2], SHARED, shape[3]).zero_()
            neighbours = values.view(*values.shape[:2], SHARED, -1)
            for tap in range(TAPS):
                y, x = top + tap // 3, tap % 3
                seen = neighbours[y : y + shape[0], x : x + shape[1]]
                mixed.addcmul_(seen, kernels[:, :, tap, None])
            left = stage.leave(mixed.view(-1, width)).view(*shape[:2], width)
            torch.add(left, skip[top:bottom], out=rough[top:bottom])
        return rough.view(-1, width)


def grids(net: KrigingUpsampler, features: Tensor, here: Window, rows: Line, columns: Line) -> list[Grid]:
    """One for every picture, on the output grid with these axes; features `b f h w` lie `here` in the LR picture."""
    dtype, device = features.dtype, features.device
    weight, bias = weights(net.head)
    count = features.shape[1]
    tables = F.conv2d(features, weight[:, :count].to(dtype), bias.to(dtype))
    x, y = weight[:, count::2].flatten(1), weight[:, count + 1 :: 2].flatten(1)  # c s
    colour, colour_bias = weights(net.colour)
    down, along = (torch.exp(axis.distances[0].to(device) / net.length**2 * -0.5) for axis in (rows, columns))
    stages = tuple(Stage.of(block, dtype) for block in net.blocks if isinstance(block, KrigingBlock))
    return [
        Grid(
            stages,
            table=flat(table),
            rows=(rows.codes[0].to(device) @ y.t()).to(dtype),
            columns=(columns.codes[0].to(device) @ x.t()).to(dtype),
            first=(rows.nearest[0].to(device) - here.top) * here.size.width,
            along=columns.nearest[0].to(device) - here.left,
            nearness=(down.to(dtype), along.to(dtype)),
            colour=(colour.flatten(1).t(), colour_bias),
        )
        for table in tables
    ]
