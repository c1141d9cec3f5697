"""What the writers of all formats share: the order they get, and the workers that compress for them."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from anyzoom.image.metadata import Warn
from anyzoom.image.photo import Layout, Metadata, Samples

MOST_WORKERS = 8
Packed = TypeVar("Packed")


@dataclass(frozen=True)
class Order:
    """What is to be written."""

    part: Path  # an empty file to fill
    layout: Layout  # dtype and channels as stored
    metadata: Metadata
    quality: int  # 1 to 100; lossless formats ignore it
    warn: Warn


def deflate_level(dtype: np.dtype[Any]) -> int:
    """How hard to compress, measured on magnified photographs.

    8 bits: level 4 is 3 times as fast as zlib's default of 6, for files a tenth larger. Deeper samples: their
    lower bits are noise, so level 1 saves as much as level 6 (within 3 parts of 100) at twice its speed.
    """
    return 4 if dtype.itemsize == 1 else 1


class Encoder(Protocol):
    """Writes one file. Rows come as C-contiguous `r w c` of the order's dtype, from top to bottom."""

    def write(self, rows: Samples) -> None: ...

    def finish(self) -> None:
        """After the last row: complete and close the file."""

    def abandon(self) -> None:
        """Let go of the file in whatever state it is; must not raise."""


class Bands:
    """Cuts rows that come in any numbers into bands of one height; each band is a copy."""

    def __init__(self, height: int) -> None:
        self.height = height
        self._held: list[NDArray[Any]] = []  # fewer rows than a band

    def give(self, rows: Samples) -> Iterator[NDArray[Any]]:
        """The bands that these rows complete."""
        held = sum(map(len, self._held))
        taken = 0
        while held + len(rows) - taken >= self.height:
            whole = rows[taken : taken + self.height - held]
            taken += len(whole)
            yield np.concatenate((*self._held, whole))
            self._held, held = [], 0
        if taken < len(rows):
            self._held.append(rows[taken:].copy())

    def rest(self) -> Iterator[NDArray[Any]]:
        """The last band, if rows are left for one."""
        if self._held:
            yield np.concatenate(self._held)
            self._held = []


class OrderedWorkers(Generic[Packed]):
    """Threads that compress blocks; results come back in the order of the blocks.

    zlib works without the interpreter's lock, so threads scale. Few blocks are in flight.
    """

    def __init__(self) -> None:
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.count = min(count, MOST_WORKERS)
        self._pool = ThreadPoolExecutor(self.count, thread_name_prefix="compress")
        self._waiting: deque[Future[Packed]] = deque()

    def give(self, work: Callable[[], Packed]) -> Iterator[Packed]:
        """Start one block; yield the blocks that have to be taken before more may be given."""
        self._waiting.append(self._pool.submit(work))
        while len(self._waiting) > 2 * self.count:
            yield self._waiting.popleft().result()

    def rest(self) -> Iterator[Packed]:
        """Yield all that is still being worked on."""
        while self._waiting:
            yield self._waiting.popleft().result()

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
