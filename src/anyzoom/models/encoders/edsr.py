"""EDSR's trunk: Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", CVPRW 2017.

As arbitrary-scale decoders use it (LIIF and after): no upsampler and, unless asked for, no mean shift.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from anyzoom.models.network import Encoder, Normalisation, normalised


class EdsrConfig(BaseModel):
    """EDSR-baseline by default: 1,220,416 parameters. EDSR has width 256, depth 32, residual_scale 0.1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=64, ge=1, le=1024)  # feature channels
    depth: int = Field(default=16, ge=0, le=256)  # residual blocks
    residual_scale: float = 1.0
    normalisation: Normalisation = "symmetric"


class ResidualBlock(nn.Module):
    """x + residual_scale * conv(relu(conv(x))); forward: `b f h w` -> `b f h w`."""

    def __init__(self, width: int, residual_scale: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.residual_scale = residual_scale

    def forward(self, features: Tensor) -> Tensor:
        change: Tensor = self.second(self.first(features).relu_())
        if self.residual_scale != 1:
            change = change.mul_(self.residual_scale)
        return change.add_(features)


class EdsrEncoder(Encoder):
    """forward: lr `b 3 h w` in [0, 1] -> features `b f h w`; any h and w."""

    def __init__(self, config: EdsrConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or EdsrConfig()
        self.width = config.width
        self.normalisation = config.normalisation
        self.reach = 2 * config.depth + 2  # LR pixels: one per 3x3 convolution
        # Shallow features, a block's input, its two activations, and the library's copies.
        self.floats_per_pixel = 6 * config.width
        self.head = nn.Conv2d(3, config.width, 3, padding=1)
        self.body = nn.Sequential(
            *(ResidualBlock(config.width, config.residual_scale) for _ in range(config.depth)),
            nn.Conv2d(config.width, config.width, 3, padding=1),
        )

    def forward(self, lr: Tensor) -> Tensor:
        shallow: Tensor = self.head(normalised(lr, self.normalisation))
        features: Tensor = self.body(shallow)
        return features + shallow
