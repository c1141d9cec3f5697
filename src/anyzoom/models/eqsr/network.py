"""EQSR: Wang et al., "Deep Arbitrary-Scale Image Super-Resolution via Scale-Equivariance Pursuit", CVPR 2023.

A transformer whose groups are told the scale (`backbone`) and an upsampler that works on the output grid (`kriging`).
The released code is followed where it departs from the paper: the scale enters as 2 / H, the absolute height of the
output, unless the configuration's encoding is not `compatible`.

Its features belong to one scale, and means over the LR picture and over the whole output grid enter every pixel. So
it needs the whole picture at once; `prepare` finds what a scale has in common, and after it any window of the output
grid is rendered just as within the whole.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from einops import rearrange
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, autocast, nn

from anyzoom.errors import ShapeError
from anyzoom.grid import Size, Window, cell_of, pixel_centres
from anyzoom.models.eqsr.backbone import Backbone
from anyzoom.models.eqsr.encoding import EncodingConfig, line, scale_code
from anyzoom.models.eqsr.kriging import SHARED, KrigingUpsampler
from anyzoom.models.eqsr.kriging_grid import KEPT, Grid, grids
from anyzoom.models.network import (
    MEAN,
    ContinuousSR,
    Encoded,
    Facts,
    check_picture,
    check_points,
    check_window,
    mirrored,
    normalised,
)


class EqsrConfig(BaseModel):
    """The paper's network: 13,619,510 parameters, 1,212,110 of them the upsampler's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=180, ge=2)  # feature channels
    blocks: tuple[int, ...] = Field(default=(4,) * 6, min_length=1)  # of attention in each group; one more overlaps
    heads: int = Field(default=6, ge=1)
    window: int = Field(default=16, ge=2, multiple_of=2)  # LR pixels
    overlap: float = Field(default=0.5, ge=0, le=1)  # of the larger windows, in windows
    mlp_ratio: float = Field(default=2.0, gt=0)
    latent: int = Field(default=256, ge=SHARED, multiple_of=SHARED)  # channels on the output grid
    dropped: float = Field(default=0.1, ge=0, lt=1)  # stochastic depth of the last block, in training
    encoding: EncodingConfig = EncodingConfig()
    trained_to: float = Field(default=4.0, ge=1)  # largest scale seen in training

    @model_validator(mode="after")
    def _divisible(self) -> EqsrConfig:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared among {self.heads} heads.")
        if int(self.window * self.overlap) % 2:
            raise ValueError(f"windows of {self.window} that overlap by {self.overlap:g} have no middle.")
        return self


