"""CLIT on a regular grid: the same pixels as `ClitDecoder.query`, at a fraction of the work and memory.

Nearly all of the published network's work is the first layer of its MLP, which takes 49 values of 256 channels, each
scaled by its attention. What makes it fast, all of it exact:
- Output pixels with the same nearest grid pixel (16 of them at x4) share the values. The layer is applied to the
  unscaled values, head by head, once for all of them (392 x 256 numbers); a pixel only sums those with its 392
  attentions. Where few pixels share, near x1, scaling first is less work.
- The position bias is linear in sines of the row's and of the column's offset, so it is a sum of one part per row and
  one per column.
- A query is interpolated from the 3 x 3 pixels around the nearest one, with weights per row and per column.
- Keys and values are gathered once per grid pixel, not once per output pixel.
- Areas of the output, and in them blocks of grid pixels that one thread computes, bound the memory.

Of a grid that is r times coarser than the output a stage takes, per output pixel, 3.2 million / r**2 multiply-adds for
the shared part, 100 thousand for the sum, 15 thousand for the attention, 197 thousand for the rest of the MLP and 1.8
million / r**2 for the three convolutions: 0.6 million at x4, of 3.5 million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor

from anyzoom.grid import Size, Window, covering_window
from anyzoom.models.decoders.ensemble import bilinear_of_block, linear_two
from anyzoom.models.decoders.fast import Layer, Scratch, axes_of, blocks, gelu_, in_parallel, pairs
from anyzoom.models.network import Encoded

if TYPE_CHECKING:
    from anyzoom.models.decoders.clit import ClitDecoder, Maps, Stage

AREA = 96  # grid pixels along a side of the areas in which queries, keys and values are kept
MOST_SLOTS = 16  # output pixels of a cell along an axis
SHARED_FROM = 2.0  # output pixels per grid pixel from which on they share the first layer
CELLS_ON_CPU = 64  # of a block that shares it: 3 MiB of float32 for its keys, as much for values and for products
CELLS_ON_GPU = 1024
SLOTS_ON_CPU = 2048  # of such a block
SLOTS_ON_GPU = 32768
PIXELS_ON_CPU = 256  # of a block that does not share it: 12 MiB for values
PIXELS_ON_GPU = 4096


@dataclass(frozen=True)
class Cells:
    """One axis of an area of the output: runs of pixels with the same nearest grid pixel, which are cells.

    All cells have as many slots as the longest has pixels; in shorter ones the last pixel repeats.
    """

    centre: Tensor  # cells, index of the nearest pixel of the maps
    first: Tensor  # cells + 1, the first pixel of each and the end, on the processor
    cell: Tensor  # side, the cell of each pixel
    slot: Tensor  # side, and its slot there
    taps: Tensor  # cells slots 3: bilinear weights
    bias: Tensor  # heads cells n slots: this axis' part of the position bias for each step of the window

    @classmethod
    def of(cls, hr: tuple[int, int, int], side: int, start: int, weight: Tensor, radius: int, most: int) -> Cells:
        """hr: output side and the range of it that is asked for. side: of the grid; start: where its maps begin.

        weight: `2 heads f`, the position bias' of the sines and cosines of this axis. most: slots of a cell.
        """
        from anyzoom.models.decoders.clit import nearest, steps, taps, waves

        device = weight.device
        positions = (2 * torch.arange(hr[1], hr[2], dtype=torch.float64) + 1) / hr[0] - 1
        indices, offsets = nearest(positions, side)
        _, run, lengths = torch.unique_consecutive(indices, return_inverse=True, return_counts=True)
        before = torch.arange(len(indices)) - (lengths.cumsum(0) - lengths)[run]  # pixels of the run
        begins = (before % most == 0).nonzero().flatten()
        first = torch.cat([begins, torch.tensor([len(indices)])])
        slots = torch.arange(int(first.diff().max()))
        offset = offsets[torch.minimum(begins[:, None] + slots, first[1:, None] - 1)]  # cells slots
        relative = offset.unsqueeze(1) - 2 * steps(radius, offset).unsqueeze(-1)  # cells n slots
        bias = torch.einsum("wcnsf,whf->hcns", waves(relative), weight.double().cpu())
        return cls(
            (indices[begins] - start).to(device),
            first,
            ((before % most == 0).cumsum(0) - 1).to(device),
            (before % most).to(device),
            taps(offset).to(device, torch.float32),
            bias.to(device, torch.float32),
        )

    @property
    def slots(self) -> int:
        return self.taps.shape[1]

    def pixels(self, part: slice) -> slice:
        """Of a range of cells."""
        return slice(int(self.first[part.start]), int(self.first[part.stop]))


@dataclass(frozen=True)
class Folded:
    """A stage's weights for one output size, rearranged."""

    grid: Size
    heads: int
    kernel: Tensor | None  # heads j d o: the first layer on values, where pixels share it
    shift: Tensor  # o: its bias and the part on the output pixel's size
    direct: Layer | None  # both, on scaled values, where they do not
    hidden: list[Layer]
    colour: Tensor  # f 3
    colour_bias: Tensor  # 3

    @classmethod
    def of(cls, stage: Stage, heads: int, grid: Size, size: Size, dtype: torch.dtype) -> Folded:
        first, last = stage.mlp.linears[0], stage.mlp.linears[-1]
        pitch = first.weight.new_tensor([2 * coarse / fine for coarse, fine in zip(grid, size, strict=True)])
        weight, shift = first.weight[:, :-2].to(dtype), (first.weight[:, -2:] @ pitch + first.bias).to(dtype)
        shared = size.pixels >= SHARED_FROM * grid.pixels
        width = stage.values.out_channels // heads
        return cls(
            grid,
            heads,
            rearrange(weight, "o (j h d) -> h j d o", h=heads, d=width).contiguous() if shared else None,
            shift,
            None if shared else Layer.of(weight, shift, "gelu"),
            stage.mlp.packed(dtype)[1:-1],
            last.weight.t().float(),
            last.bias.float(),
        )


