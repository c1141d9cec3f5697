"""The file being read, and what its header promises: the records that the readers of all formats share."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from anyzoom.errors import CannotRead
from anyzoom.grid import Size
from anyzoom.image.metadata import Warn
from anyzoom.image.photo import Metadata, Samples, SampleType


@dataclass(frozen=True)
class Source:
    """An open file."""

    path: Path
    data: bytes | mmap.mmap  # all of it
    warn: Warn  # takes what was found; the path is added by the reader

    def refusal(self, found: str) -> CannotRead:
        return CannotRead(f"{self.path}: {found}")

    def damaged(self, found: str) -> CannotRead:
        return CannotRead(f"{self.path}: {found}. The file is damaged or incomplete: copy it again from its source.")


@dataclass(frozen=True)
class Header:
    """What a file promises before any pixel is decoded."""

    size: Size  # as stored, before orientation
    channels: int  # 1 to 4, as in Photo
    dtype: SampleType
    decode: Callable[[], Samples]  # `h w c`, as stored
    metadata: Metadata = field(default_factory=Metadata)
    orientation: int = 1  # 1 to 8, still to be applied
    linear: bool = False
