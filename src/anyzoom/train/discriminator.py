"""A critic of pictures, pixel by pixel: U-Net with spectral normalisation.

Schönfeld et al., CVPR 2020, in the form of Real-ESRGAN (Wang et al., ICCVW 2021, figure 6): three steps down, three up
with skips that are added, spectral normalisation (Miyato et al., ICLR 2018) of all but the first and the last
convolution. A level that is not twice as large as the one below is met by resizing, so any size will do.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class UNetDiscriminator(nn.Module):
    """forward: pictures `b 3 H W` in [0, 1], H and W 8 or more -> logits `b 1 H W`, high where a pixel looks true.

    In training every call refines the estimates of the spectral norms, which are part of the state.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        widths = [width, width * 2, width * 4, width * 8]
        self.head = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(
            spectral_norm(nn.Conv2d(wide, wide * 2, 4, stride=2, padding=1, bias=False)) for wide in widths[:-1]
        )
        self.up = nn.ModuleList(
            spectral_norm(nn.Conv2d(wide * 2, wide, 3, padding=1, bias=False)) for wide in widths[-2::-1]
        )
        self.tail = nn.Sequential(
            spectral_norm(nn.Conv2d(width, width, 3, padding=1, bias=False)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(width, width, 3, padding=1, bias=False)),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 1, 3, padding=1),
        )

    def forward(self, pictures: Tensor) -> Tensor:
        features = F.leaky_relu(self.head(pictures), 0.2)
        skips = []
        for down in self.down:
            skips.append(features)
            features = F.leaky_relu(down(features), 0.2)
        for up, skip in zip(self.up, reversed(skips), strict=True):
            features = F.interpolate(features, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            features = F.leaky_relu(up(features), 0.2) + skip
        logits: Tensor = self.tail(features)
        return logits
