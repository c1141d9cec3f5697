"""LMI on a regular grid: the same pixels as `LmiDecoder.query`, at a fraction of the work and memory.

What makes it fast, all of it exact:
- Neighbours and offsets are found per row and per column, not per pixel.
- The token mixer's first layer is linear in [tokens, position code]. Its token half depends only on the LR cell and is
  computed once per cell. Its other half is folded with the meta network's second layer into one matrix, and computed
  once per distinct offset where a scale has few of them (integers: 16 inside the picture at x4).
- Tensors are laid out token-major (t q c), so that both mixers are plain matrix products without a transposition.
- The tokens' weighted sum is taken before the output layer, which is linear, and sums are taken while gathering
  (`embedding_bag`), so that no list of addends is ever written.
- Each block of pixels is one thread's from beginning to end. Its indices and weights are found once; the large layers
  run over strips of it that are small enough for the cache.

Per pixel this leaves about 310 thousand multiply-adds (440 thousand when all offsets differ) of 600 thousand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.network import Encoded

if TYPE_CHECKING:
    from anyzoom.models.decoders.lmi import LmiDecoder

TOKENS = 16
BLOCK_ROWS = 32
PIXELS_ON_CPU = 2048  # of a block
PIXELS_ON_GPU = 16384
STRIP = 256  # pixels of a strip on a processor: 2 MiB of float32 in its largest buffer
MOST_OFFSETS = 4096  # of the table of distinct offsets: 32 MiB in float32
SAME_OFFSET = 1e-9  # in half LR pixels; real differences are far larger, rounding in float64 far smaller
WITHOUT_BAGS = {"mps"}  # devices on which not every PyTorch 2 has embedding_bag


def gelu_(values: Tensor) -> Tensor:
    """In place: F.gelu would allocate, which costs more than the arithmetic."""
    done: Tensor = torch.ops.aten.gelu_.default(values)
    return done


@dataclass(frozen=True)
class Axis:
    """One axis of the window: its 4 neighbours per output index, and which indices share their offsets."""

    neighbours: Tensor  # side 4, indices into the encoded tile
    offsets: Tensor  # side 4, half LR pixels; found in float64, kept in float32
    distinct: Tensor  # kinds 4, the different rows of `offsets`
    kind: Tensor  # side, which row of `distinct` each index has
    cells: Tensor  # cells 4, the different rows of `neighbours`, in order
    cell: Tensor  # side, which row of `cells` each index has

    @classmethod
    def of(cls, hr: tuple[int, int, int], lr_side: int, tile_start: int, device: torch.device) -> Axis:
        """hr: output side and the range of it that is asked for."""
        from anyzoom.models.decoders.lmi import neighbours

        side, start, stop = hr
        centres = (2 * torch.arange(start, stop, dtype=torch.float64) + 1) / side - 1
        indices, offsets = neighbours(centres, lr_side)
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
        """The cells of a range of indices, `cells 4`, and which of these each index has."""
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


@dataclass(frozen=True)
class Layer:
    """gelu(x w + b) of many rows."""

    weight: Tensor  # packed by oneDNN, or `in out`
    bias: Tensor
    packed: bool

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> Layer:
        """weight: `out in`."""
        if weight.device.type == "cpu" and packs(weight.dtype):
            return cls(torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), None), bias, True)
        return cls(weight.t().contiguous(), bias, False)

    def __call__(self, rows: Tensor) -> Tensor:
        """`rows in` -> `rows out`."""
        if self.packed:
            done: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.weight, self.bias, "gelu", [], "none")
            return done
        return gelu_(torch.addmm(self.bias, rows, self.weight))


@dataclass(frozen=True)
class Folded:
    """The decoder's weights for one scale, rearranged; `j` is the token mixer's hidden width."""

    row_code: Tensor  # 4 f: offsets of the rows -> first layer of the meta network
    column_code: Tensor  # 4 f
    code_bias: Tensor  # f, the scale included
    code: Tensor  # j f c: meta network's second layer, then the code half of the token mixer's first
    code_shift: Tensor  # j 1 c: its bias
    token_in: Tensor  # j t
    token_out: Tensor  # t j
    token_bias: Tensor  # t 1
    channel_in: Layer  # features, colour, offsets -> hidden; the scale is in the bias
    channel_out: Layer
    colour: Tensor  # c 3, to [0, 1]
    colour_bias: Tensor  # 3

    @classmethod
    def of(cls, net: LmiDecoder, pitch: float, dtype: torch.dtype) -> Folded:
        """pitch: 2 / s of the vertical axis."""
        width = net.width
        meta = rearrange(net.meta_in.weight[:, : 2 * TOKENS], "f (ty tx yx) -> yx ty tx f", ty=4, tx=4)
        token_part, code_part = net.token_in.weight[:, :TOKENS], net.token_in.weight[:, TOKENS:]
        code = torch.einsum("jt,ctf->jfc", code_part, net.meta_out.weight.view(width, TOKENS, -1))
        shift = torch.einsum("jt,ct->jc", code_part, net.meta_out.bias.view(width, TOKENS))
        wide_bias = net.channel_in.bias + pitch * net.channel_in.weight[:, -1]
        return cls(
            row_code=meta[0].sum(1),
            column_code=meta[1].sum(0),
            code_bias=net.meta_in.bias + pitch * net.meta_in.weight[:, -1],
            code=code.to(dtype).contiguous(),
            code_shift=(shift + net.token_in.bias[:, None]).unsqueeze(1).to(dtype),
            token_in=token_part.to(dtype).contiguous(),
            token_out=net.token_out.weight.to(dtype),
            token_bias=net.token_out.bias.to(dtype).unsqueeze(1),
            channel_in=Layer.of(net.channel_in.weight[:, :-1].to(dtype), wide_bias.to(dtype)),
            channel_out=Layer.of(net.channel_out.weight.to(dtype), net.channel_out.bias.to(dtype)),
            colour=net.colour.weight.t().float() * 0.5,
            colour_bias=net.colour.bias.float() * 0.5 + 0.5,
        )


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


@torch.no_grad()
def render(net: LmiDecoder, encoded: Encoded, size: Size, window: Window) -> Tensor:
    """A window of the output grid, `b 3 H W` in float32; computed in the dtype of the features."""
    colour = (encoded.lr * 2 - 1).to(encoded.features)
    room = torch.zeros_like(colour[:, :2])  # for the offsets, which differ from pixel to pixel
    table = torch.cat([encoded.features, colour, room], dim=1)
    device = table.device
    rows = Axis.of((size.height, window.top, window.bottom), encoded.whole.height, encoded.window.top, device)
    columns = Axis.of((size.width, window.left, window.right), encoded.whole.width, encoded.window.left, device)
    folded = Folded.of(net, 2 * encoded.whole.height / size.height, table.dtype)
    kinds = len(rows.distinct) * len(columns.distinct)
    few = kinds <= min(MOST_OFFSETS, window.size.pixels // 4)
    codes = position_codes(folded, rows.distinct, columns.distinct) if few else None
    out = torch.empty(len(table), 3, *window.size, device=device)
    pictures = [rearrange(picture, "f h w -> (h w) f").contiguous() for picture in table]

    def paint(part: Window, scratch: Scratch) -> None:
        for pixels, target in zip(pictures, out, strict=True):
            target[:, part.slices[0], part.slices[1]] = _block(
                folded, pixels, encoded.window.size.width, rows, columns, part, codes, scratch
            )

    in_parallel(paint, _blocks(window.size, PIXELS_ON_CPU if device.type == "cpu" else PIXELS_ON_GPU), table)
    return out


def _blocks(size: Size, pixels: int) -> list[Window]:
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


def position_codes(folded: Folded, row_offsets: Tensor, column_offsets: Tensor) -> Tensor:
    """What the token mixer's hidden layer receives from every pair of a row's and a column's offsets, `(R C) j c`."""
    codes = torch.matmul(_meta_hidden(folded, row_offsets, column_offsets), folded.code)
    return codes.transpose(0, 1).contiguous()


