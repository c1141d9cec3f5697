"""What the fast `render` of every decoder is built from: layers packed once, an output grid known by its two axes,
and blocks of pixels small enough for the cache, each computed by one thread from beginning to end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from math import isqrt
from typing import Literal, TypeAlias

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from anyzoom.grid import Size, Window, covering_window, owned_window
from anyzoom.models.network import Encoded

BLOCK_ROWS = 32
LR_PIXELS = 16384  # of a part of the picture whose tables are held at once: 32 MiB for 512 numbers a pixel
PIXELS_ON_CPU = 2048  # of a block
PIXELS_ON_GPU = 16384
STRIP = 256  # pixels of a strip on a processor: 2 MiB of float32 for a layer of 2048 numbers a pixel
SAME_OFFSET = 1e-9  # in half LR pixels; real differences are far larger, rounding in float64 far smaller
WITHOUT_BAGS = {"mps"}  # devices on which not every PyTorch 2 has embedding_bag

# Positions `...` in [-1, 1] along an axis of so many LR pixels -> `... n`: indices of the pixels that a decoder looks
# at, and the positions relative to their centres, in half LR pixels.
Lookup: TypeAlias = Callable[[Tensor, int], tuple[Tensor, Tensor]]


def gelu_(values: Tensor) -> Tensor:
    """In place: F.gelu would allocate, which costs more than the arithmetic."""
    done: Tensor = torch.ops.aten.gelu_.default(values)
    return done


@dataclass(frozen=True)
class Axis:
    """One axis of a window of the output grid: what a lookup finds for each of its indices, and what they share."""

    neighbours: Tensor  # side n, indices into the encoded tile
    offsets: Tensor  # side n, half LR pixels; found in float64, kept in float32
    distinct: Tensor  # kinds n, the different rows of `offsets`
    kind: Tensor  # side, which row of `distinct` each index has
    cells: Tensor  # cells n, the different rows of `neighbours`, in order
    cell: Tensor  # side, which row of `cells` each index has

    @classmethod
    def of(cls, lookup: Lookup, hr: tuple[int, int, int], lr_side: int, tile_start: int, device: torch.device) -> Axis:
        """hr: output side and the range of it that is asked for."""
        side, start, stop = hr
        centres = (2 * torch.arange(start, stop, dtype=torch.float64) + 1) / side - 1
        indices, offsets = lookup(centres, lr_side)
        rounded, kind = torch.unique((offsets / SAME_OFFSET).round(), dim=0, return_inverse=True)
        cells, cell = torch.unique_consecutive(indices - tile_start, dim=0, return_inverse=True)
        return cls(
            (indices - tile_start).to(device),
            offsets.to(device, torch.float32),
            (rounded * SAME_OFFSET).to(device, torch.float32),
            kind.to(device),
            cells.to(device),
            cell.to(device),
        )

    def cells_of(self, part: slice) -> tuple[Tensor, Tensor]:
        """The cells of a range of indices, `cells n`, and which of these each index has."""
        first, last = int(self.cell[part.start]), int(self.cell[part.stop - 1])
        return self.cells[first : last + 1], self.cell[part] - first


@cache
def packs(dtype: torch.dtype) -> bool:
    """Whether oneDNN's packed linear layer with GELU works here, which is not a public operator of PyTorch."""
    try:
        rows, weight, bias = (torch.ones(sides, dtype=dtype) for sides in ((1, 2), (2, 2), (2,)))
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, None)
        done = torch.ops.mkldnn._linear_pointwise(rows, packed, bias, "gelu", [], "none")
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False
    return torch.allclose(done, F.gelu(rows + 2), rtol=1e-2)


Activation = Literal["none", "relu", "gelu"]


@dataclass(frozen=True)
class Layer:
    """activation(x w + b) of many rows, the weights packed once."""

    weight: Tensor  # packed by oneDNN, or `in out`
    bias: Tensor | None
    activation: Activation
    packed: bool

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None, activation: Activation = "none") -> Layer:
        """weight: `out in`, in the dtype of the rows to come."""
        if weight.device.type == "cpu" and packs(weight.dtype):
            packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None)
            return cls(packed, None if bias is None else bias.contiguous(), activation, True)
        return cls(weight.t().contiguous(), bias, activation, False)

    def __call__(self, rows: Tensor) -> Tensor:
        """`rows in` -> `rows out`."""
        if self.packed:
            done: Tensor = torch.ops.mkldnn._linear_pointwise(
                rows, self.weight, self.bias, self.activation, [], "none" if self.activation == "gelu" else ""
            )
            return done
        out = torch.mm(rows, self.weight) if self.bias is None else torch.addmm(self.bias, rows, self.weight)
        return {"none": Tensor.contiguous, "relu": Tensor.relu_, "gelu": gelu_}[self.activation](out)


class Scratch:
    """Named buffers that grow to their largest use and are then reused."""

    def __init__(self, like: Tensor) -> None:
        self.like = like
        self.buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        count = torch.Size(shape).numel()
        buffer = self.buffers.get(name)
        if buffer is None or buffer.numel() < count:
            buffer = self.buffers[name] = self.like.new_empty(count)
        return buffer[:count].view(shape)


