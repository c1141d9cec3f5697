"""RCAN's trunk: Zhang et al., "Image Super-Resolution Using Very Deep Residual Channel Attention Networks", ECCV 2018.

Residual groups of residual blocks, each block's channels weighted by what their means over the whole picture say. So
every feature depends on every pixel, and a tile alone can never give what the whole picture gives: `reach` is None.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from anyzoom.models.network import Encoder, Normalisation, normalised


class RcanConfig(BaseModel):
    """The paper's network: 15,295,200 parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=64, ge=1, le=1024)  # feature channels
    groups: int = Field(default=10, ge=0, le=256)
    blocks: int = Field(default=20, ge=0, le=256)  # in each group
    reduction: int = Field(default=16, ge=1)  # channels per number that the attention is computed from
    normalisation: Normalisation = "symmetric"  # the authors' own files: "mean"

    @model_validator(mode="after")
    def _check(self) -> RcanConfig:
        if self.reduction > self.width:
            raise ValueError(f"a reduction of {self.reduction} leaves nothing of {self.width} channels.")
        return self


class ChannelAttention(nn.Module):
    """Every channel times a weight between 0 and 1 that all channels' means decide; `b f h w` -> `b f h w`."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(width, width // reduction, 1)
        self.excite = nn.Conv2d(width // reduction, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        means = features.mean((-2, -1), keepdim=True)
        weights: Tensor = self.excite(self.squeeze(means).relu_()).sigmoid_()
        return features * weights


class AttentionBlock(nn.Module):
    """x + attention(conv(relu(conv(x)))); forward: `b f h w` -> `b f h w`."""

    def __init__(self, width: int, reduction: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.attention = ChannelAttention(width, reduction)

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.attention(self.second(self.first(features).relu_()))
        return change.add_(features)


class ResidualGroup(nn.Module):
    """x + conv(blocks(x)); forward: `b f h w` -> `b f h w`."""

    def __init__(self, width: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(AttentionBlock(width, reduction) for _ in range(blocks)),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.body(features)
        return change + features


class RcanEncoder(Encoder):
    """forward: lr `b 3 h w` in [0, 1] -> features `b f h w`; any h and w."""

    reach = None

    def __init__(self, config: RcanConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RcanConfig()
        self.width = config.width
        self.normalisation = config.normalisation
        # Shallow features, a group's and a block's input, the block's two activations, and the library's copies.
        self.floats_per_pixel = 6 * config.width
        self.head = nn.Conv2d(3, config.width, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualGroup(config.width, config.blocks, config.reduction) for _ in range(config.groups)),
            nn.Conv2d(config.width, config.width, 3, padding=1),
        )

    def forward(self, lr: Tensor) -> Tensor:
        shallow: Tensor = self.head(normalised(lr, self.normalisation))
        features: Tensor = self.body(shallow)
        return features + shallow