class Eqsr(ContinuousSR):
    """The whole network. Not pointwise: `query` takes the points of a rectangular grid, row by row."""

    config: EqsrConfig

    def __init__(self, config: EqsrConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EqsrConfig()
        code = config.encoding.width
        total = sum(config.blocks) + len(config.blocks)
        rates = (config.dropped * torch.arange(total, device="cpu") / max(1, total - 1)).tolist()
        starts = [sum(config.blocks[:g]) + g for g in range(len(config.blocks))]
        self.first = nn.Conv2d(3, config.width, 3, padding=1)
        self.backbone = Backbone(
            config.width,
            config.heads,
            config.window,
            overlap=int(config.window * config.overlap),
            hidden=int(config.width * config.mlp_ratio),
            style=code,
            dropped=[rates[start : start + count] for start, count in zip(starts, config.blocks, strict=True)],
        )
        self.upsampler = KrigingUpsampler(config.width, code, config.latent)
        self.facts = Facts(
            halo=None,
            reach=2,  # pixels of the output grid, which are no larger than those of the LR picture
            floats_per_pixel=24 * config.width,  # measured; the state on the output grid comes on top
            pointwise=False,
            scale_aware=True,
            axes=2,
            trained_to=config.trained_to,
            kept_bytes=KEPT,
        )

    def encode(self, lr: Tensor, window: Window | None = None, whole: Size | None = None) -> Encoded:
        """What does not depend on the scale: the features are the first convolution's."""
        check_picture(lr, window, whole)
        size = Size(lr.shape[-2], lr.shape[-1])
        if size != (whole or size):
            raise ShapeError(f"EQSR must see the whole picture of {whole} at once, not {size} pixels of it.")
        shallow = self.first(mirrored(normalised(lr, "mean"), self.config.window))
        features = shallow[..., : size.height, : size.width]
        return Encoded(lr, features, Window.whole(size), size, {"shallow": shallow})

    @torch.no_grad()
    def prepare(self, encoded: Encoded, size: Size) -> Encoded:
        """The features for that size, and in `extra` the gains of the upsampler's channels on its output grid."""
        if is_ready(encoded, size):
            return encoded
        encoded = self._featured(encoded, size)
        gains = torch.stack([grid.prepared()[0] for grid in self._grids(encoded, size)])
        return encoded._replace(extra={**encoded.extra, "gains": gains, "size": torch.tensor(size)})

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, a grid's row by row; cell `b yx` of the whole output grid -> colours `b q 3` in [0, 1].

        The network as published: beyond these points the grid is taken to be zero, and means are taken over them.
        """
        check_points(points, cell, len(encoded.lr))
        width = grid_width(points)
        down, along = points[:, ::width, 0], points[:, :width, 1]
        rows = line(down, cell[:, 0], encoded.whole.height, self.config.encoding)
        columns = line(along, cell[:, 1], encoded.whole.width, self.config.encoding)
        picture = self.upsampler(self._features(encoded, cell[:, 0]), rows, columns)
        colours: Tensor = rearrange(picture, "b rgb H W -> b (H W) rgb") + picture.new_tensor(MEAN)
        return colours

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
        """Prepared features may have been cropped to the LR pixels under the window and `facts.reach` around them."""
        window = window or Window.whole(size)
        check_window(size, window)
        gains: Iterable[Tensor | None] = encoded.extra.get("gains", ())
        if not is_ready(encoded, size):
            encoded, gains = self._featured(encoded, size), [None] * len(encoded.lr)
        pictures = zip(self._grids(encoded, size), gains, strict=True)
        colours = torch.stack([grid.painted(window, gain) for grid, gain in pictures])
        return colours + colours.new_tensor(MEAN).view(3, 1, 1)

    def _featured(self, encoded: Encoded, size: Size) -> Encoded:
        """With the features for that size."""
        if encoded.window != Window.whole(encoded.whole):
            raise ShapeError(f"EQSR must see the whole picture to prepare for {size}: prepare first, then crop.")
        cell = cell_of(size, torch.empty(0)).expand(len(encoded.lr), -1)
        return encoded._replace(features=self._features(encoded, cell[:, 0]))

    def _grids(self, encoded: Encoded, size: Size) -> list[Grid]:
        """The upsampler on the output grid of every picture, from features for that size."""
        like, cell = torch.empty(0, dtype=torch.float64), cell_of(size, torch.empty(0))
        down = pixel_centres(size, like, Window(0, 0, size.height, 1))[None, :, 0, 0]
        along = pixel_centres(size, like, Window(0, 0, 1, size.width))[:, :, 1]
        rows = line(down, cell[:1], encoded.whole.height, self.config.encoding)
        columns = line(along, cell[1:], encoded.whole.width, self.config.encoding)
        return grids(self.upsampler, encoded.features, encoded.window, rows, columns)

    def _features(self, encoded: Encoded, cell: Tensor) -> Tensor:
        """Of the whole picture for an output whose pixels are so high, `b` -> `b f h w`; in the encoder's precision."""
        dtype = encoded.features.dtype
        shallow = encoded.extra["shallow"].to(dtype)
        code = scale_code(cell, encoded.whole.height, self.config.encoding).to(shallow.device)
        with autocast(shallow.device.type, dtype, enabled=dtype == torch.bfloat16):
            deep: Tensor = self.backbone(shallow, code).to(dtype)
        return deep[..., : encoded.whole.height, : encoded.whole.width]


def is_ready(encoded: Encoded, size: Size) -> bool:
    return "size" in encoded.extra and tuple(encoded.extra["size"].tolist()) == tuple(size)


def grid_width(points: Tensor) -> int:
    """How many of the points `b q yx` make a row."""
    count = points.shape[1]
    other = (points[0, :, 0] != points[0, 0, 0]).nonzero()
    width = int(other[0]) if len(other) else count
    if count % width == 0:
        grid = points.view(len(points), -1, width, 2)
        if (grid[..., 0] == grid[:, :, :1, 0]).all() and (grid[..., 1] == grid[:, :1, :, 1]).all():
            return width
    raise ShapeError(
        f"EQSR works on a grid of output pixels, row by row; these {count} points make none, "
        f"the first row seems to have {width}."
    )
