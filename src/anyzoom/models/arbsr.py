"""ArbSR, scale-arbitrary super-resolution: Wang et al., "Learning a Single Network for Scale-Arbitrary
Super-Resolution", ICCV 2021. RCAN's trunk with two things that know the scale.

After every residual group a convolution whose kernel is mixed from four by the two scales changes the features where
a mask lets it. At the end a layer enlarges them: for every output pixel the two scales and the pixel's phase, its
place relative to the LR pixel under it, decide where the features are read and how they are squeezed and expanded
again. A 3 x 3 convolution on the output grid makes colours of them.

So features depend on the scale, and `prepare` finds them for one output size. The scale is that of the sizes, per
axis. `query` places the eight neighbours of a point by its cell; on a pixel grid this is the network as published.

Departures and decisions:
- Features are read as in the PyTorch 1.1 that the authors ask for (grid_sample's align_corners true). Newer versions
  run their code with false, which shifts features by up to half an LR pixel.
- The mask halves its input and needs even sides. An odd side is made even by repeating the last row or column of what
  is halved, and the mask is cropped; on even sides nothing changes.
- Reading needs no normalised positions here, so a side of 1, which divides by zero in the authors' code, is as good as
  any other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, autocast, cat, nn
from torch.nn import functional as F

from anyzoom.grid import Size, Window
from anyzoom.models import arbsr_grid
from anyzoom.models.decoders.ensemble import pitch_of, rows_of
from anyzoom.models.decoders.mlp import Mlp
from anyzoom.models.encoders.rcan import ResidualGroup
from anyzoom.models.network import (
    MEAN,
    ContinuousSR,
    Encoded,
    Facts,
    check_picture,
    check_points,
    check_window,
    normalised,
)

LEVELS = 255  # the trunk and the colours that it gives are on this scale
SQUEEZE = 8  # the upsampling squeezes the features to so many times fewer
MASKED = 16  # channels inside a mask
EMBEDDED = 64  # of scales and phase
NUDGE = 1e-3  # LR pixels; decides under which LR pixel a point lies that lies on a border between two
TRUNK, INVERSE = "trunk", "inverse scales"  # in Encoded.extra: `b f h w`, and the `b yx` for which it was found


class ArbSrConfig(BaseModel):
    """The paper's network: 16,926,127 parameters, of which 1,629,196 know the scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=64, ge=SQUEEZE, le=1024)  # feature channels
    groups: int = Field(default=10, ge=0, le=256)
    blocks: int = Field(default=20, ge=0, le=256)  # in each group
    reduction: int = Field(default=16, ge=1)  # channels per number that the attention is computed from
    experts: int = Field(default=4, ge=1, le=64)  # kernels that are mixed
    trained_to: float = Field(default=4.0, ge=1)  # largest scale seen in training

    @model_validator(mode="after")
    def _check(self) -> ArbSrConfig:
        if self.reduction > self.width:
            raise ValueError(f"a reduction of {self.reduction} leaves nothing of {self.width} channels.")
        return self


class BatchNorm(nn.Module):
    """nn.BatchNorm2d without its counter of batches, which nothing needs."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))

    def forward(self, features: Tensor) -> Tensor:
        return F.batch_norm(features, self.running_mean, self.running_var, self.weight, self.bias, self.training)


class Mask(nn.Module):
    """Where features need to change, between 0 and 1; forward: `b f h w` -> `b 1 h w`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        widths = (width, MASKED, MASKED, MASKED, 1)
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.norms = nn.ModuleList(BatchNorm(b) for b in widths[1:])

    def forward(self, features: Tensor) -> Tensor:
        height, width = features.shape[-2:]
        first, second, third, last = zip(self.convolutions, self.norms, strict=True)
        shown = F.relu(first[1](first[0](features)))
        # Without a second row or column to take the mean with, the last one counts twice: this is the padding.
        shown = F.avg_pool2d(shown, 2, ceil_mode=True)
        for convolution, norm in (second, third):
            shown = F.relu(norm(convolution(shown)))
        shown = F.interpolate(shown, scale_factor=2, mode="bilinear", align_corners=False)[..., :height, :width]
        mask: Tensor = last[1](last[0](shown))
        return mask.sigmoid()