def _meta_hidden(folded: Folded, row_offsets: Tensor, column_offsets: Tensor) -> Tensor:
    down = row_offsets @ folded.row_code + folded.code_bias
    across = column_offsets @ folded.column_code
    return rearrange((down[:, None] + across).relu_(), "R C f -> (R C) f").to(folded.code)


def _block(
    folded: Folded,
    pixels: Tensor,  # (h w) c+5: features, colour, room for offsets
    tile_width: int,
    rows: Axis,
    columns: Axis,
    part: Window,
    codes: Tensor | None,
    scratch: Scratch,
) -> Tensor:
    """The colours `3 R C` of a block of the window."""
    here, across = slice(part.top, part.bottom), slice(part.left, part.right)
    count, width = part.size.pixels, len(folded.colour)
    nearest = _pairs(rows.neighbours[here], columns.neighbours[across], tile_width).view(TOKENS, count)
    offsets = torch.stack(_crossed(rows.offsets[here], columns.offsets[across]), dim=-1).view(TOKENS, count, 2)
    areas = offsets.prod(-1).abs_().add_(1e-9)
    weights = (areas.flip(0) / areas.sum(0)).t().to(pixels).contiguous()  # q t
    offsets = offsets.to(pixels)
    mixed = _token_hidden(folded, pixels, tile_width, rows, columns, part, codes, scratch)

    # Both residuals of the mixers make 2 tokens + change + outer, summed with the areas reflected through the point.
    total = bags(nearest.t().int(), pixels, weights)[:, :width].float().mul_(2)
    for strip in _strips(part.size, STRIP if pixels.device.type == "cpu" else count):
        size = strip.stop - strip.start
        change = scratch("change", TOKENS, size * width)
        torch.addmm(folded.token_bias, folded.token_out, mixed(strip), out=change)
        change = gelu_(change).view(TOKENS * size, width)
        tokens = scratch("tokens", TOKENS * size, pixels.shape[1])
        torch.index_select(pixels, 0, nearest[:, strip].flatten(), out=tokens)
        tokens[:, :width].add_(change)
        tokens.view(TOKENS, size, -1)[..., -2:] = offsets[:, strip]
        outer = folded.channel_out(folded.channel_in(tokens)).add_(change)
        own = torch.arange(TOKENS * size, dtype=torch.int32, device=pixels.device).view(TOKENS, size).t().contiguous()
        total[strip].add_(bags(own, outer, weights[strip]))
    colours = torch.addmm(folded.colour_bias, total, folded.colour)
    return rearrange(colours, "(R C) rgb -> rgb R C", R=part.size.height)


