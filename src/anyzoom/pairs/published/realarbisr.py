"""RealArbiSR (Li et al., "Learning Dual-Level Deformable Implicit Representation", ECCV 2024), versions 1 and 2.

One pair of folders for every scale, with an HR of its own. The authors' evaluation needs HR's sides to be LR's times
the scale, rounded; this is checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from anyzoom.pairs.published.files import folders, pictures, planned_pairs, root_of
from anyzoom.pairs.published.layout import Layout, Planned, rounded


def scale_words(part: Path) -> list[str]:
    """1dot5, 2, ...: the scales of Train or Test, from the names of their folders."""
    found = (re.fullmatch(r"[HL]R(\d(?:dot\d+)?)", inner.name) for inner in folders(part))
    return sorted({match[1] for match in found if match})


def holds_realarbisr(root: Path) -> bool:
    return bool(scale_words(root / "Train") or scale_words(root / "Test"))


def plan(root: Path, split: str) -> Iterator[Planned]:
    part = root / split.capitalize()
    for word in scale_words(part):
        scale = float(word.replace("dot", "."))
        yield from planned_pairs(f"x{scale:g}", scale, pictures(part / f"LR{word}"), pictures(part / f"HR{word}"))


REALARBISR = Layout(
    tree="Train/HR1dot5/NAME.png, Train/LR1dot5/NAME.png, Train/HR2, Train/LR2, ..., and Test likewise",
    paper="Li et al., ECCV 2024",
    splits=("train", "test"),
    find=root_of(holds_realarbisr),
    plan=plan,
    used_size=rounded,
)
