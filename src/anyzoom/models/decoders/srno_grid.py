"""SRNO on a regular grid: the same pixels as `SrnoDecoder.query` of the whole grid, in passes over blocks of it.

One pass per Galerkin block finds its matrix M, the mean of k^T v over the grid (`prepare`); the last pass gives the
colours of a window (`render`). Nothing but M is kept between passes, so memory does not grow with the picture.

What makes it fast, all of it exact:
- With M known a block is linear up to its GELU, and its output x + out(h) is linear in x and in the hidden values h.
  So h of every block, the keys and values of the next, and the last MLP's hidden layer are each one affine function
  of the lifted inputs and of the hidden values before it: the stages of a pass. They are folded in float64.
- A stage's part on the inputs is computed once per LR pixel and corner, row and column, and gathered with the
  ensemble's weights. The first matrix M needs nothing else: no layer runs on output pixels.
- Centring keys and values is folded into their layer; scale and offset of their norm are applied to the sums.

Per output pixel of the paper's network this leaves 131 thousand multiply-adds for both matrices and 197 thousand for
the colours, and 459 thousand per LR pixel for the tables, of 806 thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from einops import rearrange
from torch import Tensor, nn

from anyzoom.errors import ScaleError
from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import CORNERS, bilinear_of_block, linear_two, nearest_two, shares
from anyzoom.models.decoders.fast import (
    BLOCK_ROWS,
    PIXELS_ON_CPU,
    PIXELS_ON_GPU,
    STRIP,
    Axis,
    Layer,
    Scratch,
    axes_of,
    bags,
    blocks,
    crossed,
    flat,
    gelu_,
    in_parallel,
    painted,
    pairs,
    strips,
)
from anyzoom.models.network import Encoded

if TYPE_CHECKING:
    from anyzoom.models.decoders.srno import GalerkinBlock, HeadNorm, SrnoDecoder

SIZE = "srno.size"  # in `Encoded.extra`: the output grid over which the matrices are averages
MATRIX = "srno.{}"  # b head key value, of each Galerkin block


@dataclass(frozen=True)
class Affine:
    """weight x + bias, in float64 on the processor, to be folded."""

    weight: Tensor  # out in
    bias: Tensor  # out

    @classmethod
    def of(cls, layer: nn.Linear) -> Affine:
        return cls(_exact(layer.weight), _exact(layer.bias))

    def after(self, inner: Affine) -> Affine:
        """This function of the other's result."""
        return Affine(self.weight @ inner.weight, self.weight @ inner.bias + self.bias)

    def beside(self, other: Affine) -> Affine:
        """The sum of both, each of an input of its own: x, then the other's."""
        return Affine(torch.cat([self.weight, other.weight], dim=1), self.bias + other.bias)


@dataclass(frozen=True)
class Stage:
    """An affine function of the inputs at a point and of the hidden values of earlier stages, split."""

    features: Tensor  # f (t o): of an LR pixel as each of the four corners
    down: Tensor  # n o: of the offsets from the two rows of corners
    along: Tensor  # n o: from the two columns
    bias: Tensor  # o, the size of an output pixel included
    hidden: tuple[Layer, ...]  # of the hidden values of each earlier stage

    @classmethod
    def of(cls, whole: Affine, inputs: int, width: int, like: Tensor) -> Stage:
        """whole: of so many inputs, offsets first, then of the hidden values of stages of that width."""
        offsets = 2 * CORNERS
        place = rearrange(whole.weight[:, :offsets], "o (down along yx) -> yx down along o", down=2, yx=2)
        features = rearrange(whole.weight[:, offsets:inputs], "o (t f) -> f (t o)", t=CORNERS)
        starts = range(inputs, whole.weight.shape[1], width)
        return cls(
            features=features.to(like),
            down=place[0].sum(1).to(like.device, torch.float32),
            along=place[1].sum(0).to(like.device, torch.float32),
            bias=whole.bias.to(like.device, torch.float32),
            hidden=tuple(Layer.of(whole.weight[:, start : start + width].to(like), None) for start in starts),
        )


