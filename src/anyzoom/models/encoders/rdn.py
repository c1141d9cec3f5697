"""RDN's trunk: Zhang et al., "Residual Dense Network for Image Super-Resolution", CVPR 2018.

As arbitrary-scale decoders use it (LIIF and after): no upsampler and, unless asked for, no mean shift.

What all blocks give is fused by a 1 x 1 convolution of their concatenation. Here every block adds its share as soon as
it is there, which is the same sum and spares a thousand numbers per pixel.
"""

from __future__ import annotations

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional as F

from anyzoom.models.network import Encoder, Normalisation, normalised


class RdnConfig(BaseModel):
    """The paper's configuration B by default: 21,973,952 parameters."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(default=64, ge=1, le=1024)  # feature channels between blocks; G0 in the paper
    blocks: int = Field(default=16, ge=1, le=256)  # D
    depth: int = Field(default=8, ge=1, le=64)  # 3 x 3 convolutions in a block; C
    growth: int = Field(default=64, ge=1, le=1024)  # channels that each of them adds; G
    normalisation: Normalisation = "symmetric"


RDN_A = RdnConfig(blocks=20, depth=6, growth=32)  # 5,467,072 parameters
RDN_B = RdnConfig()


class DenseBlock(nn.Module):
    """Every convolution sees the block's input and what all before it added; forward: `b f h w` -> `b f h w`."""

    def __init__(self, width: int, depth: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width + k * growth, growth, 3, padding=1) for k in range(depth))
        self.fusion = nn.Conv2d(width + depth * growth, width, 1)

    def forward(self, features: Tensor) -> Tensor:
        grown = features
        for layer in self.layers:
            grown = torch.cat([grown, layer(grown).relu_()], dim=1)
        change: Tensor = self.fusion(grown)
        return change.add_(features)


class RdnEncoder(Encoder):
    """forward: lr `b 3 h w` in [0, 1] -> features `b f h w`; any h and w."""

    def __init__(self, config: RdnConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or RdnConfig()
        width = self.width = config.width
        self.normalisation = config.normalisation
        self.reach = config.blocks * config.depth + 3  # LR pixels: one per 3 x 3 convolution
        # What has grown before and after the last concatenation; the head's features, the block's input, the sum, and
        # the library's copies.
        self.floats_per_pixel = 2 * (width + config.depth * config.growth) + 6 * width
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.shallow = nn.Conv2d(width, width, 3, padding=1)
        self.blocks = nn.ModuleList(DenseBlock(width, config.depth, config.growth) for _ in range(config.blocks))
        self.fusion = nn.Conv2d(config.blocks * width, width, 1)
        self.tail = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        first: Tensor = self.head(normalised(lr, self.normalisation))
        features: Tensor = self.shallow(first)
        assert self.fusion.bias is not None
        fused = self.fusion.bias.view(-1, 1, 1)
        for block, weight in zip(self.blocks, torch.split(self.fusion.weight, self.width, dim=1), strict=True):
            features = block(features)
            fused = fused + F.conv2d(features, weight)
        features = self.tail(fused)
        return features + first
