"""RealSR (Cai et al., "Toward Real-World Single Image Super-Resolution", ICCV 2019).

In version 3 LR and HR have different sizes. In versions 1 and 2 LR lies on HR's pixel grid: it is used at HR / scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from anyzoom.pairs.published.files import by_role, planned_pairs, root_of
from anyzoom.pairs.published.layout import Layout, Planned, stored_or_shrunk

CAMERAS = ("Canon", "Nikon")
SCALES = (2, 3, 4)


def holds_realsr(root: Path) -> bool:
    return any((root / camera / part).is_dir() for camera in CAMERAS for part in ("Train", "Test"))


def plan(root: Path, split: str) -> Iterator[Planned]:
    for scale in SCALES:
        for camera in CAMERAS:
            lr, hr = by_role(root / camera / split.capitalize() / str(scale))
            yield from planned_pairs(f"x{scale}/{camera}", scale, lr, hr)


REALSR = Layout(
    tree="Canon/Train/2/NAME_HR.png, Canon/Train/2/NAME_LR2.png, Canon/Train/3, ..., and Canon/Test, Nikon likewise",
    paper="Cai et al., ICCV 2019",
    splits=("train", "test"),
    find=root_of(holds_realsr),
    plan=plan,
    used_size=stored_or_shrunk,
)
