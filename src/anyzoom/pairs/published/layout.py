"""What is said of a dataset's layout: how its tree is recognised, which files pair, and at which size LR is used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from anyzoom.grid import Size, shrunk_size


class Planned(NamedTuple):
    """A scene before its files have been opened."""

    name: str  # unique in its dataset
    hr: Path | None  # None: the widest of the others
    lr: tuple[tuple[Path, float | None], ...]  # with their nominal factors


class Layout(NamedTuple):
    """How a published dataset lies on the disk."""

    tree: str  # in words, for messages
    paper: str
    splits: tuple[str, ...]  # none: the whole folder, whatever split is asked for
    find: Callable[[Path], Path | None]  # the root of such a tree: the folder or one in it, or None
    plan: Callable[[Path, str], Iterable[Planned]]  # root, split -> scenes, by the names of files alone
    used_size: Callable[[Size, Size, float], Size | None]  # LR's file, HR, factor -> LR as used; None: they do not fit


def rounded(lr: Size, hr: Size, scale: float) -> Size | None:
    """LR as it is stored, where HR's sides are LR's times the scale, rounded (halves either way)."""
    return lr if all(abs(high - low * scale) <= 0.5 + 1e-9 for low, high in zip(lr, hr, strict=True)) else None


def stored_or_shrunk(lr: Size, hr: Size, scale: float) -> Size | None:
    """LR as it is stored, within one LR pixel of HR / scale; or stored on HR's pixel grid, and shrunk when read."""
    if lr == hr:
        return shrunk_size(hr, scale)
    return lr if all(abs(high - low * scale) < scale for low, high in zip(lr, hr, strict=True)) else None


def about(lr: Size, hr: Size, scale: float) -> Size | None:
    """LR as it is stored, within a tenth of the factor: a lens stops where it stops, but not at the next factor."""
    return lr if all(abs(high / low - scale) < 0.1 * scale for low, high in zip(lr, hr, strict=True)) else None