def _token_hidden(
    folded: Folded,
    pixels: Tensor,
    tile_width: int,
    rows: Axis,
    columns: Axis,
    part: Window,
    codes: Tensor | None,
    scratch: Scratch,
) -> Callable[[slice], Tensor]:
    """The token mixer's hidden layer `j (q c)` of any strip of a block.

    It is the sum of a part per cell and a part per pair of offsets, each found once for the block.
    """
    here, across = slice(part.top, part.bottom), slice(part.left, part.right)
    hidden, width = folded.token_in.shape[0], len(folded.colour)
    cell_rows, row_cell = rows.cells_of(here)
    cell_columns, column_cell = columns.cells_of(across)
    cell = (row_cell[:, None] * len(cell_columns) + column_cell).flatten()
    cells = len(cell_rows) * len(cell_columns)
    kind_rows, row_kind = torch.unique(rows.kind[here], return_inverse=True)
    kind_columns, column_kind = torch.unique(columns.kind[across], return_inverse=True)
    kinds = 0 if codes is None else len(kind_rows) * len(kind_columns)

    parts = scratch("parts", (cells + kinds) * hidden, width)
    by_cell = parts[: cells * hidden].view(hidden, cells, width)
    tokens = pixels.index_select(0, _pairs(cell_rows, cell_columns, tile_width))[:, :width].reshape(TOKENS, -1)
    torch.mm(folded.token_in, tokens, out=by_cell.view(hidden, -1))
    by_cell.add_(folded.code_shift)
    if codes is None:
        meta = _meta_hidden(folded, rows.offsets[here], columns.offsets[across])

        def mixed(strip: slice) -> Tensor:
            taken = scratch("mixed", hidden, strip.stop - strip.start, width)
            torch.index_select(by_cell, 1, cell[strip], out=taken)
            taken.baddbmm_(meta[strip].expand(hidden, -1, -1), folded.code)
            return gelu_(taken).view(hidden, -1)

        return mixed

    chosen = (kind_rows[:, None] * len(columns.distinct) + kind_columns).flatten()
    torch.index_select(codes, 0, chosen, out=parts[cells * hidden :].view(kinds, hidden, width))
    kind = (row_kind[:, None] * len(kind_columns) + column_kind).flatten()
    unit = torch.arange(hidden, device=pixels.device)[:, None]
    addends = torch.stack([unit * cells + cell, (cells + kind) * hidden + unit], dim=-1).int()  # j q 2

    def summed(strip: slice) -> Tensor:
        return gelu_(bags(addends[:, strip].reshape(-1, 2), parts)).view(hidden, -1)

    return summed


def bags(index: Tensor, table: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted sums of a table's rows: index and weights `n k`, table `m c` -> `n c`."""
    if table.device.type in WITHOUT_BAGS:
        taken = table[index.long()]
        return (taken if weights is None else taken * weights.unsqueeze(-1)).sum(1)
    return F.embedding_bag(index, table, mode="sum", per_sample_weights=weights)


def _crossed(down: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
    """R 4 and C 4 -> two of `ty tx R C`."""
    rows, columns = len(down), len(along)
    return (
        down.t()[:, None, :, None].expand(-1, 4, -1, columns),
        along.t()[None, :, None, :].expand(4, -1, rows, -1),
    )


def _pairs(down: Tensor, along: Tensor, tile_width: int) -> Tensor:
    """Rows R 4 and columns C 4 of a tile -> positions in it, `(ty tx R C)`."""
    row, column = _crossed(down * tile_width, along)
    return (row + column).flatten()


def _strips(size: Size, pixels: int) -> list[slice]:
    """The whole rows of a block, in runs of about so many pixels."""
    height = max(1, pixels // size.width)
    starts = range(0, size.height, height)
    return [slice(top * size.width, min(top + height, size.height) * size.width) for top in starts]
