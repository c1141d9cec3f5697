"""Cross-scale non-local attention: Mei et al., "Image Super-Resolution with Cross-Scale Non-Local Attention and
Exhaustive Self-Exemplars Mining", CVPR 2020, as CiaoSR uses it.

Every pixel of the feature map compares the 3 x 3 pixels around it with those around every pixel of the same map made
smaller by a whole number, takes from the map itself what is as large as that number times 3 x 3 there, weighted by a
softmax, pastes it into a larger map in its own place, and adds up what overlaps. A convolution makes that map small
again.

The authors multiply the attention with the large patches and paste these. But overlapping patches are made of the same
blocks, so here the attention is added up first, along the diagonal on which pixels and patches move together, and then
multiplied with blocks that do not overlap: the same numbers with a ninth of the multiplications. The attention map has
(h w)^2 / scale^2 numbers; without gradients only a part for some pixels is alive at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import unfolded
from anyzoom.models.decoders.fast import Layer, Scratch, in_parallel
from anyzoom.models.network import mirrored

SHARPNESS = 10.0  # of the softmax
SHORTEST = 1e-4  # length of a key; shorter ones are divided by this
OVERLAP = 6.0  # what the authors divide the nine overlapping patches by
ALIVE = 1_000_000  # numbers of the attention map at a time, of each thread
NARROWEST = 4  # pixels of a square; narrower ones would attend mostly to the pixels around them


class CrossScaleAttention(nn.Module):
    """forward: features `b f h w` -> `b (s f) h w`, f channels for every scale; any h and w.

    A map that is not a multiple of a scale is mirrored beyond its lower and right border. Computed in the precision of
    the weights whatever that of the features, since the softmax is sharp.
    """

    def __init__(self, width: int, scales: Sequence[int]) -> None:
        super().__init__()
        half = max(width // 2, 1)
        self.scales = tuple(scales)
        self.fine = nn.Sequential(nn.Conv2d(width, half, 1), nn.PReLU())
        self.coarse = nn.Sequential(nn.Conv2d(width, half, 1), nn.PReLU())
        self.content = nn.Sequential(nn.Conv2d(width, width, 1), nn.PReLU())
        self.down = nn.ModuleList(nn.Conv2d(width, width, 3, stride=scale, padding=1) for scale in scales)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            exact = features.to(next(self.parameters()).dtype)
            found = [self._at(exact, scale, down) for scale, down in zip(self.scales, self.down, strict=True)]
        return torch.cat(found, dim=1).to(features)

    def _at(self, features: Tensor, scale: int, down: nn.Module) -> Tensor:
        height, width = features.shape[-2:]
        features = mirrored(features, scale)
        small = Size(features.shape[-2] // scale, features.shape[-1] // scale)
        keys = unfolded(self.coarse(F.interpolate(features, small, mode="bilinear", align_corners=False)))
        keys = keys * SHARPNESS / keys.square().sum(1, keepdim=True).clamp(min=SHORTEST**2).sqrt()
        blocks = rearrange(self.content(features), "b f (h i) (w j) -> b (i j f) (h w)", i=scale, j=scale)
        large = torch.stack(
            [
                assembled(fine, key.flatten(1).t(), block, small)
                for fine, key, block in zip(self.fine(features), keys, blocks, strict=True)
            ]
        )
        found: Tensor = down(rearrange(large, "b h w (i j f) -> b f (h i) (w j)", i=scale, j=scale)) / OVERLAP
        return found[..., :height, :width]


def assembled(fine: Tensor, keys: Tensor, blocks: Tensor, small: Size) -> Tensor:
    """One picture's pasted patches: fine `c h w`, keys `l (c y x)`, blocks `n l` -> `h w n`; small: l as a size."""
    size = Size(fine.shape[-2], fine.shape[-1])
    scored: Callable[[Tensor], Tensor]
    taken: Callable[[Tensor], Tensor]
    if torch.is_grad_enabled():
        scored, taken = keys.t().__rmatmul__, blocks.t().__rmatmul__
    else:
        scored, taken = Layer.of(keys, None), Layer.of(blocks, None)
    padded = F.pad(fine, (1, 1, 1, 1))

    def of(window: Window) -> Tensor:
        """The pixels of a window, `(h w) n`. Patches overlap, so the pixels around it are attended to as well."""
        seen = window.grown(1, size)
        patches = padded[:, seen.top : seen.bottom + 2, seen.left : seen.right + 2].unfold(1, 3, 1).unfold(2, 3, 1)
        scores = scored(rearrange(patches, "c h w y x -> (h w) (c y x)"))
        attention = torch.softmax(scores, dim=-1).view(*seen.size, *small)
        inner = window.within(seen)
        attention = along_diagonal(attention, 0, inner.top, window.size.height)
        attention = along_diagonal(attention, 1, inner.left, window.size.width)
        return taken(attention.view(window.size.pixels, small.pixels))

    if torch.is_grad_enabled():
        return of(Window.whole(size)).view(*size, -1)
    large = fine.new_empty(*size, len(blocks))

    def paint(window: Window, _: Scratch) -> None:
        rows, columns = window.slices
        large[rows, columns] = of(window).view(*window.size, -1)

    side = max(NARROWEST, math.isqrt(ALIVE // small.pixels) - 2)
    in_parallel(paint, squares(size, side), fine)
    return large


def along_diagonal(attention: Tensor, axis: int, first: int, count: int) -> Tensor:
    """Sums over neighbouring pixels of an axis and the neighbouring keys on the same side; nothing is beyond the ends.

    attention: `h w k m`, of pixels and keys; axis: 0 for h and k, 1 for w and m. Returns `count` pixels, from `first`.
    """
    keys = axis + 2
    others = attention.shape[keys] - 1
    total = attention.narrow(axis, first, count).clone()
    lacking = int(first == 0)
    before = attention.narrow(axis, first + lacking - 1, count - lacking)
    total.narrow(axis, lacking, count - lacking).narrow(keys, 1, others).add_(before.narrow(keys, 0, others))
    lacking = int(first + count == attention.shape[axis])
    after = attention.narrow(axis, first + 1, count - lacking)
    total.narrow(axis, 0, count - lacking).narrow(keys, 0, others).add_(after.narrow(keys, 1, others))
    return total


def squares(size: Size, side: int) -> list[Window]:
    """A picture cut into squares, smaller ones at its lower and right border."""
    return [
        Window(top, left, top + side, left + side).grown(0, size)
        for top in range(0, size.height, side)
        for left in range(0, size.width, side)
    ]
