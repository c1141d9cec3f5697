"""What every network of the house offers: encode once, then ask for any points or any window at any size."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import torch
from pydantic import BaseModel
from torch import Tensor, nn

from anyzoom.errors import ShapeError
from anyzoom.grid import Size, Window


@dataclass(frozen=True)
class Facts:
    """What `zoom` must know to tile a network exactly."""

    halo: int | None  # LR pixels around a tile on which its output depends; None: something global enters
    reach: int  # of these, the LR pixels that the decoder alone looks at beyond the tile
    floats_per_pixel: int  # alive per LR pixel while encoding, for planning memory
    pointwise: bool = True  # an output pixel does not depend on which others are asked for
    scale_aware: bool = False  # features depend on the scale and cannot be reused for another
    axes: int = 1  # 2: both axes' scales enter; 1: only the vertical scale does; 0: none
    trained_to: float = 4.0  # largest scale seen in training
    kept_bytes: int = 0  # of its own that `render` may hold at its peak, besides blocks of a fixed size
    multiple: int = 1  # a tile with its halo must start and, inside the picture, end at multiples of so many LR pixels


class Encoded(NamedTuple):
    """A photograph, or a tile of one, after the encoder."""

    lr: Tensor  # b 3 h w in [0, 1]
    features: Tensor  # b f h w
    window: Window  # where these h w pixels lie
    whole: Size  # in the whole LR picture
    extra: Mapping[str, Tensor] = MappingProxyType({})  # what belongs to the picture as a whole, not to its pixels

    def cropped(self, window: Window) -> Encoded:
        """Only the pixels of a window of the whole picture, which must lie inside this one; frees memory."""
        rows, columns = window.within(self.window).slices
        return Encoded(
            self.lr[..., rows, columns].clone(),
            self.features[..., rows, columns].clone(memory_format=torch.channels_last),
            window,
            self.whole,
            self.extra,
        )


Normalisation = Literal["symmetric", "mean"]
MEAN = (0.4488, 0.4371, 0.4040)  # of DIV2K's RGB


def normalised(rgb: Tensor, normalisation: Normalisation = "symmetric") -> Tensor:
    """RGB `b 3 h w` in [0, 1] as networks take it: mapped to [-1, 1], or with DIV2K's mean colour subtracted."""
    return rgb * 2 - 1 if normalisation == "symmetric" else rgb - rgb.new_tensor(MEAN).view(3, 1, 1)


