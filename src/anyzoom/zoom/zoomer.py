"""One photo, explored: encode once, ask often."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anyzoom.checkpoint import load_model
from anyzoom.checkpoint.store import DEFAULT_MODEL
from anyzoom.errors import MemoryBudgetError, ScaleError
from anyzoom.grid import Size, Window, as_scale, covering_window, owned_window, size_for
from anyzoom.image import Layout, Photo, Samples
from anyzoom.models import MODELS, ContinuousSR, Encoded
from anyzoom.zoom.engine import Engine, Precision
from anyzoom.zoom.samples import NetworkView
from anyzoom.zoom.tiles import MIB, Job, rows_of_tiles, tile_for

DEFAULT_MEMORY = 2048 * MIB


class Zoomer:
    """Renders any window of a photo at any size. Tiled results equal untiled ones within 1e-5 in float32.

    model: a network, a shipped name, or a checkpoint's path. memory: bytes that the whole process may use.
    tile: LR pixels per tile, chosen from the budget without it. Features of recently seen tiles are kept within
    the budget, so neighbouring windows and other scales of the same place cost no encoding.
    """

    def __init__(
        self,
        photo: Photo,
        model: ContinuousSR | str | Path = DEFAULT_MODEL,
        *,
        device: str = "auto",
        precision: Precision = "float32",
        memory: int = DEFAULT_MEMORY,
        tile: Size | None = None,
        ensemble: bool = False,
    ) -> None:
        network = model if isinstance(model, ContinuousSR) else load_model(model)
        self.photo = photo
        self.size = photo.size
        self.engine = Engine(network, device, precision, ensemble)
        self.memory = memory
        self.tile = tile
        self._view = NetworkView(photo)
        self._bicubic = Engine(MODELS["bicubic"].build(MODELS["bicubic"].config()), "cpu")
        self._features: OrderedDict[tuple[Window, Size | None], tuple[Encoded, ...]] = OrderedDict()
        self._kept = 0  # bytes

    def render(
        self,
        scale: float | tuple[float, float] | None = None,
        size: Size | None = None,
        window: Window | None = None,
    ) -> Samples:
        """The photo at a scale or size, or a window of it: samples `H W c` of the photo's own kind.

        Raises ScaleError for a size that would shrink the photo or a window outside the result.
        """
        if (scale is None) == (size is None):
            raise ScaleError("ask for a scale or a size, one of them.")
        if size is None:
            size = size_for(self.size, as_scale(scale if scale is not None else 1.0))
        self._check(size)
        window = window or Window.whole(size)
        if window.grown(0, size) != window or min(window.size) < 1:
            raise ScaleError(f"the window {tuple(window)} does not lie inside a picture of {size}.")
        out = np.empty((*window.size, self._view.channels), self._view.dtype)
        wanted = covering_window(window, self.size, size)
        # The plan for the photo's own size: the same tiles, and so the same features, at every scale.
        for row in rows_of_tiles(self.size, self.tile or tile_for(self._job(self.size), self.memory)):
            for tile in row:
                seen = tile.common(wanted)
                if min(seen.size) > 0:
                    part = owned_window(tile, self.size, size).common(window)
                    if min(part.size) > 0:
                        rows, columns = part.within(window).slices
                        out[rows, columns] = self._samples(tile, size, part, keep=True)
        return out

    def bands(self, size: Size, progress: Callable[[int], None] | None = None) -> Iterator[Samples]:
        """The whole photo at that size as bands of full-width rows, from top to bottom; memory stays bounded.

        progress is called with the number of output pixels that have been added. Raises ScaleError for a size that
        would shrink the photo.
        """
        self._check(size)
        tile_size = self.tile or tile_for(self._job(size), self.memory)
        for row in rows_of_tiles(self.size, tile_size):
            owned = [owned_window(tile, self.size, size) for tile in row]
            band = np.empty((owned[0].size.height, size.width, self._view.channels), self._view.dtype)
            for tile, part in zip(row, owned, strict=True):
                band[:, part.left : part.right] = self._samples(tile, size, part, keep=False)
                if progress:
                    progress(part.size.pixels)
            yield band

    def layout_at(self, size: Size) -> Layout:
        """What a writer of the photo at that size must know."""
        return replace(self.photo.layout, size=size)

    def _check(self, size: Size) -> None:
        if size.height < self.size.height or size.width < self.size.width:
            raise ScaleError(f"{size} would shrink the photo of {self.size}: we only magnify.")

    def _job(self, size: Size) -> Job:
        facts = self.engine.facts
        return Job(
            lr=self.size,
            hr=size,
            halo=self._margin,
            floats_per_pixel=facts.floats_per_pixel * len(self.engine.symmetries),
            kept_bytes=facts.kept_bytes,
            pictures=self._view.pictures,
            photo_bytes=self.photo.pixels.nbytes,
            row_bytes=self.layout_at(size).row_bytes,
        )

    @property
    def _margin(self) -> int | None:
        """LR pixels around a tile: the halo, and as many as the engine may have to leave out to begin at a multiple."""
        facts = self.engine.facts
        return None if facts.halo is None else facts.halo + facts.multiple - 1

    def _samples(self, tile: Window, size: Size, window: Window, keep: bool) -> Samples:
        return self._view.samples(self._rendered(tile, size, window, keep))

    def _rendered(self, tile: Window, size: Size, window: Window, keep: bool) -> Tensor:
        """A window that a tile owns, `b 3 H W`; in smaller pieces when the device's memory is short."""
        try:
            rendered = self.engine.render(self._encoded(tile, size, keep), size, window)
        except torch.OutOfMemoryError as error:
            halves = _halves(tile)
            if halves is None:
                raise MemoryBudgetError(
                    f"{self.engine.device} has too little memory for even the smallest tile. Use --device cpu."
                ) from error
            torch.cuda.empty_cache()
            rendered = torch.empty(self._view.pictures, 3, *window.size)
            for half in halves:
                part = owned_window(half, self.size, size).common(window)
                if min(part.size) > 0:
                    rows, columns = part.within(window).slices
                    rendered[..., rows, columns] = self._rendered(half, size, part, keep=False)
            return rendered
        if self._view.exceeds:
            seen = tile.grown(self._bicubic.facts.reach, self.size)
            excess = self._bicubic.encode(self._view.excess(seen), seen, self.size, seen)
            rendered = rendered + self._bicubic.render(excess, size, window)
        return rendered

    def _encoded(self, tile: Window, size: Size, keep: bool) -> tuple[Encoded, ...]:
        facts = self.engine.facts
        by_size = facts.scale_aware or not facts.pointwise
        key = (tile, size if by_size else None)
        if key in self._features:
            self._features.move_to_end(key)
            return self._features[key]
        whole = Window.whole(self.size)
        seen = whole if self._margin is None else tile.grown(self._margin, self.size)
        needed = whole if facts.halo is None else tile.grown(facts.reach, self.size)
        encoded = self.engine.encode(self._view.show(seen), seen, self.size, needed)
        if by_size:
            encoded = self.engine.prepare(encoded, size)
        if keep:
            self._features[key] = encoded
            self._kept += _bytes(encoded)
            while self._kept > self.memory // 4 and len(self._features) > 1:
                self._kept -= _bytes(self._features.popitem(last=False)[1])
        return encoded


def _bytes(encoded: tuple[Encoded, ...]) -> int:
    return sum(part.features.nbytes + part.lr.nbytes + sum(v.nbytes for v in part.extra.values()) for part in encoded)


def _halves(tile: Window) -> tuple[Window, Window] | None:
    """A tile cut across its longer side; None when it is a single pixel."""
    height, width = tile.size
    if max(height, width) == 1:
        return None
    if height >= width:
        middle = tile.top + height // 2
        return tile._replace(bottom=middle), tile._replace(top=middle)
    middle = tile.left + width // 2
    return tile._replace(right=middle), tile._replace(left=middle)