@dataclass(frozen=True)
class Block:
    """A block of the output grid and the LR pixels around it."""

    pixels: Tensor  # (h w) f
    down: Tensor  # R n: offsets of its rows, half LR pixels
    along: Tensor  # C n: of its columns
    index: Tensor  # q k: of a table, the four corners, the row and the column
    weights: Tensor  # q k

    @classmethod
    def of(cls, picture: Tensor, rows: Axis, columns: Axis, part: Window) -> Block:
        """picture: f h w."""
        here, across = part.slices
        down, along = rows.neighbours[here], columns.neighbours[across]
        top, bottom, left, right = int(down.min()), int(down.max()) + 1, int(along.min()), int(along.max()) + 1
        pixels = flat(picture[:, top:bottom, left:right])
        corner = torch.arange(CORNERS, device=picture.device).unsqueeze(-1)
        corners = pairs(down - top, along - left, right - left).reshape(CORNERS, -1) * CORNERS + corner
        row, column = crossed(
            torch.arange(part.size.height, device=picture.device).unsqueeze(-1),
            torch.arange(part.size.width, device=picture.device).unsqueeze(-1) + part.size.height,
        )
        codes = torch.stack([row, column]).reshape(2, -1) + CORNERS * len(pixels)
        vertical, horizontal = crossed(shares(rows.offsets[here]), shares(columns.offsets[across]))
        weights = (vertical * horizontal).reshape(CORNERS, -1)
        return cls(
            pixels,
            rows.offsets[here],
            columns.offsets[across],
            torch.cat([corners, codes]).t().int().contiguous(),
            torch.cat([weights, torch.ones_like(weights[:2])]).t().to(picture).contiguous(),
        )

    def table(self, stage: Stage, buffer: Callable[..., Tensor]) -> Tensor:
        """What a stage takes from the inputs: a row for each corner of each LR pixel, each row and each column."""
        outputs, corners = len(stage.bias), CORNERS * len(self.pixels)
        table = buffer(corners + len(self.down) + len(self.along), outputs)
        torch.mm(self.pixels, stage.features, out=table[:corners].view(len(self.pixels), -1))
        codes = torch.cat([torch.addmm(stage.bias, self.down, stage.down), self.along @ stage.along])
        table[corners:] = codes
        return table

    def last_of(self, stages: Sequence[Stage], scratch: Scratch) -> Callable[[slice], Tensor]:
        """The values of the last stage, before its activation, for any strip of the block: `q o`."""
        tables = [self.table(stage, partial(scratch, f"table {k}")) for k, stage in enumerate(stages)]

        def values_of(strip: slice) -> Tensor:
            hidden: list[Tensor] = []
            values = self.weights
            for stage, table in zip(stages, tables, strict=True):
                values = bags(self.index[strip], table, self.weights[strip])
                for layer, earlier in zip(stage.hidden, hidden, strict=True):
                    values.add_(layer(earlier))
                if stage is not stages[-1]:
                    hidden.append(gelu_(values))
            return values

        return values_of


def _exact(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float64)


def _attention(block: GalerkinBlock) -> tuple[Tensor, Tensor]:
    """The layer to queries, keys and values, `part head c i` and `part head c 1`."""
    whole, heads = Affine.of(block.attend), block.heads
    pattern = "(head part c) i -> part head c i"
    return (
        rearrange(whole.weight, pattern, head=heads, part=3),
        rearrange(whole.bias.unsqueeze(1), pattern, head=heads, part=3),
    )


def _keys_values(block: GalerkinBlock) -> Affine:
    """From a block's input to its keys, then its values, each head centred."""
    weight, bias = (part[1:] - part[1:].mean(2, keepdim=True) for part in _attention(block))
    return Affine(weight.flatten(0, 2), bias.flatten())


def _hidden(block: GalerkinBlock, matrix: Tensor) -> Affine:
    """From a block's input to the hidden values of its MLP. matrix: head key value."""
    weight, bias = (matrix.mT @ part[0] for part in _attention(block))
    attended = weight.flatten(0, 1)
    residual = Affine(attended + torch.eye(len(attended), dtype=attended.dtype), bias.flatten())
    return Affine.of(block.mix_in).after(residual)


def _stages(net: SrnoDecoder, pitch: Sequence[float], matrices: Sequence[Tensor], like: Tensor) -> list[Stage]:
    """Up to the keys and values of the first block without a matrix, or else to the last MLP's hidden layer.

    pitch: 2 / scale down and along; like: of the dtype and on the device of the features.
    """
    lift = Affine.of(net.lift)
    inputs, width = lift.weight.shape[1] - len(pitch), len(lift.bias)
    values = Affine(lift.weight[:, :inputs], lift.bias + lift.weight[:, inputs:] @ lift.bias.new_tensor(pitch))
    stages = []
    for block, matrix in zip(net.galerkin, matrices, strict=False):
        stages.append(_hidden(block, _exact(matrix)).after(values))
        values = values.beside(Affine.of(block.mix_out))
    left = net.galerkin[len(matrices) :]
    last = _keys_values(left[0]) if left else Affine.of(net.hidden)
    return [Stage.of(stage, inputs, width, like) for stage in [*stages, last.after(values)]]


def _pitch(encoded: Encoded, size: Size) -> list[float]:
    return [2 * lr / hr for lr, hr in zip(encoded.whole, size, strict=True)]


def _pixels(like: Tensor) -> int:
    return PIXELS_ON_CPU if like.device.type == "cpu" else PIXELS_ON_GPU


def _strips(size: Size, like: Tensor) -> list[slice]:
    return strips(size, STRIP if like.device.type == "cpu" else size.pixels)


