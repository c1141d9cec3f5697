"""Decoded pictures, kept in memory as far as it is granted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from anyzoom.pairs.pictures import load_frame
from anyzoom.pairs.scene import Frame


class PictureCache:
    """Frames as RGB `h w 3`, 8 bits.

    Filled at once, in the order given, until `budget` bytes are taken; what has found no room is decoded whenever it
    is asked for, since random crops would only drive each other out of a cache. Processes forked afterwards share
    the memory.
    """

    def __init__(
        self, frames: Iterable[Frame], budget: int, load: Callable[[Frame], NDArray[np.uint8]] = load_frame
    ) -> None:
        self.load = load
        kept: list[Frame] = []
        self.bytes = 0
        for frame in dict.fromkeys(frames):
            size = 3 * frame.size.pixels
            if self.bytes + size <= budget:
                self.bytes += size
                kept.append(frame)
        with ThreadPoolExecutor() as pool:
            self.kept = dict(zip(kept, pool.map(load, kept), strict=True))

    def __getitem__(self, frame: Frame) -> NDArray[np.uint8]:
        found = self.kept.get(frame)
        return self.load(frame) if found is None else found
