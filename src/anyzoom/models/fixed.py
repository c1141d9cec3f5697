"""The fixed-scale originals, as baselines: a trunk with its own pixel-shuffle upsampler, for one factor of 2, 3 or 4.

Lim et al., CVPRW 2017 (EDSR); Zhang et al., CVPR 2018 (RDN); Liang et al., ICCVW 2021 (SwinIR, classical). All three
end alike: a convolution to 4 (or 9) times the channels, which become 2 x 2 (or 3 x 3) pixels, twice for factor 4; then
a convolution to RGB. Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
Convolutional Neural Network", CVPR 2016.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from anyzoom.errors import ScaleError
from anyzoom.grid import Size, Window
from anyzoom.models.decoders.ensemble import nearest_one
from anyzoom.models.network import (
    MEAN,
    ContinuousSR,
    Encoded,
    Encoder,
    Facts,
    check_picture,
    check_points,
    check_window,
)

Factor = Literal[2, 3, 4]
STEPS: dict[Factor, tuple[int, ...]] = {2: (2,), 3: (3,), 4: (2, 2)}
REACH = 2  # LR pixels: one through the first convolution, one through all later ones together
BLOCK = 64  # LR pixels on a side that `render` enlarges at once: about 50 MB


class FixedScale(ContinuousSR):
    """Knows one size for each picture. At points of its choice it gives the pixel in which the point lies."""

    def __init__(self, encoder: Encoder, factor: Factor = 4) -> None:
        super().__init__()
        self.encoder = encoder
        self.factor = factor
        layers: list[nn.Module] = []
        for step in STEPS[factor]:
            layers += [nn.Conv2d(encoder.width, encoder.width * step**2, 3, padding=1), nn.PixelShuffle(step)]
        self.tail = nn.Sequential(*layers, nn.Conv2d(encoder.width, 3, 3, padding=1))
        self.facts = Facts(
            halo=None if encoder.reach is None else encoder.reach + REACH,
            reach=REACH,
            floats_per_pixel=encoder.floats_per_pixel,
            axes=0,
            trained_to=float(factor),
            multiple=encoder.multiple,
        )

    def size_of(self, lr: Size) -> Size:
        """The only size that a picture can be rendered at."""
        return Size(lr.height * self.factor, lr.width * self.factor)

    def encode(self, lr: Tensor, window: Window | None = None, whole: Size | None = None) -> Encoded:
        check_picture(lr, window, whole)
        whole = whole or Size(lr.shape[-2], lr.shape[-1])
        return Encoded(lr, self.encoder(lr), window or Window.whole(whole), whole)

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """The cell does not matter."""
        check_points(points, cell, len(encoded.lr))
        known = self._enlarged_window(encoded.window)
        picture = self._enlarged(encoded, known)
        whole = self.size_of(encoded.whole)
        rows = nearest_one(points[..., 0], whole.height)[0].squeeze(-1) - known.top  # b q
        columns = nearest_one(points[..., 1], whole.width)[0].squeeze(-1) - known.left
        batch = torch.arange(len(points), device=points.device).view(-1, 1)
        return picture.permute(0, 2, 3, 1)[batch, rows, columns]

    @torch.no_grad()
    def render(self, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
        """Raises ScaleError for any size but the one that it knows."""
        known = self.size_of(encoded.whole)
        if size != known:
            raise ScaleError(
                f"this network only magnifies by {self.factor}: a picture of {encoded.whole} to {known}, not {size}. "
                f"Ask for scale {self.factor}, or choose a network for any scale."
            )
        window = window or Window.whole(size)
        check_window(size, window)
        out = torch.empty(len(encoded.lr), 3, *window.size, device=encoded.features.device)
        side = BLOCK * self.factor
        for top in range(window.top, window.bottom, side):
            for left in range(window.left, window.right, side):
                block = Window(top, left, top + side, left + side).common(window)
                rows, columns = block.within(window).slices
                out[..., rows, columns] = self._enlarged(encoded, block)
        return out

    def _enlarged_window(self, lr: Window) -> Window:
        top, left, bottom, right = (self.factor * border for border in lr)
        return Window(top, left, bottom, right)

    def _enlarged(self, encoded: Encoded, window: Window) -> Tensor:
        """A window of the enlarged picture, `b 3 H W`."""
        top, left = window.top // self.factor, window.left // self.factor
        bottom, right = -(-window.bottom // self.factor), -(-window.right // self.factor)
        seen = Window(top, left, bottom, right).grown(REACH, encoded.whole).common(encoded.window)
        rows, columns = seen.within(encoded.window).slices
        features = encoded.features[..., rows, columns]
        with torch.autocast(features.device.type, torch.bfloat16, enabled=features.dtype == torch.bfloat16):
            picture: Tensor = self.tail(features)
        rows, columns = window.within(self._enlarged_window(seen)).slices
        picture = picture[..., rows, columns].float()
        if self.encoder.normalisation == "mean":
            return picture + picture.new_tensor(MEAN).view(3, 1, 1)
        return picture * 0.5 + 0.5