def painted(
    like: Tensor, batch: int, window: Window, block: Callable[[int, Window, Scratch], Tensor], pixels: int = 0
) -> Tensor:
    """A window of the output grid, `b 3 H W` in float32, put together from blocks.

    block: the number of a picture, a part of the window (in the window's own pixels), buffers -> colours `3 R C`.
    like: its dtype and device are those of the buffers. pixels: of a block, where the usual number does not suit.
    """
    out = torch.empty(batch, 3, *window.size, device=like.device)

    def paint(part: Window, scratch: Scratch) -> None:
        for number in range(batch):
            out[number, :, part.slices[0], part.slices[1]] = block(number, part, scratch)

    usual = PIXELS_ON_CPU if like.device.type == "cpu" else PIXELS_ON_GPU
    in_parallel(paint, blocks(window.size, pixels or usual), like)
    return out


def in_parts(
    render: Callable[[Encoded, Size, Window], Tensor], encoded: Encoded, size: Size, window: Window, reach: int
) -> Tensor:
    """A window of the output grid, `b 3 H W`, rendered in parts that need LR_PIXELS at most, besides their reach.

    For decoders that compute large tables of the LR pixels first: only those under the window, a few at a time.
    """
    side = max(1, isqrt(LR_PIXELS // len(encoded.lr)))
    out = torch.empty(len(encoded.lr), 3, *window.size, device=encoded.features.device)
    under = covering_window(window, encoded.whole, size)
    for top in range(under.top, under.bottom, side):
        for left in range(under.left, under.right, side):
            tile = Window(top, left, top + side, left + side).common(under)
            owned = owned_window(tile, encoded.whole, size).common(window)
            if owned.size.pixels:
                seen = tile.grown(reach, encoded.whole).common(encoded.window)
                rows, columns = owned.within(window).slices
                out[..., rows, columns] = render(encoded.cropped(seen), size, owned)
    return out


def blocks(size: Size, pixels: int) -> list[Window]:
    """The blocks of a window of that size, of about so many pixels each."""
    height = min(BLOCK_ROWS, size.height)
    width = min(max(1, pixels // height), size.width)
    return [
        Window(top, left, top + height, left + width).grown(0, size)
        for top in range(0, size.height, height)
        for left in range(0, size.width, width)
    ]


def in_parallel(paint: Callable[[Window, Scratch], None], blocks: list[Window], like: Tensor) -> None:
    """Every block by one of as many threads as PyTorch has, each computing alone.

    Threads that take whole blocks never wait for each other, as those inside one operator do after every operator,
    which is what costs most when others use the machine too; and each keeps its block in its own cache.
    """
    threads = min(torch.get_num_threads(), len(blocks)) if like.device.type == "cpu" else 1
    if threads == 1:
        scratch = Scratch(like)
        for part in blocks:
            paint(part, scratch)
        return
    inference, mine = torch.is_inference_mode_enabled(), threading.local()
    operator_threads = torch.get_num_threads()

    def begin() -> None:
        torch.set_num_threads(1)  # of this thread's operators
        mine.scratch = Scratch(like)

    def work(part: Window) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            paint(part, mine.scratch)

    try:
        with ThreadPoolExecutor(threads, initializer=begin) as pool:
            for _ in pool.map(work, blocks):
                pass
    finally:
        torch.set_num_threads(operator_threads)  # what threads of others start with


def axes_of(
    lookup: Lookup, encoded: Encoded, size: Size, window: Window, along: Lookup | None = None
) -> tuple[Axis, Axis]:
    """Rows and columns of a window of the output grid of that size; along: the columns' lookup, where it differs."""
    device, columns = encoded.features.device, along or lookup
    return (
        Axis.of(lookup, (size.height, window.top, window.bottom), encoded.whole.height, encoded.window.top, device),
        Axis.of(columns, (size.width, window.left, window.right), encoded.whole.width, encoded.window.left, device),
    )


def flat(grid: Tensor) -> Tensor:
    """A picture's features `f h w` as rows of a table, `(h w) f`."""
    return rearrange(grid, "f h w -> (h w) f").contiguous()


def bags(index: Tensor, table: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted sums of a table's rows: index and weights `n k`, table `m c` -> `n c`."""
    if table.device.type in WITHOUT_BAGS:
        taken = table[index.long()]
        return (taken if weights is None else taken * weights.unsqueeze(-1)).sum(1)
    return F.embedding_bag(index, table, mode="sum", per_sample_weights=weights)


def crossed(down: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """Rows `R m` and columns `C n` of an axis each -> both as `m n R C`."""
    rows, columns = len(down), len(along)
    return (
        down.t()[:, None, :, None].expand(-1, along.shape[1], -1, columns),
        along.t()[None, :, None, :].expand(down.shape[1], -1, rows, -1),
    )


def pairs(down: Tensor, along: Tensor, tile_width: int) -> Tensor:
    """Rows `R m` and columns `C n` of a tile -> positions in it, `m n R C`."""
    row, column = crossed(down * tile_width, along)
    return row + column


def strips(size: Size, pixels: int) -> list[slice]:
    """The whole rows of a block, in runs of about so many pixels."""
    height = max(1, pixels // size.width)
    starts = range(0, size.height, height)
    return [slice(top * size.width, min(top + height, size.height) * size.width) for top in starts]