class Adaption(nn.Module):
    """x + mask(x) * convolution(x), its kernel mixed by the scales."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.mask = Mask(width)
        self.experts = nn.Parameter(torch.empty(experts, width, width, 3, 3))
        self.routing = Mlp([2, EMBEDDED, experts])
        for expert in self.experts:
            nn.init.kaiming_uniform_(expert, a=5**0.5)

    def forward(self, features: Tensor, inverse: Tensor) -> Tensor:
        """features `b f h w`; inverse `b yx` or `1 yx`: 1 / scale -> `b f h w`."""
        with autocast(features.device.type, enabled=False):
            shares = F.softmax(self.routing(inverse.float()), dim=-1)
            kernels = torch.einsum("be,eoiyx->boiyx", shares, self.experts)
        kernel = kernels.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        together = features.reshape(len(features) // len(kernels), -1, *features.shape[-2:])
        change = F.conv2d(together, kernel, padding=1, groups=len(kernels)).reshape(features.shape)
        return torch.addcmul(features, change, self.mask(features))


class Upsampling(nn.Module):
    """What scales and phase decide about an output pixel."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.embedding = Mlp([4, EMBEDDED, EMBEDDED])
        self.offset = nn.Linear(EMBEDDED, 2)  # x before y
        self.routing = nn.Linear(EMBEDDED, experts)
        self.compress = nn.Parameter(torch.empty(experts, width // SQUEEZE, width))
        self.expand = nn.Parameter(torch.empty(experts, width, width // SQUEEZE))
        for expert in (*self.compress, *self.expand):
            nn.init.kaiming_uniform_(expert, a=5**0.5)

    def decided(self, inverse: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        """1 / scale and phase in LR pixels, both `... yx` -> offset `... yx` in LR pixels, routing `... e`."""
        with autocast(phase.device.type, enabled=False):
            embedded = F.relu(self.embedding(cat([inverse.flip(-1), phase], dim=-1).float()))
            return self.offset(embedded).flip(-1), self.routing(embedded).sigmoid()

    def forward(self, features: Tensor, routing: Tensor) -> Tensor:
        """features `... f`, routing `... e` -> `... f`: the routed sums of the kernels, one after the other."""
        squeezed = torch.einsum("...f,esf,...e->...s", features, self.compress, routing)
        expanded = torch.einsum("...s,efs,...e->...f", squeezed, self.expand, routing)
        return features + expanded


def cells(places: Tensor) -> tuple[Tensor, Tensor]:
    """Places in LR pixels from the corner -> the LR pixels under them, and their phases: places relative to the
    pixels' centres. A place just before a border, by less than NUDGE, belongs to the next pixel.
    """
    under = (places + NUDGE).floor()
    return under, places - under - 0.5


def sampled(features: Tensor, places: Tensor) -> Tensor:
    """Bilinear interpolation of `b f h w` at places `b q yx`, in LR pixels from the centre of the first -> `b q f`.

    Outside the picture everything is zero.
    """
    batch, _, height, width = features.shape
    table, first = rows_of(features), places.floor()
    picture = torch.arange(batch, device=places.device).view(-1, 1)
    total = places.new_zeros(())
    for down in (0, 1):
        for across in (0, 1):
            row, column = (first[..., 0] + down).long(), (first[..., 1] + across).long()
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            weight = (1 - (places[..., 0] - row).abs()) * (1 - (places[..., 1] - column).abs()) * inside
            index = (picture * height + row.clamp(0, height - 1)) * width + column.clamp(0, width - 1)
            total = total + table[index] * weight.unsqueeze(-1)
    return total


class ArbSr(ContinuousSR):
    """The whole network."""

    def __init__(self, config: ArbSrConfig | None = None) -> None:
        super().__init__()
        config = self.config = config or ArbSrConfig()
        width = config.width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.groups = nn.ModuleList(ResidualGroup(width, config.blocks, config.reduction) for _ in range(config.groups))
        self.adaptions = nn.ModuleList(Adaption(width, config.experts) for _ in range(config.groups))
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.upsampling = Upsampling(width, config.experts)
        self.tail = nn.Conv2d(width, 3, 3, padding=1)  # on the output grid
        self.facts = Facts(
            halo=None,  # channel attention
            reach=0,
            # As RCAN, besides the shallow features of the whole trunk, which are kept.
            floats_per_pixel=8 * width,
            scale_aware=True,
            axes=2,
            trained_to=config.trained_to,
        )

    def encode(self, lr: Tensor, window: Window | None = None, whole: Size | None = None) -> Encoded:
        """What does not depend on the scale, which is little."""
        check_picture(lr, window, whole)
        whole = whole or Size(lr.shape[-2], lr.shape[-1])
        return Encoded(lr, self.head(normalised(lr, "mean") * LEVELS), window or Window.whole(whole), whole)

    @property
    def base(self) -> Tensor:
        """What all output pixels have in common, `rgb` in [0, 1]."""
        assert self.tail.bias is not None
        return self.tail.bias / LEVELS + self.tail.bias.new_tensor(MEAN)

    def prepare(self, encoded: Encoded, size: Size) -> Encoded:
        """Raises ValueError for a part of a picture whose trunk has not been computed: that needs the whole."""
        sides = [[lr / hr for lr, hr in zip(encoded.whole, size, strict=True)]]
        return self._with_trunk(encoded, torch.tensor(sides, device=encoded.features.device))

    def _with_trunk(self, encoded: Encoded, inverse: Tensor) -> Encoded:
        known = encoded.extra.get(INVERSE)
        if known is not None and ((known - inverse).abs() <= 1e-6 * inverse).all():
            return encoded
        if encoded.window != Window.whole(encoded.whole):
            raise ValueError("channel attention looks at the whole picture: encode and prepare that, then crop.")
        features = encoded.features
        with rounding(features):
            for group, adaption in zip(self.groups, self.adaptions, strict=True):
                features = adaption(group(features), inverse)
            features = (self.body(features) + encoded.features).to(features.dtype)
        return encoded._replace(extra={**encoded.extra, TRUNK: features, INVERSE: inverse})

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """points `b q yx`, cell `b yx` -> colours `b q 3` in [0, 1]; the network as published.

        A point's neighbours count if they lie in a grid of 2 / cell pixels, rounded half to even as by the authors,
        which begins in the corner of the picture.
        """
        check_points(points, cell, len(encoded.lr))
        inverse = pitch_of(encoded, cell) / 2  # b yx
        alike = bool((inverse == inverse[:1]).all())  # then the kernels of the trunk are the same
        trunk = self._with_trunk(encoded, inverse[:1] if alike else inverse).extra[TRUNK]
        sides = points.new_tensor(encoded.whole)
        inverse = inverse.unsqueeze(1)
        steps = torch.tensor([-1.0, 0.0, 1.0], device=points.device)
        steps = torch.cartesian_prod(steps, steps).repeat(points.shape[1], 1)  # (q n) yx, the order of a convolution
        places = ((points + 1) * sides / 2).repeat_interleave(9, dim=1) + steps * inverse  # b (q n) yx
        indices, count = places / inverse, ((sides / inverse * 64).round() / 64).round()  # 31.5 may come as 31.49999
        inside = ((indices > 0) & (indices < count)).all(-1, keepdim=True)
        _, phases = cells(places)
        offsets, routing = self.upsampling.decided(inverse.expand_as(phases), phases)
        enlarged = self.upsampling(sampled(trunk, places - 0.5 + offsets), routing) * inside
        around = enlarged.view(*points.shape[:2], 9, -1)
        colours = torch.einsum("bqnf,cfn->bqc", around, self.tail.weight.flatten(2))
        return colours / LEVELS + self.base

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
        window = window or Window.whole(size)
        check_window(size, window)
        return arbsr_grid.render(self, self.prepare(encoded, size).extra[TRUNK], encoded.whole, size, window)


def rounding(features: Tensor) -> AbstractContextManager[object]:
    """Layers compute in bfloat16 where features are."""
    if features.dtype == torch.bfloat16:
        return autocast(features.device.type, torch.bfloat16)
    return nullcontext()