@torch.no_grad()
def prepare(net: SrnoDecoder, encoded: Encoded, size: Size) -> Encoded:
    """Raises ScaleError for a part of a picture whose whole was not prepared for that size."""
    if SIZE in encoded.extra and encoded.extra[SIZE].tolist() == list(size):
        return encoded
    if encoded.window != Window.whole(encoded.whole):
        raise ScaleError(
            f"SRNO averages over the whole output and this is a part of a picture of {encoded.whole}. "
            f"Prepare the whole picture for {size} before cropping."
        )
    axes = axes_of(nearest_two, encoded, size, Window.whole(size))
    found: list[list[Tensor]] = [[] for _ in encoded.features]
    for block in net.galerkin:
        for picture, matrices in zip(encoded.features, found, strict=True):
            stages = _stages(net, _pitch(encoded, size), matrices, picture)
            products, sums = _totals(stages, picture, axes, size, block.heads)
            matrices.append(_matrix(products / size.pixels, sums / size.pixels, block.key_norm, block.value_norm))
    extra = {
        MATRIX.format(number): torch.stack(matrices).to(encoded.features.device, torch.float32)
        for number, matrices in enumerate(zip(*found, strict=True))
    }
    return encoded._replace(extra={**encoded.extra, **extra, SIZE: torch.tensor(size)})


def _totals(
    stages: Sequence[Stage], picture: Tensor, axes: tuple[Axis, Axis], size: Size, heads: int
) -> tuple[Tensor, Tensor]:
    """Sums over the output grid of k^T v, `head key value`, and of k and v, `kv head c`, normalised but not scaled.

    In float32 within a block of the grid, in float64 between them and always in the same order.
    """
    from anyzoom.models.decoders.srno import STABLE

    each = len(stages[-1].bias) // (2 * heads)
    bands = blocks(size, BLOCK_ROWS * size.width)
    products = torch.zeros(len(bands), heads, each, each, dtype=torch.float64)
    sums = torch.zeros(len(bands), 2, heads, each, dtype=torch.float64)

    def add(band: Window, scratch: Scratch) -> None:
        number = bands.index(band)
        for part in blocks(band.size, _pixels(picture)):
            here = Window(part.top + band.top, part.left, part.bottom + band.top, part.right)
            values_of = Block.of(picture, *axes, here).last_of(stages, scratch)
            product = picture.new_zeros((heads, each, each), dtype=torch.float32)
            total = picture.new_zeros((2, heads, each), dtype=torch.float32)
            for strip in _strips(part.size, picture):
                pair = values_of(strip).float().view(-1, 2, heads, each)
                deviation = (pair.square().sum(-1, keepdim=True) / (each - 1)).sqrt_()
                pair.div_(deviation.add_(STABLE))
                product.baddbmm_(pair[:, 0].permute(1, 2, 0), pair[:, 1].transpose(0, 1))
                total += pair.sum(0)
            products[number] += product.cpu()
            sums[number] += total.cpu()

    in_parallel(add, bands, picture)
    return products.sum(0), sums.sum(0)


def _matrix(product: Tensor, mean: Tensor, key: HeadNorm, value: HeadNorm) -> Tensor:
    """The mean of k^T v from that of the normalised ones, before their scales and offsets: `head key value`."""
    key_scale, value_scale = _exact(key.weight).unsqueeze(2), _exact(value.weight).unsqueeze(1)
    key_offset, value_offset = _exact(key.bias).unsqueeze(2), _exact(value.bias).unsqueeze(1)
    keys, values = mean[0].unsqueeze(2) * key_scale, mean[1].unsqueeze(1) * value_scale
    return product * key_scale * value_scale + keys * value_offset + key_offset * values + key_offset * value_offset


@torch.no_grad()
def render(net: SrnoDecoder, encoded: Encoded, size: Size, window: Window) -> Tensor:
    """A window of the output grid, `b 3 H W` in float32; computed in the dtype of the features. encoded: prepared."""
    features, pitch = encoded.features, _pitch(encoded, size)
    matrices = [encoded.extra[MATRIX.format(number)] for number in range(len(net.galerkin))]
    folded = [_stages(net, pitch, [m[number] for m in matrices], features) for number in range(len(features))]
    colour, bias = net.colour.weight.t().float() * 0.5, net.colour.bias.float() * 0.5
    axes = axes_of(nearest_two, encoded, size, window)
    between = axes_of(linear_two, encoded, size, window)

    def block(number: int, part: Window, scratch: Scratch) -> Tensor:
        values_of = Block.of(features[number], *axes, part).last_of(folded[number], scratch)
        change = torch.empty(part.size.pixels, 3, device=features.device)
        for strip in _strips(part.size, features):
            torch.addmm(bias, gelu_(values_of(strip)).float(), colour, out=change[strip])
        return change.t().view(3, *part.size) + bilinear_of_block(*between, part, encoded.lr[number].float())

    return painted(features, len(features), window, block)