@dataclass(frozen=True)
class View:
    """All that one stage needs to colour an area of the output."""

    folded: Folded
    maps: Maps
    rows: Cells
    columns: Cells

    @classmethod
    def of(cls, net: ClitDecoder, folded: Folded, maps: Maps, size: Size, area: Window) -> View:
        weights = rearrange(net.bias.weight, "h (w yx f) -> yx w h f", w=2, yx=2)
        most = MOST_SLOTS if folded.direct is None else 1
        down, along = (size.height, area.top, area.bottom), (size.width, area.left, area.right)
        return cls(
            folded,
            maps,
            Cells.of(down, maps.size.height, maps.window.top, weights[0], net.radius, most),
            Cells.of(along, maps.size.width, maps.window.left, weights[1], net.radius, most),
        )

    @property
    def slots(self) -> int:
        """Of a cell."""
        return self.rows.slots * self.columns.slots

    def blocks(self) -> list[Window]:
        """Blocks of cells."""
        on_cpu = self.maps.keys.device.type == "cpu"
        if self.folded.direct is None:
            slots, cells = (SLOTS_ON_CPU, CELLS_ON_CPU) if on_cpu else (SLOTS_ON_GPU, CELLS_ON_GPU)
            cells = max(1, min(cells, slots // self.slots))
        else:
            cells = PIXELS_ON_CPU if on_cpu else PIXELS_ON_GPU
        return blocks(Size(len(self.rows.centre), len(self.columns.centre)), cells)

    def pixels(self, part: Window) -> tuple[slice, slice]:
        """The rows and columns of the area that a block of cells has."""
        return self.rows.pixels(part.slices[0]), self.columns.pixels(part.slices[1])

    def colours(self, picture: int, part: Window, scratch: Scratch) -> Tensor:
        """What the stage adds to a block of cells of one picture, `3 R C` in [-1, 1]."""
        rows, columns = self.pixels(part)
        row = (self.rows.cell[rows] - part.top) * part.size.width * self.slots
        row = row + self.rows.slot[rows] * self.columns.slots
        column = (self.columns.cell[columns] - part.left) * self.slots + self.columns.slot[columns]
        first = self._first_layer(picture, part, scratch)
        values = first.index_select(0, (row.unsqueeze(-1) + column).flatten())
        for layer in self.folded.hidden:
            values = layer(values)
        colours = torch.addmm(self.folded.colour_bias, values.float(), self.folded.colour)
        return colours.t().view(3, len(row), len(column))

    def _first_layer(self, picture: int, part: Window, scratch: Scratch) -> Tensor:
        """The MLP's first hidden layer for every slot of a block, `(R C slots) o`."""
        folded, around = self.folded, self._around(picture, part)
        heads, (places, cells), channels = folded.heads, around.shape, self.maps.values.shape[1]
        if folded.direct is not None:  # a cell is one pixel
            scaled = scratch("values", cells, places, channels)
            torch.index_select(self.maps.values, 0, around.t().flatten(), out=scaled.view(-1, channels))
            for values, attention in zip(scaled.chunk(heads, -1), self._attention(around, part, scratch), strict=True):
                values.mul_(attention)
            return folded.direct(scaled.view(cells, -1))
        assert folded.kernel is not None
        table = scratch("values", places, cells, channels)
        torch.index_select(self.maps.values, 0, around.flatten(), out=table.view(-1, channels))
        mixed = scratch("mixed", places, cells, len(folded.shift))
        hidden = scratch("hidden", cells, self.slots, len(folded.shift)).copy_(folded.shift)
        for kernel, values, attention in zip(
            folded.kernel, table.chunk(heads, -1), self._attention(around, part, scratch), strict=True
        ):
            torch.bmm(values, kernel, out=mixed)
            hidden.baddbmm_(attention.transpose(1, 2), mixed.transpose(0, 1))
        return gelu_(hidden).view(-1, len(folded.shift))

    def _around(self, picture: int, part: Window) -> Tensor:
        """The window around every cell of a block, `j cells`, as rows of the maps."""
        here, across = part.slices
        side = self.rows.bias.shape[2]
        window = torch.arange(side, device=self.maps.keys.device) - side // 2
        rows = self.rows.centre[here].unsqueeze(-1) + window
        columns = self.columns.centre[across].unsqueeze(-1) + window
        grid = self.maps.window.size
        return pairs(rows, columns, grid.width).reshape(-1, part.size.pixels) + picture * grid.pixels

    def _attention(self, around: Tensor, part: Window, scratch: Scratch) -> Iterator[Tensor]:
        """Head by head, `cells j slots`. around: of `_around`."""
        (here, across), side = part.slices, self.rows.bias.shape[2]
        (places, cells), channels, middle = around.shape, self.maps.keys.shape[1], slice(side // 2 - 1, side // 2 + 2)
        keys = scratch("keys", cells, places, channels)
        torch.index_select(self.maps.keys, 0, around.t().flatten(), out=keys.view(-1, channels))
        nine = around.view(side, side, cells)[middle, middle].reshape(9, cells).t()
        weights = self.rows.taps[here, None, :, None, :, None] * self.columns.taps[across, None, :, None, :]
        weights = (weights * (channels // self.folded.heads) ** -0.5).to(keys).reshape(cells, self.slots, 9)
        queries = torch.bmm(weights, self.maps.queries[nine])  # cells slots f
        down = self.rows.bias[:, here, :, :, None].expand(-1, -1, -1, -1, self.columns.slots).flatten(3)
        along = self.columns.bias[:, across, :, None].expand(-1, -1, -1, self.rows.slots, -1).flatten(3)
        of_heads = zip(keys.chunk(len(down), -1), queries.chunk(len(down), -1), down, along, strict=True)
        for key, query, bias_down, bias_along in of_heads:
            scores = (bias_down[:, None, :, None] + bias_along[None, :, None, :]).view(cells, places, self.slots)
            scores += torch.bmm(key, query.transpose(1, 2))
            yield torch.softmax(scores, 1).to(keys)


@torch.no_grad()
def render(net: ClitDecoder, encoded: Encoded, size: Size, window: Window) -> Tensor:
    """A window of the output grid, `b 3 H W` in float32; computed in the dtype of the features."""
    whole, features = encoded.whole, encoded.features
    stages = list(zip(net.active(), net.grids(whole, size), strict=False))
    folded = [Folded.of(stage, net.heads, grid, size, features.dtype) for stage, grid in stages]
    out = torch.empty(len(features), 3, *window.size, device=features.device)
    for area in areas(window, stages[-1][1], size):
        needed = covering_window(area, whole, size).grown(net.reach, whole).common(encoded.window)
        near, place = encoded.cropped(needed), area.within(window).slices
        shallow = net.shallow(near)
        sums = out[..., place[0], place[1]].zero_()
        for weights, (stage, grid) in zip(folded, stages, strict=True):
            add(View.of(net, weights, net.maps(stage, shallow, near, grid), size, area), sums)
        finish(near, size, area, sums)
    return out


def areas(window: Window, grid: Size, size: Size) -> list[Window]:
    """Parts of a window of the output, each over at most about AREA grid pixels down and across."""
    height, width = (max(1, AREA * fine // coarse) for coarse, fine in zip(grid, size, strict=True))
    return [
        Window(top, left, top + height, left + width).common(window)
        for top in range(window.top, window.bottom, height)
        for left in range(window.left, window.right, width)
    ]


def add(view: View, sums: Tensor) -> None:
    """What a stage adds to the earlier stages' sums over an area, `b 3 R C`, in place."""
    from anyzoom.models.decoders.clit import CARRIED

    def paint(part: Window, scratch: Scratch) -> None:
        rows, columns = view.pixels(part)
        for picture, earlier in enumerate(sums[..., rows, columns]):
            earlier.mul_(CARRIED).add_(view.colours(picture, part, scratch))

    in_parallel(paint, view.blocks(), view.maps.keys)


def finish(near: Encoded, size: Size, area: Window, sums: Tensor) -> None:
    """The sums of all stages over an area, `b 3 R C` in [-1, 1], to RGB in place: the enlarged picture joins them."""
    rows, columns = axes_of(linear_two, near, size, area)
    for part in blocks(area.size, 1 << 16):
        for picture, total in enumerate(sums[..., part.slices[0], part.slices[1]]):
            total.mul_(0.5).add_(bilinear_of_block(rows, columns, part, near.lr[picture]))
