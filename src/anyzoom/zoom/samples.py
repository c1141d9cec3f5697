"""Between a photo's samples and what a network sees, so that nothing of the photo is lost on the way.

Networks take RGB in [0, 1]. Grey is shown to them as equal channels and comes back as their mean. Colours are
premultiplied with alpha and alpha goes along as a second picture: no colour of invisible pixels bleeds out, no dark
halo appears, and both are sharpened alike; where alpha rounds to nothing the colour becomes black. An alpha that is the
same everywhere stays as it is, and the colours do not know of it. Linear light is shown sRGB-coded. What lies outside
[0, 1] in a float picture is carried by bicubic interpolation and added again.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anyzoom.grid import Window
from anyzoom.image import Photo, Samples
from anyzoom.image.colour import decode_srgb, encode_srgb

Floats = NDArray[np.float32]


class NetworkView:
    """A photo as one or two pictures for a network; windows are converted when they are asked for."""

    def __init__(self, photo: Photo) -> None:
        self.photo = photo
        self.channels = photo.pixels.shape[2]
        self.dtype = photo.pixels.dtype
        self.full = {"uint8": 255.0, "uint16": 65535.0}.get(self.dtype.name, 1.0)  # the value of white
        self.least_alpha = np.float32(0.5 / (255 if self.dtype == np.uint8 else 65535))  # what is below is invisible
        self.alpha = self.channels in (2, 4) and bool((photo.pixels[..., -1] != photo.pixels[0, 0, -1]).any())
        self.exceeds = self.dtype == np.float32 and bool(
            photo.pixels.min(initial=0.0) < 0 or photo.pixels.max(initial=0.0) > 1
        )

    @property
    def pictures(self) -> int:
        """How many pictures the network sees: colours, and alpha where it varies."""
        return 2 if self.alpha else 1

    def _coded(self, window: Window) -> tuple[Floats, Floats | None]:
        """Colours `h w 3` premultiplied, and alpha `h w 1`; unbounded."""
        rows, columns = window.slices
        part = self.photo.pixels[rows, columns].astype(np.float32) / np.float32(self.full)
        colours = part[..., :-1] if self.channels in (2, 4) else part
        if self.photo.linear:
            colours = encode_srgb(colours)
        alpha = part[..., -1:] if self.alpha else None
        if alpha is not None:
            colours = colours * alpha
        return np.broadcast_to(colours, (*colours.shape[:2], 3)), alpha

    def show(self, window: Window) -> Tensor:
        """A window as `b 3 h w` in [0, 1], b = pictures."""
        return _stack(*self._coded(window)).clamp_(0, 1)

    def excess(self, window: Window) -> Tensor:
        """What `show` cut off, `b 3 h w`; zero inside [0, 1]."""
        whole = _stack(*self._coded(window))
        return whole - whole.clamp(0, 1)

    def samples(self, rendered: Tensor) -> Samples:
        """A network's pictures `b 3 H W` as samples `H W c` of the photo's kind."""
        colours = rendered[0].permute(1, 2, 0).numpy()
        if not self.exceeds and self.dtype != np.float32:
            colours = colours.clip(0, 1)
        alpha: Floats | None = None
        if self.alpha:
            alpha = rendered[1].mean(0).unsqueeze(-1).numpy().clip(0, 1)
            visible = np.maximum(alpha, self.least_alpha)
            colours = np.where(alpha > self.least_alpha, colours / visible, np.float32(0))
            if not self.exceeds:
                colours = colours.clip(0, 1)
        if self.channels in (1, 2):
            colours = colours.mean(axis=2, keepdims=True)
        if self.photo.linear:
            colours = decode_srgb(colours)
        if self.channels in (2, 4):
            if alpha is None:
                constant = np.float32(self.photo.pixels[0, 0, -1]) / np.float32(self.full)
                alpha = np.full((*colours.shape[:2], 1), constant)
            colours = np.concatenate([colours, alpha], axis=2)
        if self.dtype == np.float32:
            return np.ascontiguousarray(colours, dtype=np.float32)
        integers = np.rint(colours * np.float32(self.full))
        return integers.astype(np.uint8) if self.dtype == np.uint8 else integers.astype(np.uint16)


def _stack(colours: Floats, alpha: Floats | None) -> Tensor:
    pictures = [colours] if alpha is None else [colours, np.broadcast_to(alpha, colours.shape)]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()