def mirrored(picture: Tensor, side: int) -> Tensor:
    """`b c h w` continued below and to the right up to multiples of `side` by its mirror image about the last pixels.

    A picture smaller than its continuation is mirrored again and again; a single pixel repeats.
    """
    for axis in (-2, -1):
        length = picture.shape[axis]
        wanted = -(-length // side) * side
        if wanted != length:
            period = max(2 * (length - 1), 1)
            index = torch.arange(wanted, device=picture.device) % period
            picture = picture.index_select(axis, torch.minimum(index, period - index))
    return picture


class Encoder(nn.Module, ABC):
    """From pixels to features."""

    config: BaseModel
    width: int  # f, all that a decoder needs to know
    reach: int | None  # LR pixels on which a feature depends, in each direction; None: on all of them
    floats_per_pixel: int  # alive per LR pixel at the peak of forward
    multiple: int = 1  # as in Facts
    normalisation: Normalisation = "symmetric"  # of the pixels inside

    @abstractmethod
    def forward(self, lr: Tensor) -> Tensor:
        """lr `b 3 h w` in [0, 1] -> features `b f h w`; any h and w."""


class Decoder(nn.Module, ABC):
    """From features to colours; `prepare`, `query` and `render` are those of ContinuousSR."""

    config: BaseModel
    reach: int | None  # LR pixels that it looks at beyond the one under a point; None: all of them
    axes: int  # how many of the two scales enter
    pointwise: ClassVar[bool] = True
    normalisation: ClassVar[Normalisation] = "symmetric"  # of the pixels that its encoder takes
    context: int | None = 0  # LR pixels on which what `enrich` and `prepare` find depends; None: all of them
    floats_per_pixel: int = 0  # alive per LR pixel at the peak of `enrich`, besides the features

    def enrich(self, encoded: Encoded) -> Encoded:
        """What the decoder adds to the features of a picture, once."""
        return encoded

    def prepare(self, encoded: Encoded, size: Size) -> Encoded:
        return encoded

    @abstractmethod
    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor: ...

    @abstractmethod
    def render(self, encoded: Encoded, size: Size, window: Window) -> Tensor: ...


def channels_last(network: nn.Module) -> None:
    """Store convolution weights with the channels last, which is how convolutions run fastest."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def check_picture(lr: Tensor, window: Window | None, whole: Size | None) -> None:
    """Raises ShapeError for what `encode` cannot take."""
    if lr.ndim != 4 or lr.shape[1] != 3 or min(lr.shape) < 1:
        raise ShapeError(f"a picture must be `b 3 h w` with at least one pixel, not {tuple(lr.shape)}.")
    here, picture = Size(lr.shape[-2], lr.shape[-1]), whole or Size(lr.shape[-2], lr.shape[-1])
    if (window or Window.whole(picture)).size != here or (window and window.grown(0, picture) != window):
        raise ShapeError(f"{here} pixels are not the window {window and tuple(window)} of a picture of {picture}.")


def check_points(points: Tensor, cell: Tensor, batch: int) -> None:
    """Raises ShapeError for what `query` cannot take."""
    if points.ndim != 3 or points.shape[-1] != 2 or len(points) != batch:
        raise ShapeError(f"points must be `b q yx` with b = {batch}, not {tuple(points.shape)}.")
    if cell.shape != (batch, 2):
        raise ShapeError(f"cell must be `b yx` with b = {batch}, not {tuple(cell.shape)}.")


def check_window(size: Size, window: Window) -> None:
    """Raises ShapeError for what `render` cannot take."""
    if min(size) < 1 or min(window.size) < 1 or window.grown(0, size) != window:
        raise ShapeError(f"there is no window {tuple(window)} in a picture of {size}.")


class ContinuousSR(nn.Module, ABC):
    """A network that renders a picture at any size.

    RGB is in [0, 1] at every public border; results are not clamped. Sizes always describe the whole picture,
    so a tile (an `Encoded` whose window is a part) renders the same pixels as the whole picture would.
    """

    config: BaseModel  # of a whole network; a composition's parts have theirs
    facts: Facts

    @abstractmethod
    def encode(self, lr: Tensor, window: Window | None = None, whole: Size | None = None) -> Encoded:
        """lr `b 3 h w` -> features. With both others, lr is that window of a picture of size `whole`."""

    def prepare(self, encoded: Encoded, size: Size) -> Encoded:
        """What every window of the output grid of that size shares, found once and kept in `extra`.

        `render` does it by itself where it has not been done. Only networks that are not pointwise, or whose
        features depend on the scale, have something to do here.
        """
        return encoded

    @abstractmethod
    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        """Colours `b q 3` at points `b q yx` in [-1, 1]; cell `b yx`: an output pixel's height and width."""

    @abstractmethod
    def render(self, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
        """A window of the output grid of that size, `b 3 H W`; the whole grid without one. For inference."""

    def forward(self, lr: Tensor, size: Size) -> Tensor:
        """lr `b 3 h w` -> `b 3 H W`."""
        return self.render(self.encode(lr), size)


class Composed(ContinuousSR):
    """Any encoder with any decoder made for its width."""

    def __init__(self, encoder: Encoder, decoder: Decoder, trained_to: float = 4.0) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        reaches = (encoder.reach, decoder.context, decoder.reach)
        self.facts = Facts(
            halo=None if None in reaches else max(encoder.reach or 0, decoder.context or 0) + (decoder.reach or 0),
            reach=decoder.reach or 0,
            floats_per_pixel=max(encoder.floats_per_pixel, encoder.width + decoder.floats_per_pixel),
            pointwise=decoder.pointwise,
            axes=decoder.axes,
            trained_to=trained_to,
            multiple=encoder.multiple,
        )

    def encode(self, lr: Tensor, window: Window | None = None, whole: Size | None = None) -> Encoded:
        check_picture(lr, window, whole)
        whole = whole or Size(lr.shape[-2], lr.shape[-1])
        return self.decoder.enrich(Encoded(lr, self.encoder(lr), window or Window.whole(whole), whole))

    def prepare(self, encoded: Encoded, size: Size) -> Encoded:
        return self.decoder.prepare(encoded, size)

    def query(self, encoded: Encoded, points: Tensor, cell: Tensor) -> Tensor:
        check_points(points, cell, len(encoded.lr))
        return self.decoder.query(encoded, points, cell)

    def render(self, encoded: Encoded, size: Size, window: Window | None = None) -> Tensor:
        window = window or Window.whole(size)
        check_window(size, window)
        return self.decoder.render(encoded, size, window)
