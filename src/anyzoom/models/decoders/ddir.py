"""DDIR, the dual-level deformable implicit representation: Li et al., "Learning Dual-Level Deformable Implicit
Representation for Real-World Scale Arbitrary Super-Resolution", ECCV 2024.

Two branches, each decoding as LIIF does. The first has an encoder of its own and predicts by how much the target
differs from a bicubic enlargement; besides features it sees the picture's appearance, the mean of the other encoder's
features over the whole picture. The second predicts the colour and sees that difference too.

The released code is followed: the difference leaves its MLP as 2 d - 1, a shift that comes from training it with the
normalisation of pictures, and enters the colour's MLP so. Outside it is d, target minus enlargement in [-1, 1].

Either half can be switched off, as the paper does to measure it. The appearance then enters the colour's MLP if there
is no other. It makes every pixel depend on the whole picture.

`query` is the network as published. `render` does what LIIF's does, twice: the first layers' parts on features are
3 x 3 convolutions, computed once per LR pixel, those on appearance and pixel size constants; last layers follow the
blending.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from einops import rearrange
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, cat, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window, covering_window
from anyzoom.models.decoders.ensemble import (
    CORNERS,
    Corners,
    corners_of_block,
    corners_of_points,
    nearest_two,
    pitch_of,
    rows_of,
    unfolded,
)
from anyzoom.models.decoders.fast import STRIP, Layer, Scratch, axes_of, flat, painted, strips
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.encoders.edsr import EdsrConfig, EdsrEncoder
from anyzoom.models.encoders.rdn import RdnConfig, RdnEncoder
from anyzoom.models.network import Decoder, Encoded, Encoder

APPEARANCE = "appearance"  # in Encoded.extra, `b f`
PIXELS = 1 << 16  # LR pixels whose first layers are held at once: 64 MiB of float32 for each branch


class DdirConfig(BaseModel):
    """The paper's network: 710,918 parameters in its two MLPs on 64 feature channels, and a second encoder's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: tuple[int, ...] = Field(default=(256, 256, 256, 256), min_length=1)  # widths of both MLPs' hidden layers
    deformation: bool = True  # the first branch
    appearance: bool = True
    encoder: EdsrConfig | RdnConfig = Field(default_factory=EdsrConfig)  # of the first branch; its keys tell which


def encoder_of(config: EdsrConfig | RdnConfig) -> Encoder:
    return EdsrEncoder(config) if isinstance(config, EdsrConfig) else RdnEncoder(config)


