"""A network on a device: tiles in, features; windows out, pixels. PyTorch is the engine."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from anyzoom.errors import DeviceError
from anyzoom.grid import Size, Window
from anyzoom.models import ContinuousSR, Encoded
from anyzoom.models.network import channels_last

Precision = Literal["float32", "bfloat16"]


class Symmetry(NamedTuple):
    """One of the eight ways in which a square can be turned and mirrored; transposing comes first."""

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    def forward(self, picture: Tensor) -> Tensor:
        """`... h w` -> `... h w` or `... w h`."""
        turned = picture.transpose(-1, -2) if self.transpose else picture
        axes = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        return turned.flip(axes) if axes else turned

    def backward(self, picture: Tensor) -> Tensor:
        """Undo forward."""
        axes = [axis for axis, flip in ((-2, self.flip_rows), (-1, self.flip_columns)) if flip]
        turned = picture.flip(axes) if axes else picture
        return turned.transpose(-1, -2) if self.transpose else turned

    def size(self, size: Size) -> Size:
        return Size(size.width, size.height) if self.transpose else size

    def window(self, window: Window, size: Size) -> Window:
        """Where a window of a picture of that size comes to lie."""
        top, left, bottom, right = window
        if self.transpose:
            top, left, bottom, right = left, top, right, bottom
        height, width = self.size(size)
        if self.flip_rows:
            top, bottom = height - bottom, height - top
        if self.flip_columns:
            left, right = width - right, width - left
        return Window(top, left, bottom, right)


EIGHT = tuple(Symmetry(t, r, c) for t in (False, True) for r in (False, True) for c in (False, True))


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" takes CUDA, else MPS, else the processor.

    Raises DeviceError when this machine, or this PyTorch, does not have it.
    """
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceError(f"unknown device {name!r}. Choose auto, {', '.join(available)}.") from error
    if device.type not in available:
        raise DeviceError(f"device {name!r} is not supported. Choose auto, {', '.join(available)}.")
    there = [kind for kind, here in available.items() if here]
    if device.type not in there or (device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count()):
        raise DeviceError(f"device {name!r} is not available on this machine. Available: {', '.join(there)}.")
    return device


class Engine:
    """A network ready to work.

    precision: "bfloat16" computes convolutions and mixers in bfloat16, faster where the hardware has it;
    positions, blending and results stay in float32. ensemble: average over the eight symmetries, at eight times
    the cost (Timofte et al., CVPR 2016).
    """

    def __init__(
        self,
        network: ContinuousSR,
        device: str = "auto",
        precision: Precision = "float32",
        ensemble: bool = False,
    ) -> None:
        self.device = choose_device(device)
        self.dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.network = network.to(self.device).eval()
        channels_last(self.network)
        self.facts = network.facts
        self.symmetries = EIGHT if ensemble else (Symmetry(),)

    @torch.inference_mode()
    def encode(self, lr: Tensor, window: Window, whole: Size, keep: Window) -> tuple[Encoded, ...]:
        """lr `b 3 h w` is that window of the whole photo; of the features only those of `keep` stay.

        A window that ends inside the photo must reach further than the halo where `facts.multiple` is not 1: every
        symmetry leaves out what lies beyond its own multiples.
        """
        lr = lr.to(self.device)
        return tuple(self._encode(symmetry, lr, window, whole, keep) for symmetry in self.symmetries)

    def _encode(self, symmetry: Symmetry, lr: Tensor, window: Window, whole: Size, keep: Window) -> Encoded:
        given, size = symmetry.window(window, whole), symmetry.size(whole)
        seen = _between_multiples(given, self.facts.multiple, size)
        rows, columns = seen.within(given).slices
        turned = symmetry.forward(lr)[..., rows, columns].contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            encoded: Encoded = self.network.encode(turned, seen, size)
            encoded = encoded._replace(features=encoded.features.to(self.dtype))
        kept = symmetry.window(keep, whole)
        return encoded if kept == seen else encoded.cropped(kept)

    @torch.inference_mode()
    def prepare(self, encoded: tuple[Encoded, ...], size: Size) -> tuple[Encoded, ...]:
        """With what all windows of an output of that size share, where the network has such."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            pairs = zip(self.symmetries, encoded, strict=True)
            return tuple(self.network.prepare(part, symmetry.size(size)) for symmetry, part in pairs)

    @torch.inference_mode()
    def render(self, encoded: tuple[Encoded, ...], size: Size, window: Window) -> Tensor:
        """A window of the output grid, `b 3 H W` in float32 on the processor."""
        total: Tensor | None = None
        for symmetry, part in zip(self.symmetries, encoded, strict=True):
            turned = self.network.render(part, symmetry.size(size), symmetry.window(window, size))
            picture = symmetry.backward(turned)
            total = picture if total is None else total + picture
        assert total is not None
        return (total / len(encoded)).to("cpu", torch.float32)


def _between_multiples(window: Window, multiple: int, size: Size) -> Window:
    """The largest part of a window that begins at multiples and ends at multiples or where the picture ends."""
    top, left = (-(-start // multiple) * multiple for start in (window.top, window.left))
    bottom, right = (
        end if end == side else end // multiple * multiple
        for end, side in zip((window.bottom, window.right), size, strict=True)
    )
    return Window(top, left, bottom, right)
