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

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.fast import (
    PIXELS_ON_CPU,
    STRIP,
    Axis,
    Layer,
    Scratch,
    axes_of,
    bags,
    crossed,
    flat,
    gelu_,
    painted,
    pairs,
    strips,
)
from anyzoom.models.network import Encoded

if TYPE_CHECKING:
    from anyzoom.models.decoders.lmi import LmiDecoder

TOKENS = 16
MOST_OFFSETS = 4096  # of the table of distinct offsets: 32 MiB in float32


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
            channel_in=Layer.of(net.channel_in.weight[:, :-1].to(dtype), wide_bias.to(dtype), "gelu"),
            channel_out=Layer.of(net.channel_out.weight.to(dtype), net.channel_out.bias.to(dtype), "gelu"),
            colour=net.colour.weight.t().float() * 0.5,
            colour_bias=net.colour.bias.float() * 0.5 + 0.5,
        )


@torch.no_grad()
def render(net: LmiDecoder, encoded: Encoded, size: Size, window: Window) -> Tensor:
    """A window of the output grid, `b 3 H W` in float32; computed in the dtype of the features."""
    from anyzoom.models.decoders.lmi import neighbours

    colour = (encoded.lr * 2 - 1).to(encoded.features)
    room = torch.zeros_like(colour[:, :2])  # for the offsets, which differ from pixel to pixel
    table = torch.cat([encoded.features, colour, room], dim=1)
    rows, columns = axes_of(neighbours, encoded, size, window)
    folded = Folded.of(net, 2 * encoded.whole.height / size.height, table.dtype)
    kinds = len(rows.distinct) * len(columns.distinct)
    few = kinds <= min(MOST_OFFSETS, window.size.pixels // 4)
    codes = position_codes(folded, rows.distinct, columns.distinct) if few else None
    pictures = [flat(picture) for picture in table]

    def block(number: int, part: Window, scratch: Scratch) -> Tensor:
        return _block(folded, pictures[number], encoded.window.size.width, rows, columns, part, codes, scratch)

    narrow = table.device.type == "cpu" and table.element_size() == 2  # half the bytes: twice as many fit the cache
    return painted(table, len(table), window, block, 2 * PIXELS_ON_CPU if narrow else 0)


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
    nearest = pairs(rows.neighbours[here], columns.neighbours[across], tile_width).reshape(TOKENS, count)
    offsets = torch.stack(crossed(rows.offsets[here], columns.offsets[across]), dim=-1).reshape(TOKENS, count, 2)
    areas = offsets.prod(-1).abs_().add_(1e-9)
    weights = (areas.flip(0) / areas.sum(0)).t().to(pixels).contiguous()  # q t
    offsets = offsets.to(pixels)
    mixed = _token_hidden(folded, pixels, tile_width, rows, columns, part, codes, scratch)

    # Both residuals of the mixers make 2 tokens + change + outer, summed with the areas reflected through the point.
    total = bags(nearest.t().int(), pixels, weights)[:, :width].float().mul_(2)
    own = nearest.new_empty(0)
    for strip in strips(part.size, STRIP * 4 // pixels.element_size() if pixels.device.type == "cpu" else count):
        size = strip.stop - strip.start
        change = scratch("change", TOKENS, size * width)
        torch.addmm(folded.token_bias, folded.token_out, mixed(strip), out=change)
        change = gelu_(change).view(TOKENS * size, width)
        tokens = scratch("tokens", TOKENS * size, pixels.shape[1])
        torch.index_select(pixels, 0, nearest[:, strip].flatten(), out=tokens)
        tokens[:, :width].add_(change)
        tokens.view(TOKENS, size, -1)[..., -2:] = offsets[:, strip]
        outer = folded.channel_out(folded.channel_in(tokens)).add_(change)
        if len(own) != size:  # as it may be in the last strip
            own = (
                torch.arange(TOKENS * size, dtype=torch.int32, device=pixels.device).view(TOKENS, size).t().contiguous()
            )
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
    tokens = pixels.index_select(0, pairs(cell_rows, cell_columns, tile_width).flatten())[:, :width].reshape(TOKENS, -1)
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