class DdirDecoder(Decoder):
    """Colours at any point from the features around it, the picture's appearance and the predicted difference."""

    reach = 2  # LR pixels on either side of the one under a point: a corner and its 3 x 3 neighbours
    axes = 2

    def __init__(self, width: int, config: DdirConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or DdirConfig()
        self.width = width
        self.appearance = config.appearance
        self.encoder = encoder_of(config.encoder) if config.deformation else None
        self.deformation = None
        told = width if config.appearance else 0
        if self.encoder is not None:
            self.context = self.encoder.reach
            self.floats_per_pixel = self.encoder.floats_per_pixel
            self.deformation = Mlp([9 * self.encoder.width + 4 + told, *config.hidden, 3])
            told = 3
        self.mlp = Mlp([9 * width + 4 + told, *config.hidden, 3])
        if config.appearance:
            self.context = None

    def enrich(self, encoded: Encoded) -> Encoded:
        """Appends the second encoder's features and keeps the appearance.

        Raises ValueError for a part of a picture, whose mean is not that of the whole.
        """
        features, extra = encoded.features, dict(encoded.extra)
        if self.appearance:
            if encoded.window != Window.whole(encoded.whole):
                raise ValueError("the appearance is a mean over the whole picture: encode that, then crop.")
            extra[APPEARANCE] = features.mean((-2, -1), dtype=torch.float32)
        if self.encoder is not None:
            features = cat([features, self.encoder(encoded.lr).to(features.dtype)], dim=1)
        return encoded._replace(features=features, extra=extra)

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published."""
        return self._decoded(encoded, points, cell)[0] * 0.5 + 0.5

    def query_both(self, encoded: Encoded, points: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """The colours of `query` and the differences `b q 3` to a bicubic enlargement, in [-1, 1], for training."""
        colours, deformation = self._decoded(encoded, points, cell)
        if deformation is None:
            raise ValueError("this network was configured without the branch that predicts differences.")
        return colours * 0.5 + 0.5, deformation * 0.5 + 0.5

    def _decoded(self, encoded: Encoded, points: Tensor, cell: Tensor) -> tuple[Tensor, Tensor | None]:
        """Both branches as they leave their MLPs."""
        corners = corners_of_points(encoded, points)
        pitch = pitch_of(encoded, cell).unsqueeze(1)

        def branch(mlp: Mlp, features: Tensor, told: Tensor | None) -> Tensor:
            """told: `b q n` or `b 1 n`, the same at all corners."""
            table = rows_of(unfolded(features))
            shared = pitch if told is None else cat([pitch.expand(-1, told.shape[1], -1), told], dim=-1)
            shared = shared.unsqueeze(1).expand(*corners.index.shape, -1)
            decoded: Tensor = mlp(cat([table[corners.index], corners.offsets, shared], dim=-1))  # b t q 3
            return (decoded * corners.weights.unsqueeze(-1)).sum(1)

        told = encoded.extra[APPEARANCE].unsqueeze(1) if self.appearance else None
        deformation = None
        if self.deformation is not None:
            told = deformation = branch(self.deformation, encoded.features[:, self.width :], told)
        return branch(self.mlp, encoded.features[:, : self.width], told), deformation

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        return cat([self._band(encoded, size, band) for band in bands(encoded.whole, size, window)], dim=-2)

    def _band(self, encoded: Encoded, size: Size, window: Window) -> Tensor:
        encoded = beneath(encoded, size, window)
        features = encoded.features
        pitch = torch.tensor([2 * lr / hr for lr, hr in zip(encoded.whole, size, strict=True)], device=features.device)
        constant = pitch.expand(len(features), -1)
        seeing = cat([constant, encoded.extra[APPEARANCE]], dim=-1) if self.appearance else constant
        deformation = None
        if self.deformation is not None:
            deformation = Branch.of(self.deformation, features[:, self.width :], seeing)
            seeing = constant
        colour = Branch.of(self.mlp, features[:, : self.width], seeing)
        rows, columns = axes_of(nearest_two, encoded, size, window)
        tile_width = encoded.window.size.width

        def block(number: int, part: Window, scratch: Scratch) -> Tensor:
            corners = corners_of_block(rows, columns, part, tile_width)
            colours = []
            for strip in strips(part.size, STRIP):
                beside = corners.offsets[:, strip]
                if deformation is not None:
                    differences = deformation.decoded(number, corners, strip, beside, scratch)
                    beside = cat([beside, differences.expand(CORNERS, -1, -1)], dim=-1)
                colours.append(colour.decoded(number, corners, strip, beside, scratch))
            return (cat(colours) * 0.5 + 0.5).t().view(3, *part.size)

        return painted(features, len(features), window, block)


@dataclass(frozen=True)
class Branch:
    """One of the two MLPs, arranged for one output grid."""

    tables: list[Tensor]  # of every picture, `(h w) n`: all of the first layer that an LR pixel settles
    beside: Tensor  # m n: the rest of it, for the offsets and the differences
    hidden: list[Layer]
    last: nn.Linear

    @classmethod
    def of(cls, mlp: Mlp, features: Tensor, constant: Tensor) -> Branch:
        """features `b f h w`; constant `b n`: pixel size and, of a branch that sees it, the appearance."""
        first, dtype = mlp.linears[0], features.dtype
        around = 9 * features.shape[1]
        kernel = rearrange(first.weight[:, :around], "o (f y x) -> o f y x", y=3, x=3).to(dtype)
        place = first.weight[:, around : around + 2]
        settled = around + 2 + constant.shape[1]
        shallow = F.conv2d(features, kernel, padding=1)
        shallow += F.linear(constant, first.weight[:, around + 2 : settled], first.bias).to(dtype)[..., None, None]
        return cls(
            [flat(picture) for picture in shallow],
            cat([place, first.weight[:, settled:]], dim=1).t().to(dtype).contiguous(),
            mlp.packed(dtype)[1:-1],
            mlp.linears[-1],
        )

    def decoded(self, number: int, corners: Corners, strip: slice, beside: Tensor, scratch: Scratch) -> Tensor:
        """A strip of a block; beside `t n m` -> `n 3` in float32, as it leaves the MLP."""
        values = scratch("first", CORNERS * beside.shape[1], len(self.beside.t()))
        torch.index_select(self.tables[number], 0, corners.index[:, strip].flatten(), out=values)
        values = values.addmm_(beside.flatten(0, 1).to(values), self.beside).relu_()
        for layer in self.hidden:
            values = layer(values)
        weights = corners.weights[:, strip].unsqueeze(-1).to(values)
        blended = scratch("blended", beside.shape[1], self.last.in_features)
        torch.sum(values.view(*weights.shape[:2], -1) * weights, 0, out=blended)
        return torch.addmm(self.last.bias, blended.float(), self.last.weight.t())


def bands(whole: Size, size: Size, window: Window) -> Iterator[Window]:
    """A window of the output grid of that size in bands of rows, none of which lies on much more than PIXELS."""
    across = covering_window(window, whole, size).size.width
    height = max(1, PIXELS // across * size.height // whole.height)
    for top in range(window.top, window.bottom, height):
        yield window._replace(top=top, bottom=min(top + height, window.bottom))


def beneath(encoded: Encoded, size: Size, window: Window) -> Encoded:
    """The part of a picture that a window of the output grid looks at."""
    seen = covering_window(window, encoded.whole, size).grown(2, encoded.whole).common(encoded.window)
    rows, columns = seen.within(encoded.window).slices
    return encoded._replace(
        lr=encoded.lr[..., rows, columns], features=encoded.features[..., rows, columns], window=seen
    )
