"""DRealSR (Wei et al., "Component Divide-and-Conquer for Real-World Image Super-Resolution", ECCV 2020)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from anyzoom.pairs.published.files import pictures, planned_pairs
from anyzoom.pairs.published.layout import Layout, Planned, stored_or_shrunk

DEEPEST = 3  # folders above Train_x4, as archives unpack them: x4/Train_x4/Train_x4


def parts(folder: Path, split: str) -> list[Path]:
    """Train_x2, Train_x3, Train_x4 or some of them, wherever they lie."""
    wanted = f"{split.capitalize()}_x[2-4]/{split}_[HL]R"
    return sorted({path.parent for depth in range(DEEPEST + 1) for path in folder.glob("*/" * depth + wanted)})


def find(folder: Path) -> Path | None:
    inside = re.fullmatch(r"(Train|Test)_x[2-4]", folder.name)
    root = folder.parent if inside else folder
    return root if parts(root, "train") or parts(root, "test") else None


def plan(root: Path, split: str) -> Iterator[Planned]:
    for part in parts(root, split):
        scale = int(part.name[-1])
        yield from planned_pairs(f"x{scale}", scale, pictures(part / f"{split}_LR"), pictures(part / f"{split}_HR"))


DREALSR = Layout(
    tree="Train_x2/train_HR/NAME_x2.png, Train_x2/train_LR/NAME_x1.png, Train_x3, ..., Test_x2/test_HR, ...",
    paper="Wei et al., ECCV 2020",
    splits=("train", "test"),
    find=find,
    plan=plan,
    used_size=stored_or_shrunk,
)
